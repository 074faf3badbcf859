"""An evaluator of expressions that the checker owns, over any ring; what is bounded; how large a result can get."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import prod
from operator import add, mul
from typing import Any, TypeAlias

from qnn_theory.grammar import expr as g
from qnn_theory.grammar.widths import head_major_order, parameters, width

Atom: TypeAlias = tuple[g.Activation, str, int]
"""One activation: its node, the row it is in and the coordinate."""

Gate: TypeAlias = Callable[[Atom, Any, Mapping[str, Any]], Any]


class RejectedError(ValueError):
    """The certificate proves nothing; the message says why."""


class NotCheckedError(Exception):
    """The checker has no way, or no time, to decide; the message says about what."""


_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let no evaluation begin or go on after so much CPU time.

    Raises:
        NotCheckedError: the time is over.
    """
    token = _deadline.set(time.process_time() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def shapes(expr: g.Expr, dim: int) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter; row m of a row sum has its own, named ``W[m]`` from 1 on."""
    return {
        f"{p.name}{row}": tuple(int(axis * dim) for axis in p.axes)
        for p in parameters(expr)
        for row in (("",) if p.rows is None else tuple(f"[{m + 1}]" for m in range(p.rows)))
    }


def filled(shape: tuple[int, ...], entry: Callable[[tuple[int, ...]], Any], at: tuple[int, ...] = ()) -> Any:
    """Nested lists of a shape."""
    return [filled(shape[1:], entry, (*at, i)) for i in range(shape[0])] if shape else entry(at)


def outputs(
    expr: g.Expr, x: Sequence[Any], values: Mapping[str, Any], gate: Gate, number: Callable[[Fraction], Any]
) -> list[Any]:
    """The outputs of one layer; `number` makes a scalar of a rational number, `gate` applies an activation."""

    def dot(weights: Sequence[Any], inner: Sequence[Any]) -> Any:
        return reduce(add, map(mul, weights, inner))

    def visit(node: g.Expr, row: str) -> list[Any]:
        if time.process_time() > _deadline.get():
            raise NotCheckedError("it takes longer than the time that was given")
        match node:
            case g.Input() | g.FirstInput():
                return list(x)
            case g.Constant(value=value):
                return [number(value)] * int(node.width * len(x))
            case g.Affine(name=name, of=of):
                inner = visit(of, row)
                result = [dot(line, inner) for line in values[name + row]]
                return list(map(add, result, values[g.bias_name(name) + row])) if node.bias else result
            case g.Bilinear(name=name, left=left, right=right):
                a, b = visit(left, row), visit(right, row)
                result = [dot(a, [dot(line, b) for line in matrix]) for matrix in values[name + row]]
                return list(map(add, result, values[g.bias_name(name) + row])) if node.bias else result
            case g.Scale(name=name, of=of):
                return list(map(mul, values[name + row], visit(of, row)))
            case g.Sum(terms=parts):
                return [reduce(add, column) for column in zip(*(visit(p, row) for p in parts), strict=True)]
            case g.Product(factors=parts):
                return [reduce(mul, column) for column in zip(*(visit(p, row) for p in parts), strict=True)]
            case g.Power(of=of, exponent=exponent):
                return [reduce(mul, [value] * exponent) for value in visit(of, row)]
            case g.Multiple(factor=factor, of=of):
                return [number(factor) * value for value in visit(of, row)]
            case g.Activation(of=of):
                if node.kind == "relu" and _positive(of):
                    return visit(of, row)
                return [gate((node, row, i), value, values) for i, value in enumerate(visit(of, row))]
            case g.Concat(parts=parts):
                return [value for part in parts for value in visit(part, row)]
            case g.RowSum(rows=rows, of=of):
                copies = [visit(of, f"[{m + 1}]" if g.has_parameters(of) else "") for m in range(rows)]
                return [reduce(add, column) for column in zip(*copies, strict=True)]
            case g.Slice(index=index, blocks=blocks, of=of):
                inner = visit(of, row)
                size = len(inner) // blocks
                return inner[index * size : (index + 1) * size]
            case g.HeadMajor(heads=heads, embedding_dim=size, of=of):
                inner = visit(of, row)
                return [inner[i] for i in head_major_order(len(inner), heads=heads, embedding_dim=size)]

    return visit(expr, "")


def activations(expr: g.Expr) -> list[g.Activation]:
    """The activations of an expression that matter: relu(u) is u where u is never negative."""
    return [n for n in g.walk(expr) if isinstance(n, g.Activation) and not (n.kind == "relu" and _positive(n.of))]


@dataclass(frozen=True, slots=True)
class Size:
    """Upper bounds of a polynomial's number of terms and degree."""

    terms: int
    degree: int

    def __add__(self, other: Size) -> Size:
        return Size(self.terms + other.terms, max(self.degree, other.degree))

    def __mul__(self, other: Size) -> Size:
        return Size(self.terms * other.terms, self.degree + other.degree)


def size(expr: g.Expr, dim: int, values: Mapping[str, Any] | None = None) -> Size:
    """How large the largest output can get, in parameters, inputs and indicators of activations."""
    one = Size(1, 1)
    own = {name: filled(shape, lambda at: one) for name, shape in entries_of(expr, dim).items()}
    found = outputs(
        expr, [one] * dim, values or own, lambda atom, u, _: Size(4 * u.terms + 1, u.degree + 2), lambda f: Size(1, 0)
    )
    return Size(max(f.terms for f in found), max(f.degree for f in found))


def entries_of(expr: g.Expr, dim: int) -> dict[str, tuple[int, ...]]:
    """The shapes, once it is known that there are not too many entries to compute with."""
    found = shapes(expr, dim)
    if sum(map(prod, found.values())) > 20_000 or int(width(expr) * dim) > 1000:
        raise NotCheckedError(f"a layer with so many parameters at d = {dim}")
    return found


Bound: TypeAlias = tuple[Fraction | None, Fraction | None]
_DIPS = {"gelu": Fraction(-17, 100), "silu": Fraction(-279, 1000), "mish": Fraction(-309, 1000)}


def bounds(expr: g.Expr, side: int) -> Bound:
    """A lower and an upper bound of all coordinates, for all parameters and all x with no x_j below (above) 0, or any x."""
    match expr:
        case g.Input() | g.FirstInput():
            return (Fraction(0) if side > 0 else None), (Fraction(0) if side < 0 else None)
        case g.Constant(value=value):
            return value, value
        case g.Sum(terms=parts) | g.Concat(parts=parts):
            factor, bases = _factors(expr)
            if expr not in bases:  # x + x is 2 x
                return _product(factor, bases, side)
            lows, highs = zip(*(bounds(part, side) for part in parts), strict=True)
            if isinstance(expr, g.Concat):
                return (None if None in lows else min(lows)), (None if None in highs else max(highs))
            return (None if None in lows else sum(lows, Fraction(0))), (
                None if None in highs else sum(highs, Fraction(0))
            )
        case g.RowSum(rows=rows, of=of):
            low, high = bounds(of, side)
            return (None if low is None else rows * low), (None if high is None else rows * high)
        case g.Slice(of=of) | g.HeadMajor(of=of):
            return bounds(of, side)
        case g.Scale(of=of):
            return (Fraction(0), Fraction(0)) if not any(b is None or b for b in bounds(of, side)) else (None, None)
        case g.Product() | g.Power() | g.Multiple():
            factor, bases = _factors(expr)
            return _product(factor, bases, side)
        case g.Activation(kind=kind, of=of):
            low, high = bounds(of, side)
            up = (max(low or Fraction(0), Fraction(0)), None if high is None else max(high, Fraction(0)))
            six = Fraction(6)
            flat = low is not None and low >= 0
            match kind:
                case "relu":
                    return up
                case "relu6":
                    return min(six, up[0]), six if up[1] is None else min(six, up[1])
                case "sigmoid":
                    return Fraction(0), Fraction(1)
                case "tanh":
                    return Fraction(0 if flat else -1), Fraction(0 if high is not None and high <= 0 else 1)
                case "prelu":
                    return (low, high) if flat else (None, None)
                case _:
                    return (Fraction(0) if flat else _DIPS[kind]), up[1]
        case _:
            return None, None


def _positive(expr: g.Expr) -> bool:
    low = bounds(expr, 0)[0]
    return low is not None and low >= 0


def _product(factor: Fraction, bases: Counter[g.Expr], side: int) -> Bound:
    result: Bound = (factor, factor)
    for base, exponent in bases.items():
        result = _times(result, _power(bounds(base, side), exponent))
    return result


def _factors(expr: g.Expr) -> tuple[Fraction, Counter[g.Expr]]:
    match expr:
        case g.Product(factors=parts):
            found = [_factors(part) for part in parts]
            return prod((f for f, _ in found), start=Fraction(1)), sum((c for _, c in found), Counter[g.Expr]())
        case g.Power(of=of, exponent=exponent):
            factor, bases = _factors(of)
            return factor**exponent, Counter({base: n * exponent for base, n in bases.items()})
        case g.Multiple(factor=factor, of=of):
            inner, bases = _factors(of)
            return factor * inner, bases
        case g.Constant(value=value):
            return value, Counter()
        case g.Sum(terms=parts):
            pairs = [_factors(part) for part in parts]
            if all(bases == pairs[0][1] for _, bases in pairs):
                return sum((f for f, _ in pairs), Fraction(0)), pairs[0][1]
    return Fraction(1), Counter({expr: 1})


def _power(a: Bound, exponent: int) -> Bound:
    low, high = reduce(_times, [a] * exponent)
    return (low if exponent % 2 else max(low or Fraction(0), Fraction(0))), high


def _times(a: Bound, b: Bound) -> Bound:
    """All products: a bound is missing where a factor with a missing bound can meet one of the wrong sign."""
    inf = float("inf")
    ends = [(-inf if low is None else low, inf if high is None else high) for low, high in (a, b)]
    corners = [Fraction(0) if 0 in (p, q) else p * q for p in ends[0] for q in ends[1]]
    low, high = min(corners), max(corners)
    return (None if low == -inf else Fraction(low)), (None if high == inf else Fraction(high))
