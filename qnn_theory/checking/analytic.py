"""Rules about values and derivatives: signs on an orthant, smoothness, finite differences along a line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import flint

from qnn_theory.checking.evaluation import NotCheckedError, RejectedError, activations, bounds, outputs
from qnn_theory.checking.functions import Family, Witness, piecewise
from qnn_theory.checking.reading import listed, rational, whole
from qnn_theory.grammar.expr import (
    Activation,
    Concat,
    Expr,
    FirstInput,
    Input,
    Multiple,
    Power,
    Product,
    Slice,
    Sum,
    children,
    uses_activation,
)
from qnn_theory.grammar.widths import width


def check_sign(shown: Witness, target: Expr, data: Mapping[str, Any]) -> str:
    """``y_i - shift x_i`` is at least (at most) a limit on an orthant for the target; the witness has a point beyond."""
    if not piecewise(shown.source):
        raise NotCheckedError("the sign of a function with a smooth activation")
    output = whole(data["output"], 0, shown.count - 1, "an output")
    side, shift = whole(data["side"], -1, 1, "a side"), whole(data["shift"], 0, 1, "a shift")
    point, value, limit = shown.point(data["point"]), rational(data["value"]), rational(data["limit"])
    rest = target
    if shift:
        terms = list(target.terms) if isinstance(target, Sum) else []
        own = next((k for k, term in enumerate(terms) if isinstance(term, Input | FirstInput)), None)
        if own is None or len(terms) < 2:
            raise RejectedError("the target adds no x that could be subtracted")
        del terms[own]
        rest = terms[0] if len(terms) == 1 else Sum(terms=tuple(terms))
    first, part = Fraction(0), rest
    for part in rest.parts if isinstance(rest, Concat) else (rest,):
        if output < (first + width(part)) * shown.dim:
            break
        first += width(part)
    if type(data["upper"]) is not bool or bounds(part, side)[data["upper"]] != limit:
        raise RejectedError("the target does not keep to this bound, as far as its formula shows")
    if any(number * side < 0 for number in point):
        raise RejectedError("the point is not in the orthant")
    if shown.at(point)[output] != value:
        raise RejectedError(f"the witness has y_{output + 1} = {str(shown.at(point)[output])[:60]} at the point")
    distance = value - shift * (point[output] if output < shown.dim else 0) - limit
    if distance == 0 or (distance > 0) != data["upper"]:
        raise RejectedError("the witness keeps to the bound")
    return ", exact"


def check_smoothness(shown: Witness, target: Expr, data: Mapping[str, Any]) -> str:
    """A derivative of the witness along a line jumps, of an order up to which the target's are continuous."""
    if not piecewise(shown.source):
        raise NotCheckedError("a kink of a function with a smooth activation")
    output = whole(data["output"], 0, shown.count - 1, "an output")
    order = whole(data["derivative"], 1, 1000, "an order")
    point, step, jump = shown.point(data["point"]), _direction(data["direction"], shown.dim), rational(data["jump"])
    after, before = (shown.along(point, step, side)[output] for side in (1, -1))
    difference = (after - before).coeffs()
    first = next((k for k, c in enumerate(difference) if c != 0), None)
    if first != order or difference[first] * math.factorial(first) != flint.fmpq(jump.numerator, jump.denominator):
        raise RejectedError(f"the witness's derivative of order {order} does not jump so there, or not as the first")
    smooth = smoothness_bound(target)
    if smooth is not None and smooth < order:
        raise NotCheckedError(
            f"that functions of the target are smoother than C^{smooth}, which is all that its formula shows"
        )
    return ", exact"


def smoothness_bound(expr: Expr) -> int | None:
    """An r such that all functions are C^r, from the formula; None: analytic. relu(u)^n is C^(n - 1), and x relu(x) is C^1."""
    if not uses_activation(expr):
        return None
    if isinstance(expr, Product | Power | Multiple):
        factors = _factors(expr)
        kinked = [f for f in factors if smoothness_bound(f) is not None]
        if all(isinstance(f, Activation) and f.kind == "relu" and smoothness_bound(f.of) is None for f in kinked):
            counts = {f: kinked.count(f) for f in kinked}
            orders = [n - 1 + (factors.count(f.of) if isinstance(f, Activation) else 0) for f, n in counts.items()]
            return min(orders, default=None)
    if isinstance(expr, Activation) and expr.kind in ("relu", "relu6", "prelu"):
        return smoothness_bound(expr.of) if expr not in activations(expr) else 0
    orders = [r for r in (smoothness_bound(child) for child in children(expr)) if r is not None]
    return min(orders, default=None)


def _factors(expr: Expr) -> list[Expr]:
    match expr:
        case Product(factors=parts):
            return [factor for part in parts for factor in _factors(part)]
        case Power(of=of, exponent=exponent):
            return _factors(of) * exponent
        case Multiple(of=of):
            return _factors(of)
        case Slice(index=index, blocks=blocks, of=of):
            return [Slice(index=index, blocks=blocks, of=factor) for factor in _factors(of)]
    return [expr]


def _direction(value: Any, dim: int) -> list[Fraction]:
    return [rational(step) for step in listed(value, dim, "a direction")]


SMOOTH: dict[str, Any] = {
    "gelu": lambda u: u / 2 * (1 + (u / flint.arb(2).sqrt()).erf()),
    "silu": lambda u: u / (1 + (-u).exp()),
    "mish": lambda u: u * (1 + u.exp()).log().tanh(),
    "sigmoid": lambda u: 1 / (1 + (-u).exp()),
    "tanh": lambda u: u.tanh(),
}


def check_difference(shown: Witness, target: Expr, data: Mapping[str, Any]) -> str:
    """Along a line from 0 the witness's difference of order D + 1 is not 0, where the target's pieces are of degree D.

    The witness is analytic: if it were one of the target's polynomials on a region, it would be that one everywhere.
    """
    if any(node.kind not in SMOOTH for node in activations(shown.source)):
        raise RejectedError("the source has an activation that is not analytic")
    family = Family(target, shown.dim)
    output, degree = whole(data["output"], 0, shown.count - 1, "an output"), whole(data["degree"], 0, 300, "a degree")
    if degree != max((sum(m) for _ in range(3) for f in family.member() for m in f), default=0):
        raise RejectedError("the target's outputs are of another degree")
    step = _direction(data["direction"], shown.dim)

    def ball(number: Fraction) -> Any:
        return flint.arb(flint.fmpq(number.numerator, number.denominator))

    def activate(atom: Any, u: Any, values: Mapping[str, Any]) -> Any:
        kind = atom[0].kind
        if kind not in SMOOTH:
            raise NotCheckedError(f"a finite difference of {kind}")
        return SMOOTH[kind](u)

    with flint.ctx.workprec(400):
        total = flint.arb(0)
        for k in range(degree + 2):
            y = outputs(shown.source, [ball(k * s) for s in step], shown.numbers(ball), activate, ball)[output]
            total += (-1) ** (degree + 1 - k) * math.comb(degree + 1, k) * y
        try:
            stated = flint.arb(str(data["value"])[:40]) if isinstance(data["value"], str) else None
        except ValueError:
            stated = None
        if stated is None or total.contains(0) or not abs(total - stated) <= abs(total) * ball(Fraction(1, 10**11)):
            raise RejectedError(f"the witness's difference of order {degree + 1} is {float(total.mid()):.12g}")
    return f"; error below {1e-30:.0e}"
