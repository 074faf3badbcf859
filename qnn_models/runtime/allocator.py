"""Freed memory stays with the process, as each training step needs what the last one gave back."""

from __future__ import annotations

import ctypes
import functools
import sys

__all__ = ["keep_freed_memory", "release_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
_LARGEST_BLOCK = 32 * 2**20  # the most that glibc takes from the heap rather than from the system


@functools.cache
def keep_freed_memory() -> bool:
    """Tell glibc's allocator not to return freed blocks of up to 32 MiB to the system; False where there is no glibc.

    By default it returns them, and the pages that the next step gets instead are zeroed by the system one fault at a time: a
    tenth of the step at ML-100K's shape. The process keeps its peak until it ends.
    """
    return all([_call("mallopt", _MMAP_THRESHOLD, _LARGEST_BLOCK), _call("mallopt", _TRIM_THRESHOLD, 2**31 - 1)])


def release_freed_memory() -> None:
    """Give freed blocks back to the system once, so that the size of the process is what it uses."""
    _call("malloc_trim", 0)


def _call(name: str, *arguments: int) -> bool:
    function = getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
    return function is not None and bool(function(*arguments))
