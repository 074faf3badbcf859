"""Overlaps of vectors, and the covariances of maps that they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

Value: TypeAlias = Any  # an array over the shares t, or a SymPy expression
Pattern: TypeAlias = frozenset[int]
"""The pieces of the network's input whose coordinate lies in a field on which the rows agree."""

Names: TypeAlias = tuple[tuple[int, int], ...]
"""Gaussian numbers of a map: (use, row) each."""


class Entry(NamedTuple):
    """An overlap: of vector `left` of layer `level` in row `left_row` with vector `right` in row `right_row`."""

    level: int
    left: int
    left_row: int
    right: int
    right_row: int


class Weight(NamedTuple):
    """A product of two vectors' coordinates, of one piece, that a moment is weighted with."""

    entry: Entry
    piece: int


@dataclass(frozen=True, slots=True)
class Law:
    """The covariance of a map's Gaussian outputs: ``factor · Π overlaps`` of its arguments, one for each side of the map."""

    level: int
    factor: Any
    arguments: tuple[tuple[int, ...], ...]

    def entries(self, a: tuple[int, int], b: tuple[int, int]) -> tuple[Entry, ...]:
        """The overlaps whose product the covariance of two of its variables (use, row) is."""
        (use, row), (other, other_row) = a, b
        pairs = zip(self.arguments[use], self.arguments[other], strict=True)
        return tuple(entry_of(self.level, i, row, j, other_row) for i, j in pairs)


def entry_of(level: int, i: int, row: int, j: int, other_row: int) -> Entry:
    """The overlap of vector i in one row with vector j in another; the order does not matter."""
    return Entry(level, i, row, j, other_row) if (i, row) <= (j, other_row) else Entry(level, j, other_row, i, row)
