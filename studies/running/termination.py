"""SIGTERM, which schedulers send before they take a machine away, interrupts a command as Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GRACE_SECONDS = 20  # within the 30 that Slurm and Kubernetes wait before they kill

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM


class Terminated(KeyboardInterrupt):
    """SIGTERM has come."""


@contextmanager
def terminated_like_ctrl_c() -> Iterator[None]:
    """While the block runs, SIGTERM raises `Terminated` in it; a second one ends the process at once.

    Python drops an exception that is raised in a destructor or in a callback of its garbage collector, and a signal may come
    right there. So the system ends the process `GRACE_SECONDS` later in any case: nothing is lost that Ctrl-C would keep.
    """

    def stop(_: int, __: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.alarm(GRACE_SECONDS)
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
