"""How numba compiles our loops.

A loop stands in one file with the loops that it calls: the machine code of both is kept as one, and numba makes it anew when that
file changes, whatever happens to others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit
from numpy.typing import NDArray

__all__ = ["Floats", "Ids", "MaybeFloats", "loop"]

Floats = NDArray[Any]  # of one type, float32 or float64
MaybeFloats = Any  # the same, or None
Ids = NDArray[Any]  # int32 or int64


def loop(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """``numba.njit``; where no folder can be written to, the machine code is kept for the process alone."""

    def compile_lazily(function: Callable[..., Any]) -> Any:
        try:
            return njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:
            return njit(nogil=True, **options)(function)

    return compile_lazily
