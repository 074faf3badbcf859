"""Separation by range: outputs, or their distance from the residual, that stay on one side of a number on an orthant."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from qnn_theory.algebra.deadline import check
from qnn_theory.feature_spaces.pieces import is_piecewise_polynomial
from qnn_theory.grammar.evaluate import evaluate, relu_of_numbers
from qnn_theory.grammar.expr import Concat, Expr, Input, Sum
from qnn_theory.grammar.intervals import Interval, interval
from qnn_theory.grammar.widths import width
from qnn_theory.relations.invariants.pair import DRAWS, Entries, Pair, Separation
from qnn_theory.relations.witness import nested

_REGIONS = (
    ("", Interval(), 0),
    ("where every x_j ≥ 0, ", Interval(Fraction(0), None), 1),
    ("where every x_j ≤ 0, ", Interval(None, Fraction(0)), -1),
)


@dataclass(frozen=True, slots=True)
class _Bound:
    """``y_i - shift x_i`` is at least (or at most) a number on an orthant, for the outputs of one part."""

    words: str
    side: int
    shift: int
    limit: Fraction
    upper: bool
    first: Fraction
    part: Expr

    def rule(self, output: int) -> str:
        residual = f"x_{output + 1}" if self.shift else ""
        limit = str(self.limit) if self.limit or not residual else ""
        right = " + ".join(text for text in (residual, limit) if text)
        return f"{self.words}y_{output + 1} {'≤' if self.upper else '≥'} {right}"


def by_sign(pair: Pair) -> Separation | None:
    """An output of the source on the far side of a bound that the target keeps, the simplest bound first."""
    if not is_piecewise_polynomial(pair.a):
        return None
    for bound in _bounds(pair.b):
        found = _crossed(pair, bound)
        if found is not None:
            return found
    return None


def _bounds(expr: Expr) -> Iterator[_Bound]:
    for words, inputs, side in _REGIONS:
        for shift, rest in ((0, expr), (1, _without_residual(expr))):
            for first, part in _parts_of(rest) if rest is not None else ():
                known = interval(part, inputs)
                for limit, upper in ((known.low, False), (known.high, True)):
                    if limit is not None:
                        yield _Bound(words, side, shift, limit, upper, first, part)


def _crossed(pair: Pair, bound: _Bound) -> Separation | None:
    (dim,) = pair.dims(2)
    outputs = range(int(bound.first * dim), int((bound.first + width(bound.part)) * dim))
    generator = random.Random(f"{pair.source.id}|sign")
    for attempt in range(4 * DRAWS):
        check()
        entries = pair.draw(dim, attempt, signed=True)
        point = [Fraction(generator.choice((1, 2, 3)) * (bound.side or generator.choice((-1, 1)))) for _ in range(dim)]
        for output in outputs:
            found = _crossed_at(pair, bound, entries, point, output)
            if found is not None:
                return found
    return None


def _crossed_at(pair: Pair, bound: _Bound, entries: Entries, point: list[Fraction], output: int) -> Separation | None:
    dim = len(point)

    def value(some: Entries) -> Fraction:
        values = nested(pair.source.expr, some, dim=dim)
        return Fraction(evaluate(pair.source.expr, point, values, activation=relu_of_numbers)[output])

    def crosses(some: Entries) -> bool:
        residual = point[output] if bound.shift else 0  # only an output that adds x_i has an x_i
        distance = value(some) - residual - bound.limit
        return distance > 0 if bound.upper else distance < 0

    if not crosses(entries):
        return None
    shown = pair.shown(entries, crosses, dim, [output])
    rule = f"in every function of {pair.target.id}, {bound.rule(output)}"
    finding = f"the witness has y_{output + 1} = {value(dict(shown.entries))} at x = ({', '.join(map(str, point))})"
    data = {
        "rule": "sign",
        "germs": [],
        "output": output,
        "side": bound.side,
        "shift": bound.shift,
        "limit": str(bound.limit),
        "upper": bound.upper,
        "point": [str(number) for number in point],
        "value": str(value(dict(shown.entries))),
    }
    return pair.separation("sign", rule, finding, shown, [dim], data=data)


def _without_residual(expr: Expr) -> Expr | None:
    """The layer minus x, if it adds x."""
    if isinstance(expr, Sum) and Input() in expr.terms:
        rest = list(expr.terms)
        rest.remove(Input())
        return rest[0] if len(rest) == 1 else Sum(terms=tuple(rest))
    return None


def _parts_of(expr: Expr) -> Iterator[tuple[Fraction, Expr]]:
    """The joined parts of an expression, each with the position of its first output as a multiple of d."""
    first = Fraction(0)
    for part in expr.parts if isinstance(expr, Concat) else (expr,):
        yield first, part
        first += width(part)
