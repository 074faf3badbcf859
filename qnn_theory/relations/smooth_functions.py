"""The smooth activations in interval arithmetic (arb), so that a number that is said not to be 0 is proved not to be."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import flint

from qnn_theory.algebra.polynomials import to_flint
from qnn_theory.grammar.expr import ActivationKind

PRECISION = 256

SMOOTH: dict[ActivationKind, Callable[[Any], Any]] = {
    "gelu": lambda u: u / 2 * (1 + (u / flint.arb(2).sqrt()).erf()),
    "silu": lambda u: u / (1 + (-u).exp()),
    "mish": lambda u: u * (1 + u.exp()).log().tanh(),
    "sigmoid": lambda u: 1 / (1 + (-u).exp()),
    "tanh": lambda u: u.tanh(),
}
"""A ball that contains the value, from a ball that contains the argument."""


def ball(number: Fraction) -> Any:
    """A rational number as a ball."""
    return flint.arb(to_flint(number))


def bracket(kind: ActivationKind, value: Fraction, *, digits: int = 20) -> tuple[Fraction, Fraction]:
    """Two decimals next to each other, the activation proved to be below `value` at the first and above at the second.

    Activations are continuous, so one takes the value in between.

    Raises:
        ValueError: the activation does not pass the value between 0 and 10.
    """
    low, high, unit = 0, 10 * 10**digits, Fraction(1, 10**digits)

    def side(step: int) -> int:
        with flint.ctx.workprec(PRECISION):
            difference = SMOOTH[kind](ball(step * unit)) - ball(value)
            return 1 if difference > 0 else -1 if difference < 0 else 0

    if side(low) != -1 or side(high) != 1:
        raise ValueError(f"A value is bracketed where {kind} passes it between 0 and 10, however: {value}.")
    while high - low > 1:
        middle = (low + high) // 2
        sign = side(middle)
        if not sign:
            raise ValueError(f"A value is bracketed where {kind} takes it at no short decimal, however: {value}.")
        low, high = (middle, high) if sign < 0 else (low, middle)
    return low * unit, high * unit
