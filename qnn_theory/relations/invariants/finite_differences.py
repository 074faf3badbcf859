"""Separation by finite differences: a smooth activation is no polynomial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import flint

from qnn_theory.feature_spaces.pieces import is_piecewise_polynomial, random_pieces
from qnn_theory.grammar.evaluate import ParameterValues, evaluate
from qnn_theory.grammar.expr import Activation, uses_activation, walk
from qnn_theory.grammar.widths import width
from qnn_theory.relations.invariants.pair import DRAWS, Entries, Pair, Separation
from qnn_theory.relations.smooth_functions import PRECISION, SMOOTH, ball
from qnn_theory.relations.witness import Witness, nested


def by_finite_differences(pair: Pair) -> Separation | None:
    """A difference of order D + 1 along a line that is not zero, where the target's pieces are polynomials of degree D.

    An analytic function that is a polynomial on one region of a piecewise polynomial one is that polynomial everywhere.
    """
    kinds = {node.kind for node in walk(pair.source.expr) if isinstance(node, Activation)}
    if not kinds or not kinds <= set(SMOOTH) or not is_piecewise_polynomial(pair.b):
        return None
    (dim,) = pair.dims(2)
    degree = max((sum(m) for f in random_pieces(pair.b, dim=dim, seed="degree") for m in f), default=0)
    found = no_polynomial(pair, dim, degree, range(int(width(pair.a) * dim)))
    if found is None:
        return None
    shown, finding = found
    piecewise = uses_activation(pair.b)
    rule = f"outputs of {pair.target.id} are polynomials of degree at most {degree}"
    if piecewise:
        rule = (
            f"on every region, outputs of {pair.target.id} are polynomials of degree at most {degree}; the witness is "
            "analytic, so if it were one of them on a region, it would be this polynomial everywhere"
        )
    output = shown.outputs[0][0]
    value = float(difference(pair, dict(shown.entries), dim, degree)[output])
    data = {
        "output": output,
        "degree": degree,
        "direction": [str(i + 1) for i in range(dim)],
        "value": f"{value:.12g}",
    }
    return pair.separation("finite difference", rule, finding, shown, [dim], closed=not piecewise, data=data)


def difference(pair: Pair, entries: Entries, dim: int, degree: int) -> list[Any]:
    """The difference of the next order of each output of a function of the source, along (1, 2, ..., d) from 0, as balls."""
    values = nested(pair.source.expr, entries, dim=dim)
    with flint.ctx.workprec(PRECISION):
        total = [flint.arb(0)] * int(width(pair.a) * dim)
        for k in range(degree + 2):
            point = [ball(Fraction(k * (i + 1))) for i in range(dim)]
            results = evaluate(pair.source.expr, point, _balls(values), activation=_activate, constant=ball)
            weight = (-1) ** (degree + 1 - k) * math.comb(degree + 1, k)
            total = [old + weight * new for old, new in zip(total, results, strict=True)]
        return total


def no_polynomial(pair: Pair, dim: int, degree: int, outputs: Sequence[int]) -> tuple[Witness, str] | None:
    """A function of the source with an output that is no polynomial of this degree, and the difference that shows it."""

    def differs(entries: Entries, output: int) -> bool:
        return not flint.arb(difference(pair, entries, dim, degree)[output]).contains(0)

    for attempt in range(DRAWS):
        entries = pair.draw(dim, attempt, signed=attempt % 2 == 1)
        output = next((i for i in outputs if differs(entries, i)), None)
        if output is None:
            continue
        shown = pair.shown(entries, lambda some, output=output: differs(some, output), dim, [output])  # type: ignore[misc]
        size = float(difference(pair, dict(shown.entries), dim, degree)[output])
        line = ", ".join(str(i + 1) for i in range(dim))
        where = f"at 0, 1, ..., {degree + 1} times ({line})"
        return shown, f"the difference of order {degree + 1} of y_{output + 1} {where} is {size:.6g}, not 0"
    return None


def _activate(node: Activation, value: Any, values: ParameterValues) -> Any:
    return SMOOTH[node.kind](value)


def _balls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _balls(part) for name, part in value.items()}
    return [_balls(part) for part in value] if isinstance(value, list) else ball(value)
