"""Tails: the polynomial that a layer becomes far out, whatever its activations are.

Along almost every direction v the argument of an activation, if it is not constant, grows like a power of t at x = p + t v.
There a sigmoid is 1 or 0, a tanh 1 or -1, and silu, gelu and mish are their argument or 0, but for a rest that is exponentially
small; relu, relu6 and prelu are so without a rest. So around v, for p in all of R^d, the layer is a polynomial in x plus a rest
that tends to 0 as t grows: its tail. Two functions that are equal have equal tails, since a polynomial that tends to 0 along an
open cone is 0.

* `tail`: the tail of one given function, in exact rational numbers.
* `tail_gates`: with `pieces.random_pieces`, random members of a family that holds every tail of every function of a format.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from qnn_theory.algebra.polynomials import PRIME, Polynomial, from_flint, rational_ring, to_flint
from qnn_theory.feature_spaces.pieces import Gates
from qnn_theory.grammar.evaluate import ParameterValues, evaluate
from qnn_theory.grammar.expr import Activation, ActivationKind, Expr
from qnn_theory.grammar.stacking import mapped_values

STEPS: tuple[ActivationKind, ...] = ("sigmoid", "tanh")
"""Activations that tend to a constant on both sides."""

_AT_ZERO: dict[ActivationKind, Fraction] = {"sigmoid": Fraction(1, 2)}


def tail(expr: Expr, *, dim: int, values: ParameterValues, direction: Sequence[Fraction]) -> list[Polynomial] | None:
    """The tail of each output around a direction, or None where that is no rational polynomial or not decided.

    Args:
        expr: the layer.
        dim: its input width d.
        values: the parameter values, rational numbers.
        direction: d coordinates; None is returned where an argument's leading part vanishes on it.
    """
    ring = rational_ring(dim)
    zero = 0 * ring.gens()[0]
    undecided = False

    def rule(node: Activation, value: Any, own: ParameterValues) -> Any:
        nonlocal undecided
        value = value + zero
        slope = to_flint(own[str(node.slope)]) if node.slope is not None else None
        if value.is_constant():
            number = Fraction(0) if value.is_zero() else from_flint(value.leading_coefficient())
            known = _at_number(node.kind, number)
            undecided = undecided or (known is None and node.kind != "prelu")
            if node.kind == "prelu":
                return value if number > 0 else value * slope
            return zero + to_flint(known or Fraction(0))
        sign = _leading_sign(value, direction)
        undecided = undecided or sign == 0
        return on_side(node.kind, value, sign > 0, slope)

    outputs = evaluate(expr, ring.gens(), mapped_values(values, to_flint), activation=rule, constant=to_flint)
    if undecided:
        return None
    return [{tuple(map(int, m)): from_flint(c) for m, c in (f + zero).to_dict().items()} for f in outputs]


def on_side(kind: ActivationKind, value: Any, upper: bool, slope: Any) -> Any:
    """What an activation is far on the upper or lower side of its argument, over any ring of polynomials."""
    if kind in STEPS:
        return 0 * value + (1 if upper else -1 if kind == "tanh" else 0)
    if kind == "relu6":
        return 0 * value + (6 if upper else 0)
    if upper:
        return value
    return value * slope if kind == "prelu" else 0 * value


def tail_gates(generator: random.Random) -> Gates:
    """Free gates: ``h`` for a step, ``g u`` for what is its argument or 0, ``g u + h`` for relu6; constant arguments included."""
    free: dict[tuple[Activation, int], tuple[int, int]] = {}

    def rule(node: Activation, index: int, value: Any) -> Any:
        g, h = free.setdefault((node, index), (generator.randrange(1, PRIME), generator.randrange(1, PRIME)))
        if node.kind in STEPS:
            return 0 * value + h
        return g * value + (h if node.kind == "relu6" else 0)

    return rule


def _at_number(kind: ActivationKind, number: Fraction) -> Fraction | None:
    """The value at a constant argument where it is a known rational number."""
    match kind:
        case "relu":
            return max(number, Fraction(0))
        case "relu6":
            return min(max(number, Fraction(0)), Fraction(6))
        case _:
            return None if number else _AT_ZERO.get(kind, Fraction(0))


def _leading_sign(value: Any, direction: Sequence[Fraction]) -> int:
    """The sign, at a direction, of the homogeneous part of the largest degree."""
    terms = {tuple(map(int, m)): from_flint(c) for m, c in value.to_dict().items()}
    degree = max(map(sum, terms))
    total = Fraction(0)
    for monomial, coefficient in terms.items():
        if sum(monomial) == degree:
            for exponent, x in zip(monomial, direction, strict=True):
                coefficient *= x**exponent
            total += coefficient
    return (total > 0) - (total < 0)
