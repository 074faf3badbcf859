"""A function on both sides of one kink set, and how sums, products and activations combine such functions.

Near the set {s = 0}, where s is the argument of an activation (or one of its factors), every sub-expression is on both sides a
smooth function f^- and f^+ of s; kept is how fast each vanishes, f^± = c^± s^v + ..., and at which order they differ,
f^+ - f^- = C s^m + .... Sums take the smallest order, a product gains the vanishing orders of the other factors, so
x ⊙ relu(x) has m = 2 and is C^1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import sympy

Formula: TypeAlias = Any  # a SymPy expression; SymPy ships no types
_NOTHING = sympy.Integer(0)


@dataclass(frozen=True, slots=True)
class Local:
    """A function near a kink set: ``f^± = c^± s^vanishing + ...`` and ``f^+ - f^- = jump s^jump_order + ...``.

    `vanishing` and `jump_order` may be smaller than the true orders, never larger; no jump is None.
    """

    vanishing: int
    minus: Formula
    plus: Formula
    jump_order: int | None = None
    jump: Formula = _NOTHING


ZERO = Local(10**9, _NOTHING, _NOTHING)
Pair: TypeAlias = tuple[Local, Local]  # of the coordinate that kinks, and of every other coordinate


def lowest_jump_order(pair: Pair) -> int | None:
    """The order at which some coordinate jumps first; None where none does."""
    return min((local.jump_order for local in pair if local.jump_order is not None), default=None)


def times(local: Local, factor: Formula) -> Local:
    """A smooth factor that does not vanish times a function."""
    return replace(local, minus=factor * local.minus, plus=factor * local.plus, jump=factor * local.jump)


def sum_of(terms: list[Local]) -> Local:
    """The smallest orders win; leading coefficients of the same order add up."""
    vanishing = min(term.vanishing for term in terms)
    order = min((term.jump_order for term in terms if term.jump_order is not None), default=None)
    lead = [term for term in terms if term.vanishing == vanishing]
    return Local(
        vanishing,
        sum((term.minus for term in lead), sympy.Integer(0)),
        sum((term.plus for term in lead), sympy.Integer(0)),
        order,
        sum((term.jump for term in terms if order is not None and term.jump_order == order), sympy.Integer(0)),
    )


def product(factors: list[Local]) -> Local:
    """f^+ g^+ - f^- g^- = (f^+ - f^-) g^+ + f^- (g^+ - g^-), at the lowest order that occurs."""
    vanishing = sum(factor.vanishing for factor in factors)
    parts: list[tuple[int, Formula]] = []
    for k, factor in enumerate(factors):
        if factor.jump_order is not None:
            before = sympy.Mul(*(other.minus for other in factors[:k]))
            after = sympy.Mul(*(other.plus for other in factors[k + 1 :]))
            parts.append((factor.jump_order + vanishing - factor.vanishing, factor.jump * before * after))
    order = min((order for order, _ in parts), default=None)
    return Local(
        vanishing,
        sympy.Mul(*(factor.minus for factor in factors)),
        sympy.Mul(*(factor.plus for factor in factors)),
        order,
        sum((jump for at, jump in parts if at == order), sympy.Integer(0)),
    )


def kinked(inner: Local, below: Formula) -> Local:
    """max(a, 0) + below·min(a, 0) of an argument a that vanishes on the kink set."""
    odd = inner.vanishing % 2

    def bend(value: Formula) -> Formula:
        return sympy.Max(value, 0) + below * sympy.Min(value, 0)

    plus = bend(inner.plus)
    minus = -bend(-inner.minus) if odd else bend(inner.minus)
    if inner.minus == inner.plus:
        if not odd:  # the argument keeps its sign, which is that of its first coefficient
            factor = below + (1 - below) * sympy.Heaviside(inner.plus)
            return Local(inner.vanishing, plus, plus, inner.jump_order, factor * inner.jump)
        return Local(inner.vanishing, minus, plus, inner.vanishing, (1 - below) * sympy.Abs(inner.plus))
    return Local(inner.vanishing, minus, plus, inner.vanishing, plus - minus)
