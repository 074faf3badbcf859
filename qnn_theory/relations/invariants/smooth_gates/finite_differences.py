"""Separation by finite differences: a smooth activation is no polynomial."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import flint

from qnn_theory.feature_spaces.degrees import degree_bound
from qnn_theory.feature_spaces.pieces import is_piecewise_polynomial, random_pieces
from qnn_theory.grammar.evaluate import ActivationRule, ParameterValues, evaluate
from qnn_theory.grammar.expr import Activation, uses_activation, walk
from qnn_theory.grammar.widths import width
from qnn_theory.relations.invariants.pair import DRAWS, Entries, Pair, Separation
from qnn_theory.relations.smooth_functions import PRECISION, SMOOTH, ball
from qnn_theory.relations.witness import Witness, nested

_KINKED = ("relu", "prelu")


def by_finite_differences(pair: Pair) -> Separation | None:
    """A difference of order D + 1 along a line that is not zero, where the target's pieces are polynomials of degree D.

    An analytic function that is a polynomial on one region of a piecewise polynomial one is that polynomial everywhere. A source
    that has relus too is analytic around a point where none of them has a kink; with its relus kept on the sides where they are
    there, it is an analytic function on R^d, and this is the polynomial.
    """
    kinds = {node.kind for node in walk(pair.source.expr) if isinstance(node, Activation)}
    if not kinds & set(SMOOTH) or not kinds <= {*SMOOTH, *_KINKED} or not is_piecewise_polynomial(pair.b):
        return None
    (dim,) = pair.dims(2)
    found_degree = max((sum(m) for f in random_pieces(pair.b, dim=dim, seed="degree") for m in f), default=0)
    degree = max(found_degree, degree_bound(pair.b, depth=1))  # at a small d, maps commute that do not at larger ones
    found = no_polynomial(pair, dim, degree, range(int(width(pair.a) * dim)))
    if found is None:
        return None
    shown, finding = found
    line = ", ".join(str(i + 1) for i in range(dim))
    around, continued = (f" around ({line})", " continued from there with its relus as they are there,")
    if not kinds & set(_KINKED):
        around, continued = "", ""
    piecewise = uses_activation(pair.b)
    rule = f"outputs of {pair.target.id} are polynomials of degree at most {degree}"
    if piecewise or continued:
        rule = (
            f"on every region, outputs of {pair.target.id} are polynomials of degree at most {degree}; the witness is analytic"
            f"{around}, so if it were one of them on a region, it{continued} would be this polynomial everywhere"
        )
    output = shown.outputs[0][0]
    return pair.separation(
        "finite difference",
        rule,
        finding,
        shown,
        [dim],
        closed=not piecewise,
        data=no_polynomial_data(pair, shown, output, degree, "pieces"),
    )


def no_polynomial_data(pair: Pair, shown: Witness, output: int, degree: int, reason: str) -> dict[str, Any]:
    """The difference for the checker, and why it separates."""
    direction = [str(i + 1) for i in range(shown.dim)]
    value = float(difference(pair, dict(shown.entries), shown.dim, degree)[output])
    numbers = {"output": output, "degree": degree, "value": f"{value:.12g}", "reason": reason}
    return {"rule": "no polynomial", "germs": [], "direction": direction, "around": direction, **numbers}


def difference(pair: Pair, entries: Entries, dim: int, degree: int) -> list[Any]:
    """The difference of the next order of each output of a function of the source, along (1, 2, ..., d) from 0, as balls.

    Relus are kept on the sides where they are at (1, 2, ..., d); where such a side is not certain, neither is the difference.
    """
    values = _balls(nested(pair.source.expr, entries, dim=dim))
    sides: list[bool | None] = []

    def note(node: Activation, value: Any, own: ParameterValues) -> Any:
        if node.kind in SMOOTH:
            return SMOOTH[node.kind](value)
        sides.append(True if value > 0 else False if value < 0 else None)
        return _kept(node, value, own, sides[-1])

    def outputs_at(k: int, rule: ActivationRule) -> list[Any]:
        point = [ball(Fraction(k * (i + 1))) for i in range(dim)]
        return evaluate(pair.source.expr, point, values, activation=rule, constant=ball)

    with flint.ctx.workprec(PRECISION):
        outputs_at(1, note)
        total = [flint.arb(0)] * int(width(pair.a) * dim)
        for k in range(degree + 2):
            known = iter(sides)

            def keep(node: Activation, value: Any, own: ParameterValues, known: Iterator[bool | None] = known) -> Any:
                return SMOOTH[node.kind](value) if node.kind in SMOOTH else _kept(node, value, own, next(known))

            weight = (-1) ** (degree + 1 - k) * math.comb(degree + 1, k)
            total = [old + weight * new for old, new in zip(total, outputs_at(k, keep), strict=True)]
        return total


def no_polynomial(pair: Pair, dim: int, degree: int, outputs: Sequence[int]) -> tuple[Witness, str] | None:
    """A function of the source with an output that is no polynomial of this degree, and the difference that shows it.

    Relus are kept on the sides where they are at (1, 2, ...); a relu whose side there is not certain makes the difference so.
    """

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


def _kept(node: Activation, value: Any, values: ParameterValues, upper: bool | None) -> Any:
    """A relu or prelu on one of its sides, as if it had no other."""
    if upper is None:
        return flint.arb("nan")
    if upper:
        return value
    return value * values[str(node.slope)] if node.kind == "prelu" else 0 * value


def _balls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _balls(part) for name, part in value.items()}
    return [_balls(part) for part in value] if isinstance(value, list) else ball(value)
