"""The fixed numbers of a format: exact fractions, small enough to be computed with everywhere."""

from __future__ import annotations

import math
from fractions import Fraction
from numbers import Rational
from typing import Any, TypeAlias

Number: TypeAlias = int | float | Fraction

LARGEST_NUMBER = 10**9
"""A fixed number of a format is a fraction of two integers up to this: below every prime that the theory computes modulo."""

_LARGEST_DENOMINATOR_OF_A_FLOAT = 1024


class LargeNumberError(ValueError):
    """A number that cannot be computed with everywhere; a user's, or one that a rewriting multiplied up."""


def is_number(value: object) -> bool:
    """Whether a value is a rational number or a float; True and False are none."""
    return isinstance(value, float | Rational) and not isinstance(value, bool)


def exact(value: Any) -> Fraction:
    """A number as a fraction; a float only where it is one that a reader would write (0.5, not 0.1).

    Raises:
        TypeError: it is no number.
        ValueError: it is not finite, a rounded float, or too large.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"A number in a format is finite, however: {value!r}.")
    if not is_number(value):
        raise TypeError(f"A number in a format is an int, a Fraction or a float, however: {value!r}.")
    # Other libraries' rationals (NumPy's integers) keep integers of their own kind inside.
    number = Fraction(value) if isinstance(value, float) else Fraction(int(value.numerator), int(value.denominator))
    if isinstance(value, float) and number.denominator > _LARGEST_DENOMINATOR_OF_A_FLOAT:
        near = Fraction(value).limit_denominator(1000)
        raise ValueError(
            f"A number in a format is exact, however: {value!r} is rounded; write Fraction({near.numerator}, {near.denominator})."
        )
    check_number(number)
    return number


def check_number(number: Fraction) -> None:
    """Reject a fixed number that cannot be computed with everywhere.

    Raises:
        ValueError: it is no fraction of two integers.
        LargeNumberError: one of these is above `LARGEST_NUMBER`.
    """
    if not isinstance(number, int | Fraction) or isinstance(number, bool):
        raise ValueError(f"A number in a format is a Fraction, however: {number!r}.")
    if max(abs(number.numerator), number.denominator) > LARGEST_NUMBER:
        raise LargeNumberError(
            f"A number in a format is a fraction of integers up to {LARGEST_NUMBER}, however: {_shortened(number)}."
        )


def _shortened(number: int | Fraction) -> str:
    """The number as text; integers of thousands of digits are not written out (Python refuses to)."""
    sizes = number.numerator.bit_length(), number.denominator.bit_length()
    return str(number) if max(sizes) < 200 else f"integers of {sizes[0]} and {sizes[1]} bits"
