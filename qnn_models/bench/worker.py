"""One side of a comparison in a process of its own, so that neither side's memory and settings touch the other's.

``python -m qnn_models.bench.worker ours|baseline SHAPE DEVICE THREADS`` trains one stretch for each line that it reads. It
answers with the seconds, and with the MiB it has held at most above what data and model take, optimizer state included.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass

import torch

from qnn_models.bench.shapes import SHAPES
from qnn_models.bench.sides import SIDES
from qnn_models.runtime.fresh_process import module_command
from qnn_models.runtime.peak_memory import PeakMemory


@dataclass(frozen=True, slots=True)
class Answer:
    """What a stretch took: seconds, and MiB at most since the first."""

    seconds: float
    mib: float


class Worker:
    """The process of one side; a call trains one stretch there. It ends with the last reference to it."""

    def __init__(self, side: str, shape: str, device: str) -> None:
        command = module_command("qnn_models.bench.worker", side, shape, device, str(torch.get_num_threads()))
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._side = side

    def __call__(self) -> Answer:
        """Train a stretch."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, and gives no answer either
            print(file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise ChildProcessError(
                f"The process of {self._side} ended with code {self._process.wait()}; see its message above."
            )
        return Answer(**json.loads(answer))

    def __del__(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self._process.wait()


def main(side: str, shape: str, device: str, threads: str) -> None:
    """Train a stretch for each line."""
    torch.set_num_threads(int(threads))
    stretch = SIDES[side](SHAPES[shape], device)
    with PeakMemory() as memory:
        for _ in sys.stdin:
            seconds = stretch()
            print(json.dumps({"seconds": seconds, "mib": memory.read()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
