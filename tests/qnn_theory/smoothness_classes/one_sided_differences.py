"""The oracle for jumps: one-sided finite differences in plain high-precision arithmetic."""

from __future__ import annotations

from typing import Any

import mpmath

from qnn_theory.grammar.expr import Expr
from qnn_theory.grammar.format import Format
from qnn_theory.smoothness_classes.one_sided import Witness
from tests.qnn_theory.high_precision import outputs, to_mp


def one_sided_derivative(expr: Expr, witness: Witness, order: int, side: int) -> list[Any]:
    """The derivative along the direction at s = ±0, from a difference quotient of extrapolated accuracy."""
    parameters, point, direction = to_mp(list(witness.parameters)), to_mp(witness.point), to_mp(witness.direction)
    step = mpmath.mpf(10) ** -80 * side  # short against derivatives of 10^40 in a deep stack
    # An inexact witness lies 1e-16 beside the kink: steps are long against that, and start beside it.
    if not witness.exact:
        step = mpmath.mpf(10) ** -6 * side
    samples = [
        outputs(
            expr,
            parameters,
            [
                p + (k + (0 if witness.exact else mpmath.mpf("0.01"))) * step * v
                for p, v in zip(point, direction, strict=True)
            ],
        )
        for k in range(order + 3)
    ]

    def quotient(values: list[Any]) -> Any:
        differences = [mpmath.binomial(order, k) * (-1) ** (order - k) * values[k] for k in range(order + 1)]
        return mpmath.fsum(differences) / step**order

    columns = list(zip(*samples, strict=True))
    # Removes the error that is linear in the step.
    return [quotient(c[:-1]) + (quotient(c[:-1]) - quotient(c[1:])) * mpmath.mpf(order) / 2 for c in columns]


def assert_jumps(format: Format, witness: Witness) -> None:
    """The derivative named by the witness jumps as it says, and no lower one does."""
    with mpmath.workdps(100 * (witness.derivative + 2)):
        for order in range(witness.derivative + 1):
            right, left = (one_sided_derivative(format.expr, witness, order, side) for side in (1, -1))
            for a, b, jump in zip(right, left, to_mp(witness.jump), strict=True):
                size = 1 + abs(a) + abs(b)
                measured = a - b
                expected = jump if order == witness.derivative else mpmath.mpf(0)
                assert abs(measured - expected) <= size * mpmath.mpf(10) ** (-9 if witness.exact else -2)
        assert any(abs(jump) > 0 for jump in witness.jump)
