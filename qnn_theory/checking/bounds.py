"""Bounds of an expression that hold for all parameters, and for all x or those on one side of 0."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from functools import lru_cache, reduce
from typing import TypeAlias

from qnn_theory.grammar import expr as g

Bound: TypeAlias = tuple[Fraction | float, Fraction | float]
"""A lower and an upper bound; the only floats are infinities."""

_INF = math.inf
_ZERO = Fraction(0)
_DIPS = {"gelu": Fraction(-17, 100), "silu": Fraction(-279, 1000), "mish": Fraction(-309, 1000)}


@lru_cache(maxsize=10_000)
def bounds(expr: g.Expr, side: int) -> Bound:
    """Bounds of all coordinates, for all x with no x_j below (`side` 1) or above (-1) 0, or for any x (0)."""
    match expr:
        case g.Input() | g.FirstInput():
            return (_ZERO if side > 0 else -_INF), (_ZERO if side < 0 else _INF)
        case g.Constant(value=value):
            return value, value
        case g.Sum() | g.Product() | g.Power() | g.Multiple():
            factor, bases = factors(expr)
            if expr not in bases:
                powers = (_power(bounds(base, side), exponent) for base, exponent in bases.items())
                number: Bound = factor, factor
                return reduce(_times, powers, number)
            lows, highs = zip(*(bounds(part, side) for part in g.children(expr)), strict=True)
            return sum(lows, _ZERO), sum(highs, _ZERO)
        case g.Concat(parts=parts):
            lows, highs = zip(*(bounds(part, side) for part in parts), strict=True)
            return min(lows), max(highs)
        case g.RowSum(rows=rows, of=of):
            return _times((Fraction(rows), Fraction(rows)), bounds(of, side))
        case g.Slice(of=of) | g.HeadMajor(of=of):
            return bounds(of, side)
        case g.Scale(of=of):
            return (_ZERO, _ZERO) if bounds(of, side) == (0, 0) else (-_INF, _INF)
        case g.Activation(kind=kind, of=of):
            low, high = bounds(of, side)
            up = max(low, _ZERO), max(high, _ZERO)
            match kind:
                case "relu":
                    return up
                case "relu6":
                    return min(up[0], Fraction(6)), min(up[1], Fraction(6))
                case "sigmoid":
                    return _ZERO, Fraction(1)
                case "tanh":
                    return Fraction(0 if low >= 0 else -1), Fraction(0 if high <= 0 else 1)
                case "prelu":
                    return (low, high) if low >= 0 else (-_INF, _INF)
            return (_ZERO if low >= 0 else _DIPS[kind]), up[1]
    return -_INF, _INF


def never_negative(expr: g.Expr) -> bool:
    """Whether no coordinate is below 0, whatever x and the parameters are."""
    return bounds(expr, 0)[0] >= 0


def factors(expr: g.Expr) -> tuple[Fraction, Counter[g.Expr]]:
    """A number times powers of expressions: x + x is 2 x, and x ⊙ (-2 x) is -2 x²."""
    match expr:
        case g.Product(factors=parts):
            found = [factors(part) for part in parts]
            return math.prod((f for f, _ in found), start=Fraction(1)), sum((c for _, c in found), Counter[g.Expr]())
        case g.Power(of=of, exponent=exponent):
            factor, bases = factors(of)
            return factor**exponent, Counter({base: n * exponent for base, n in bases.items()})
        case g.Multiple(factor=factor, of=of):
            inner, bases = factors(of)
            return factor * inner, bases
        case g.Constant(value=value):
            return value, Counter()
        case g.Sum(terms=parts):
            pairs = [factors(part) for part in parts]
            if all(bases == pairs[0][1] for _, bases in pairs):
                return sum((f for f, _ in pairs), _ZERO), pairs[0][1]
    return Fraction(1), Counter({expr: 1})


def _power(a: Bound, exponent: int) -> Bound:
    low, high = reduce(_times, [a] * exponent)
    return (low if exponent % 2 else max(low, _ZERO)), high


def _times(a: Bound, b: Bound) -> Bound:
    corners = [_ZERO if 0 in (p, q) else p * q for p in a for q in b]
    return min(corners), max(corners)
