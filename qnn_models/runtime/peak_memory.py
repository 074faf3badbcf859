"""The most memory that a stretch of work takes, on the CPU or on a GPU."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType

from qnn_models.runtime.allocator import release_freed_memory


class PeakMemory:
    """``with PeakMemory() as memory: work()``, then ``memory.mib``.

    On a GPU it is what torch's allocator held at most. On Linux it is the largest resident size of the process less its size
    at the beginning; where the system does not let the mark be reset, it is NaN rather than the mark of earlier work.
    """

    def __init__(self) -> None:
        self.mib = float("nan")
        self._before: float | None = None

    def __enter__(self) -> PeakMemory:
        import torch

        release_freed_memory()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        elif _reset_mark():
            self._before = _status_mib("VmRSS")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.mib = self.read()

    def read(self) -> float:
        """The peak until now, in MiB."""
        import torch

        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated() / 2**20
        return float("nan") if self._before is None else _status_mib("VmHWM") - self._before


def _reset_mark() -> bool:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return True
    return False


def _status_mib(key: str) -> float:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    return float("nan")
