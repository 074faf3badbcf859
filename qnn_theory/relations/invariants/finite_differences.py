"""Separation by finite differences: a smooth activation is no polynomial."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import flint

from qnn_theory.algebra.polynomials import to_flint
from qnn_theory.feature_spaces.pieces import random_pieces
from qnn_theory.grammar.evaluate import ParameterValues, evaluate
from qnn_theory.grammar.expr import Activation, ActivationKind, uses_activation, walk
from qnn_theory.relations.invariants.pair import DRAWS, Entries, Pair, Separation
from qnn_theory.relations.witness import nested

_SMOOTH: dict[ActivationKind, Callable[[Any], Any]] = {
    "gelu": lambda u: u / 2 * (1 + (u / flint.arb(2).sqrt()).erf()),
    "silu": lambda u: u / (1 + (-u).exp()),
    "mish": lambda u: u * (1 + u.exp()).log().tanh(),
    "sigmoid": lambda u: 1 / (1 + (-u).exp()),
    "tanh": lambda u: u.tanh(),
}
_PRECISION = 256


def by_finite_differences(pair: Pair) -> Separation | None:
    """A difference of order D + 1 along a line that is not zero, where the target's outputs are of degree D."""
    kinds = {node.kind for node in walk(pair.a) if isinstance(node, Activation)}
    if uses_activation(pair.b) or not kinds or not kinds <= set(_SMOOTH):
        return None
    (dim,) = pair.dims(2)
    degree = max(sum(m) for f in random_pieces(pair.b, dim=dim, seed="degree") for m in f)

    def difference(entries: Entries, output: int) -> Any:
        values = nested(pair.source.expr, entries, dim=dim)
        with flint.ctx.workprec(_PRECISION):
            total = flint.arb(0)
            for k in range(degree + 2):
                point = [_ball(Fraction(k * (i + 1))) for i in range(dim)]
                outputs = evaluate(pair.source.expr, point, _balls(values), activation=_activate, constant=_ball)
                total += (-1) ** (degree + 1 - k) * math.comb(degree + 1, k) * outputs[output]
            return total

    for attempt in range(DRAWS):
        entries = pair.draw(dim, attempt)
        if difference(entries, 0) == 0 or difference(entries, 0).contains(0):
            continue
        shown = pair.shown(entries, lambda some: not difference(some, 0).contains(0), dim, [0])
        size = float(difference(dict(shown.entries), 0))
        line = ", ".join(str(i + 1) for i in range(dim))
        rule = f"outputs of {pair.target.id} are polynomials of degree at most {degree}"
        finding = f"the difference of order {degree + 1} of y_1 at 0, 1, ..., {degree + 1} times ({line}) is {size:.6g}, not 0"
        data = {"degree": degree, "direction": [str(i + 1) for i in range(dim)], "value": f"{size:.12g}"}
        return pair.separation("finite difference", rule, finding, shown, [dim], data=data)
    return None


def _activate(node: Activation, value: Any, values: ParameterValues) -> Any:
    return _SMOOTH[node.kind](value)


def _ball(number: Fraction) -> Any:
    return flint.arb(to_flint(number))


def _balls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _balls(part) for name, part in value.items()}
    return [_balls(part) for part in value] if isinstance(value, list) else _ball(value)
