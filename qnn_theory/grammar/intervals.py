"""Ranges of an expression's coordinates that hold for all inputs and parameters, as closed intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import TypeAlias, assert_never

from qnn_theory.grammar.expr import (
    Activation,
    Affine,
    Bilinear,
    Concat,
    Constant,
    Expr,
    FirstInput,
    HeadMajor,
    Input,
    Multiple,
    Power,
    Product,
    RowSum,
    Scale,
    Slice,
    Sum,
)

Bound: TypeAlias = Fraction | None  # None is unbounded

# Just below the minima -0.16997..., -0.27846... and -0.30884... of the activations that dip below zero.
_DIP = {"gelu": Fraction(-17, 100), "silu": Fraction(-279, 1000), "mish": Fraction(-309, 1000)}


@dataclass(frozen=True, slots=True)
class Interval:
    """``[low, high]``; a bound of None is infinite."""

    low: Bound = None
    high: Bound = None

    def at_least(self, value: int) -> bool:
        """Whether no element is below the value."""
        return self.low is not None and self.low >= value

    def at_most(self, value: int) -> bool:
        """Whether no element is above the value."""
        return self.high is not None and self.high <= value


def interval(expr: Expr, inputs: Interval | None = None) -> Interval:
    """A range that holds every coordinate of the expression, whatever the parameters.

    Args:
        expr: the expression.
        inputs: a range that holds x; all numbers when left out. The first input of a stack may be any number.
    """

    def monomial(number: Fraction, bases: Counter[Expr]) -> Interval:
        powers = (_power(visit(base), exponent) for base, exponent in bases.items())
        return reduce(_product, powers, Interval(number, number))

    def visit(node: Expr) -> Interval:
        match node:
            case Input():
                return inputs or Interval()
            case Constant(value=number):
                return Interval(number, number)
            case FirstInput() | Affine() | Bilinear():
                return Interval()
            case Scale(of=of):
                inner = visit(of)
                return inner if inner.low == inner.high == 0 else Interval()
            case Sum(terms=terms):
                number, bases = as_monomial(node)
                if node in bases:
                    capped, others = _capped_relus(terms)
                    ranges = [_product(Interval(m, m), _cap(visit(of), level)) for m, of, level in capped]
                    return reduce(_sum, (*ranges, *map(visit, others)))
                return monomial(number, bases)
            case RowSum(rows=rows, of=of):
                return _product(Interval(Fraction(rows), Fraction(rows)), visit(of))
            case Product() | Power() | Multiple():
                return monomial(*as_monomial(node))
            case Concat(parts=parts):
                return reduce(_hull, (visit(part) for part in parts))
            case Slice(of=of) | HeadMajor(of=of):
                return visit(of)
            case Activation(of=of):
                return _activation(node, visit(of))
            case _:
                assert_never(node)

    return visit(expr)


def as_monomial(expr: Expr) -> tuple[Fraction, Counter[Expr]]:
    """An expression as a number times powers of expressions that are no products: x ⊙ (-2·x) is -2 times x²."""
    match expr:
        case Product(factors=factors):
            number, bases = Fraction(1), Counter[Expr]()
            for factor in factors:
                inner_number, inner_bases = as_monomial(factor)
                number *= inner_number
                bases += inner_bases
            return number, bases
        case Power(of=of, exponent=exponent):
            number, bases = as_monomial(of)
            return number**exponent, Counter({base: count * exponent for base, count in bases.items()})
        case Multiple(factor=factor, of=of):
            number, bases = as_monomial(of)
            return factor * number, bases
        case Constant(value=number):
            return number, Counter()
        case Sum(terms=terms):
            numbers, kinds = zip(*(as_monomial(term) for term in terms), strict=True)
            if all(bases == kinds[0] for bases in kinds):  # x + x is 2·x
                return sum(numbers, Fraction(0)), kinds[0]
            return Fraction(1), Counter({expr: 1})
        case _:
            return Fraction(1), Counter({expr: 1})


def _capped_relus(terms: Sequence[Expr]) -> tuple[list[tuple[Fraction, Expr, Fraction]], list[Expr]]:
    """Pairs ``m relu(u) - m relu(u - c)`` with c > 0, which are m times u cut off below 0 and above c, and the other terms."""
    others = list(terms)
    found: list[tuple[Fraction, Expr, Fraction]] = []
    relus = [(term, *parts) for term in terms if (parts := _relu_parts(term)) is not None]
    for term, factor, of, rest, number in relus:
        for partner, other_factor, _, other_rest, other_number in relus:
            fits = factor == -other_factor and rest == other_rest and number > other_number
            if fits and term in others and partner in others:
                others.remove(term)
                others.remove(partner)
                found.append((factor, of, number - other_number))
    return found, others


def _relu_parts(term: Expr) -> tuple[Fraction, Expr, Counter[Expr], Fraction] | None:
    """A multiple of a relu as its factor, the argument, and that as terms plus a number."""
    factor, relu = (term.factor, term.of) if isinstance(term, Multiple) else (Fraction(1), term)
    if not (isinstance(relu, Activation) and relu.kind == "relu"):
        return None
    terms = relu.of.terms if isinstance(relu.of, Sum) else (relu.of,)
    number = sum((part.value for part in terms if isinstance(part, Constant)), Fraction(0))
    return factor, relu.of, Counter(part for part in terms if not isinstance(part, Constant)), number


def _cap(of: Interval, level: Fraction) -> Interval:
    """The range of min(max(u, 0), level)."""
    zero = Fraction(0)
    low = zero if of.low is None else min(level, max(zero, of.low))
    return Interval(low, level if of.high is None else min(level, max(zero, of.high)))


def _activation(node: Activation, of: Interval) -> Interval:
    zero = Fraction(0)
    positive = Interval(max(zero, of.low or zero), None if of.high is None else max(zero, of.high))
    match node.kind:
        case "relu":
            return positive
        case "relu6":
            return _cap(of, Fraction(6))
        case "prelu":
            return of if of.at_least(0) else Interval()
        case "gelu" | "silu" | "mish":
            return Interval(zero if of.at_least(0) else _DIP[node.kind], positive.high)
        case "sigmoid":
            return Interval(zero, Fraction(1))
        case "tanh":
            return Interval(zero if of.at_least(0) else Fraction(-1), zero if of.at_most(0) else Fraction(1))
        case _:
            assert_never(node.kind)


def _sum(a: Interval, b: Interval) -> Interval:
    return Interval(
        None if a.low is None or b.low is None else a.low + b.low,
        None if a.high is None or b.high is None else a.high + b.high,
    )


def _hull(a: Interval, b: Interval) -> Interval:
    return Interval(
        None if a.low is None or b.low is None else min(a.low, b.low),
        None if a.high is None or b.high is None else max(a.high, b.high),
    )


def _power(a: Interval, exponent: int) -> Interval:
    result = reduce(_product, [a] * exponent)
    if exponent % 2:
        return result
    return Interval(max(Fraction(0), result.low or Fraction(0)), result.high)


def _product(a: Interval, b: Interval) -> Interval:
    corners = [_corner(p, q) for p in _ends(a) for q in _ends(b)]
    return Interval(
        None if any(c == -_INFINITY for c in corners) else Fraction(min(corners)),
        None if any(c == _INFINITY for c in corners) else Fraction(max(corners)),
    )


_INFINITY = float("inf")


def _ends(a: Interval) -> tuple[Fraction | float, Fraction | float]:
    return (-_INFINITY if a.low is None else a.low), (_INFINITY if a.high is None else a.high)


def _corner(p: Fraction | float, q: Fraction | float) -> Fraction | float:
    return Fraction(0) if p == 0 or q == 0 else p * q
