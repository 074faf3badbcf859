"""Intervals hold the values that expressions take, and are tight where that is claimed."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn_theory.grammar.evaluate import evaluate
from qnn_theory.grammar.expr import Activation, Expr, activation, affine, relu, x
from qnn_theory.grammar.intervals import Interval, interval
from qnn_theory.grammar.stacking import fill_parameters
from tests.qnn_theory.high_precision import apply
from tests.qnn_theory.random_expressions import expressions


@given(expr=expressions(), data=st.data())
def test_intervals_hold_the_values(expr: Expr, data: st.DataObject) -> None:
    numbers = st.fractions(min_value=-3, max_value=3, max_denominator=4)
    seed = data.draw(st.randoms(use_true_random=False))
    parameters = fill_parameters(expr, dim=2, entry=lambda name, index: Fraction(seed.randint(-9, 9), 3))
    point = data.draw(st.lists(numbers, min_size=2, max_size=2))
    bounds = interval(expr)
    for value in evaluate(expr, point, parameters, activation=lambda node, u, own: Fraction(apply_exact(node, u, own))):
        assert bounds.low is None or bounds.low <= value
        assert bounds.high is None or value <= bounds.high


def apply_exact(node: Activation, u: Fraction, parameters: Any) -> Fraction:
    match node.kind:
        case "relu":
            return max(u, Fraction(0))
        case "relu6":
            return min(max(u, Fraction(0)), Fraction(6))
        case _:
            return u if u > 0 else u * parameters[node.slope]


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [("gelu", -0.17, None), ("silu", -0.2785, None), ("mish", -0.30885, None), ("sigmoid", 0, 1), ("tanh", -1, 1)],
)
def test_ranges_of_smooth_activations_hold_and_are_tight(kind: Any, low: float, high: float | None) -> None:
    bounds = interval(activation(kind, affine("W_a")))
    values = [float(apply(Activation(kind, x), mpmath.mpf(k) / 100, {})) for k in range(-1000, 1000)]
    assert float(bounds.low) <= min(values) <= float(bounds.low) + 0.001
    assert bounds.high is None or max(values) <= float(bounds.high)
    assert float(bounds.low) == pytest.approx(low, abs=0.001)
    assert (None if bounds.high is None else float(bounds.high)) == high


def test_interval_of_inputs_is_used() -> None:
    assert interval(relu(x), Interval(Fraction(0), None)) == Interval(Fraction(0), None)
    assert interval(x * x).at_least(0)
    assert interval(x * (-1 * x)).at_most(0)
    assert interval(x + x, Interval(Fraction(1), Fraction(2))) == Interval(Fraction(2), Fraction(4))


@pytest.mark.parametrize(
    ("expr", "low", "high"),
    [
        (relu(x) - relu(x - 6), 0, 6),
        (relu(x + 1) - relu(x - 1), 0, 2),
        (relu(x - 1) - relu(x + 1), -2, 0),
        (2 * relu(x) - 2 * relu(x - 3), 0, 6),
        (relu(3 - x) - relu(-x), 0, 3),
        (relu(x) - relu(x - 6) + relu(-x), 0, None),
        (relu(x) - relu(x - 6) + relu(x) - relu(x - 6), 0, 12),
        (relu(x) - 2 * relu(x - 6), None, None),  # falls for ever
        (relu(x) - relu(2 * x - 6), None, None),
        (relu(x) - relu(affine("W_a") - 6), None, None),
    ],
)
def test_a_relu_cut_off_has_a_range(expr: Expr, low: int | None, high: int | None) -> None:
    assert interval(expr) == Interval(*(None if bound is None else Fraction(bound) for bound in (low, high)))
