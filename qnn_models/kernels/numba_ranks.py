"""Loops over sorted scores; see `numba_loops`."""

from __future__ import annotations

from qnn_models.kernels.numba_compiler import Floats, loop

__all__ = ["count_wins"]


@loop()
def count_wins(above: Floats, below: Floats) -> int:
    """Pairs in which a value of `above` is larger than one of `below`, counted twice, and pairs of equals, counted once.

    Args:
        above: sorted, shape (m,).
        below: sorted, shape (n,).
    """
    smaller, not_larger, total = 0, 0, 0
    for value in above:
        while smaller < below.size and below[smaller] < value:
            smaller += 1
        while not_larger < below.size and below[not_larger] <= value:
            not_larger += 1
        total += smaller + not_larger
    return total
