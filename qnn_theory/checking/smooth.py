"""A difference along a line that is not 0, in interval arithmetic: a function of smooth activations is no polynomial.

Why that separates is stated as the reason:

* ``pieces``: the target's functions are polynomials in pieces; an analytic function that is one on a region is it everywhere.
* ``poles``: gelu is entire; sigmoid, silu, tanh and mish of affine forms tend to polynomials exponentially fast on both ends of a
  line, and an entire function of that kind would be of exponential type, with derivatives that decay exponentially on both
  ends: their Fourier transform has compact support and is analytic, so it is 0, and the function a polynomial.
* ``rate``: gelu of affine forms differs from polynomials by e^(-c t²), a rational function of t and exponentials never does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import flint

from qnn_theory.checking.evaluation import Step, degree, outputs, step_kinds
from qnn_theory.checking.functions import Family, Witness, fmpq
from qnn_theory.checking.reading import RejectedError, listed, whole
from qnn_theory.checking.switches import affine_arguments
from qnn_theory.grammar import expr as g

_STEPS: dict[str, Any] = {
    "p": lambda u: (1 + (u / flint.arb(2).sqrt()).erf()) / 2,
    "m": lambda u: (1 + u.exp()).log().tanh(),
    "s": lambda u: 1 / (1 + (-u).exp()),
}


def ball(number: Fraction) -> Any:
    """A rational number as a ball."""
    return flint.arb(fmpq(number))


def value_at(kind: g.ActivationKind, number: Fraction) -> Any:
    """The value of a smooth activation, as a ball."""
    node = g.Activation(kind=kind, of=g.x)
    return outputs(node, [ball(number)], {}, lambda step, u: (u, _STEPS[step.kind](u)), ball)[0]


def check_no_polynomial(shown: Witness, target: g.Expr, data: Mapping[str, Any]) -> str:
    """The difference of order D + 1 of an output at 0, 1, ..., D + 1 times a direction is not 0.

    Steps of relus are kept as they are at `around`, so that the function is analytic.
    """
    output, order = (
        whole(data["output"], 0, shown.count - 1, "an output"),
        1 + whole(data["degree"], 0, 300, "a degree"),
    )
    direction, around = shown.point(data["direction"]), shown.point(data["around"])
    listed(shown.germs, 0, "the germs of this rule")
    least = _least_degree(shown, target, data["reason"])
    if order <= least:
        raise RejectedError(f"the degree that is excluded is {least}")
    with flint.ctx.workprec(400):
        values, kept = shown.numbers(ball), dict[Step, int]()

        def note(step: Step, u: Any) -> tuple[Any, Any]:
            if step.kind != "H":
                return u, _STEPS[step.kind](u)
            if not (u > 0 or u < 0):
                raise RejectedError("a relu is on its kink at the point around which the function is continued")
            return u, kept.setdefault(step, int(u > 0))

        def again(step: Step, u: Any) -> tuple[Any, Any]:
            return (u, kept[step]) if step.kind == "H" else note(step, u)

        outputs(shown.source, [ball(p) for p in around], values, note, ball)
        total = flint.arb(0)
        for k in range(order + 1):
            y = outputs(shown.source, [ball(k * s) for s in direction], values, again, ball)[output]
            total += (-1) ** (order - k) * math.comb(order, k) * y
        try:
            stated = flint.arb(str(data["value"])[:40]) if isinstance(data["value"], str) else None
        except ValueError:
            stated = None
        if stated is None or total.contains(0) or not abs(total - stated) <= abs(total) * ball(Fraction(1, 10**11)):
            raise RejectedError(f"the witness's difference of order {order} is {float(total.mid()):.12g}")
    return f" ({data['reason']}); error below {1e-30:.0e}"


def _least_degree(shown: Witness, target: g.Expr, reason: Any) -> int:
    """The degree of the polynomials that a function of both formats would be one of."""
    ours, theirs = step_kinds(shown.source), step_kinds(target)
    if reason == "pieces" and not theirs - {"H"}:
        return max((sum(m) for _ in range(3) for f in Family(target, shown.dim).member() for m in f), default=0)
    affine = affine_arguments(shown.source)
    if reason == "poles" and affine and ours <= {"s", "m"} and theirs == {"p"}:
        return degree(shown.source, of_parameters=0)
    if reason == "rate" and affine and affine_arguments(target) and ours == {"p"} and theirs <= {"s", "m"}:
        return degree(shown.source, of_parameters=0)
    raise RejectedError(f"the two formats are not of the kinds that {str(reason)[:40]!r} is about")
