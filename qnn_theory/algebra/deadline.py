"""A time budget that long computations look at themselves: no thread lingers, no signal is set.

`check` stands in the loops of the searches and between the steps of proofs and invariants. What one step costs is bounded by
`limit`: a function of the budget, never of the time that is left, so that the same budget allows the same steps everywhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


class BudgetSpentError(Exception):
    """The time budget of a computation is spent."""


@dataclass(frozen=True, slots=True)
class _Budget:
    seconds: float
    until: float


_current: ContextVar[_Budget | None] = ContextVar("budget", default=None)


@contextmanager
def budget(seconds: float | None) -> Iterator[None]:
    """Computations inside have this many seconds; None is as many as they need, whatever stands around."""
    token = _current.set(None if seconds is None else _Budget(seconds, time.monotonic() + seconds))
    try:
        yield
    finally:
        _current.reset(token)


def check() -> None:
    """Stop here if the budget is spent.

    Raises:
        BudgetSpentError: it is.
    """
    current = _current.get()
    if current is not None and time.monotonic() >= current.until:
        raise BudgetSpentError


def limit(size: int, *, per_second: int) -> int:
    """How large a step may be: `size` without a budget, with one at most what it allows."""
    current = _current.get()
    return size if current is None else min(size, int(current.seconds * per_second))
