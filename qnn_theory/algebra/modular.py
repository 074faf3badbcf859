"""Arithmetic modulo the prime 2^31 - 1 on many sample points at once, and linear systems over it.

`Residues` is a scalar for `grammar.evaluate`: one evaluation computes a layer at all sample points. An identity between
polynomials of degree D that holds at n independent random points holds for all values, except with probability at most
(D/p)^n (schwartz1980fast).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import flint
import numpy as np
from numpy.typing import NDArray

PRIME = 2**31 - 1

Vector = NDArray[np.int64]


class Residues:
    """A vector of residues modulo `PRIME`, one per sample point, with element-wise ``+``, ``-`` and ``*``."""

    __slots__ = ("values",)

    def __init__(self, values: Vector) -> None:
        self.values = values

    def __add__(self, other: Residues | int) -> Residues:
        # Sums of a parameter that is zero everywhere are frequent in a search over sparse maps.
        if isinstance(other, int) and other == 0:
            return self
        return Residues((self.values + _raw(other)) % PRIME)

    __radd__ = __add__

    def __sub__(self, other: Residues | int) -> Residues:
        return Residues((self.values - _raw(other)) % PRIME)

    def __mul__(self, other: Residues | int) -> Residues | int:
        if isinstance(other, int):
            if other == 0:
                return 0
            if other == 1:
                return self
        return Residues(self.values * _raw(other) % PRIME)

    __rmul__ = __mul__


def random_residues(generator: np.random.Generator, points: int) -> Residues:
    """Independent uniform residues, one per sample point."""
    return Residues(generator.integers(1, PRIME, size=points))


def to_residue(number: Fraction | int) -> int:
    """A rational number modulo `PRIME`."""
    return number.numerator * pow(number.denominator, -1, PRIME) % PRIME


def to_fraction(residue: int, *, prime: int = PRIME, bound: int = 1 << 14) -> Fraction | None:
    """The rational number of numerator and denominator up to `bound` with this residue, or None (wang1981padic)."""
    old, new, old_factor, factor = prime, residue % prime, 0, 1
    while new > bound:
        quotient = old // new
        old, new = new, old - quotient * new
        old_factor, factor = factor, old_factor - quotient * factor
    if factor == 0 or abs(factor) > bound:
        return None
    return Fraction(new, factor)


def solve(columns: Sequence[Vector], target: Vector) -> list[Fraction] | None:
    """Rational coefficients c with ``Σ c_j columns[j] = target`` modulo p, or None.

    The earliest columns that suffice are used; the others get the coefficient 0. None is also the answer when a coefficient is
    no simple fraction.
    """
    rows = len(target)
    width = len(columns) + 1
    entries = np.stack([*columns, target], axis=1)
    reduced, rank = flint.nmod_mat(rows, width, entries.ravel().tolist(), PRIME).rref()
    solution = [Fraction(0)] * (width - 1)
    column = 0
    for row in range(rank):
        while int(reduced[row, column]) == 0:
            column += 1
        if column == width - 1:
            return None
        value = to_fraction(int(reduced[row, width - 1]))
        if value is None:
            return None
        solution[column] = value
        column += 1
    return solution


def _raw(other: Residues | int) -> Vector | int:
    return other.values if isinstance(other, Residues) else other % PRIME
