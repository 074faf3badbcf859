"""Effective dimension: against exact dual numbers over the integers, counts by hand, and the values of the issue."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

import flint
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn_theory.algebra.linear_algebra import PrimeField, Reals
from qnn_theory.algebra.modular import PRIME
from qnn_theory.dimension.effective_dimension import SMALLEST_GAP, effective_dimension
from qnn_theory.dimension.jacobian import Gradient, StackJacobian, linearise
from qnn_theory.grammar.evaluate import evaluate
from qnn_theory.grammar.expr import affine, bilinear, relu, uses_activation, x
from qnn_theory.grammar.format import Format, with_mid_activation, with_post_activation
from qnn_theory.grammar.stacking import layer_widths
from qnn_theory.grammar.widths import divisor, parameters
from qnn_theory.registry import formats, get_format, qnn_alpha
from tests.qnn_theory.paper_ids import PAPER

POLYNOMIAL = tuple(format for format in formats() if not uses_activation(format.expr))
GATED = tuple(format for format in formats() if uses_activation(format.expr))


def ids(format: Format) -> str:
    return format.id


@dataclass(frozen=True)
class Dual:
    """An integer with its derivatives along every parameter: exact, and unrelated to the reverse mode under test."""

    value: int
    slope: np.ndarray

    def __add__(self, other: Dual) -> Dual:
        return Dual(self.value + other.value, self.slope + other.slope)

    def __mul__(self, other: Dual) -> Dual:
        return Dual(self.value * other.value, self.value * other.slope + other.value * self.slope)


def dual_jacobian(jacobian: StackJacobian, format: Format, points: list[list[int]]) -> list[list[int]]:
    """Rows (point, output) of the Jacobian at the same parameters, by forward mode over the integers."""
    unit = np.eye(jacobian.size, dtype=object)
    zero = np.zeros(jacobian.size, dtype=object)

    def nested(values: np.ndarray, column: int) -> object:
        if not values.ndim:
            return Dual(int(values), unit[column])
        size = values[0].size
        return [nested(part, column + i * size) for i, part in enumerate(values)]

    rows = []
    for point in points:
        first = [Dual(v, zero) for v in point]
        values = first
        for layer in range(1, len(jacobian.widths)):
            own = [c for c in jacobian.columns if c.layer == layer]
            weights = {c.parameter.name: nested(np.asarray(jacobian.value_of(c)), c.start) for c in own}
            values = evaluate(format.expr, values, weights, x0=first, constant=lambda factor: Dual(int(factor), zero))
        rows += [list(value.slope) for value in values]
    return rows


@pytest.mark.parametrize("format", POLYNOMIAL, ids=ids)
@pytest.mark.parametrize("depth", [1, 2])
def test_the_jacobian_and_its_rank_are_those_of_dual_numbers(format: Format, depth: int) -> None:
    dim = 2
    jacobian = StackJacobian(format.expr, layer_widths(format, dim=dim, depth=depth), scalars=PrimeField(), seed=3)
    outputs = list(jacobian.outputs(3))
    expected = dual_jacobian(jacobian, format, outputs[0].point.tolist())
    got = np.stack([output.by_parameters for output in outputs], axis=1).reshape(-1, jacobian.size)
    assert got.tolist() == [[entry % PRIME for entry in row] for row in expected]

    generator = random.Random(5)
    points = [[generator.randrange(PRIME) for _ in range(dim)] for _ in range(jacobian.size + 1)]
    over_integers = [[entry % PRIME for entry in row] for row in dual_jacobian(jacobian, format, points)]
    rank = flint.nmod_mat(over_integers, PRIME).rank()
    assert effective_dimension(format, dim=dim, depth=depth).dimension == rank


def test_the_values_of_the_issue() -> None:
    t1 = effective_dimension("T1", dim=4)
    assert (t1.parameters, t1.dimension, t1.redundant) == (88, 60, 28)
    t22 = effective_dimension("T22", dim=4)
    assert (t22.parameters, t22.dimension) == (24, 20)
    assert t1.arithmetic == f"GF({PRIME})"
    assert t1.error_bound is not None
    assert t1.error_bound < 1e-6


REDUNDANT_BY_HAND = {  # one layer at width d: what scaling, merging terms and antisymmetric parts take away
    "T1": lambda d: d * d * (d - 1) // 2 + d,
    "T2": lambda d: d * d * (d - 1) // 2,
    "T3": lambda d: 0,
    "T4": lambda d: 0,
    "T5": lambda d: d,
    "T6": lambda d: d * d * (d - 1) // 2 + d * d + d,
    "T7": lambda d: d,
    "T8": lambda d: 3 * d,
    "T9": lambda d: 0,
    "T10": lambda d: d,
    "T11": lambda d: 0,
    "T12": lambda d: d // 2,
    "T13": lambda d: d // 2,
    "T14": lambda d: 0,
    "T15": lambda d: 0,
    "T16": lambda d: d,
    "T17": lambda d: d,
    "T18": lambda d: 2 * d,
    "T20": lambda d: 0,
    "T21": lambda d: 0,
    "T22": lambda d: d,
    "T23": lambda d: d,
    "Linear": lambda d: 0,
    "CrossNetV2": lambda d: 0,
    "T17-paper": lambda d: d * d + d,
    "T18-paper": lambda d: 0,
}


def test_the_hand_counts_cover_every_polynomial_format_of_the_paper() -> None:
    assert set(REDUNDANT_BY_HAND) == {format.id for format in POLYNOMIAL if format.id in PAPER}


@pytest.mark.parametrize("id", REDUNDANT_BY_HAND)
@pytest.mark.parametrize("dim", [4, 6])
def test_one_layer_has_the_redundancy_counted_by_hand(id: str, dim: int) -> None:
    found = effective_dimension(id, dim=dim)
    assert found.redundant == REDUNDANT_BY_HAND[id](dim)
    assert found.unexplained == 0


BETWEEN_BY_HAND = {  # kinds between two layers at width d
    "T1": lambda d: {"rescaling": d, "shift": d, "mixing": d * (d - 1)},
    "T2": lambda d: {"rescaling": d, "mixing": d * (d - 1)},
    "T5": lambda d: {"rescaling": d},
    "T9": lambda d: {"rescaling": d},
    "T10": lambda d: {"rescaling": d, "shift": d},
    "T15": lambda d: {"rescaling": d // 2, "mixing": d // 2},
    "T16": lambda d: {},
    "T21": lambda d: {},
    "T22": lambda d: {"rescaling": d},
    "Linear": lambda d: {"rescaling": d, "shift": d, "mixing": d * (d - 1)},
    "CrossNetV2": lambda d: {},
}


@pytest.mark.parametrize("id", BETWEEN_BY_HAND)
@pytest.mark.parametrize("depth", [2, 3])
def test_symmetries_between_layers_by_hand(id: str, depth: int) -> None:
    dim = 4
    found = effective_dimension(id, dim=dim, depth=depth)
    for lower in range(1, depth):
        kinds = {s.kind.split()[0]: s.directions for s in found.symmetries if s.layers == (lower, lower + 1)}
        assert kinds == BETWEEN_BY_HAND[id](dim)
    assert found.redundant == depth * REDUNDANT_BY_HAND[id](dim) + (depth - 1) * sum(BETWEEN_BY_HAND[id](dim).values())


def test_symmetries_carry_names() -> None:
    def named(id: str) -> set[tuple[str, frozenset[str], int]]:
        return {(s.kind, frozenset(s.parameters), s.directions) for s in effective_dimension(id, dim=4).symmetries}

    assert named("T1") == {
        ("antisymmetric part", frozenset({"A"}), 24),
        ("merge", frozenset({"b_A", "b_b"}), 4),
    }
    assert named("T5") == {("scaling", frozenset({"W_a", "b_a", "W_b", "b_b"}), 4)}
    assert named("T10") == {("merge", frozenset({"b_a", "W_b"}), 4)}
    assert named("T17-paper") == {("merge", frozenset({"W_a", "W_b"}), 16), ("merge", frozenset({"b_a", "b_b"}), 4)}
    assert named("T22") == {("merge", frozenset({"b_a", "alpha"}), 4)}
    assert named("T25") == {("scaling", frozenset({"W_a", "W_b", "b_b"}), 2)}
    unused = Format("unused", x + 0 * affine("W_a"))
    (inert_weight, inert_bias) = effective_dimension(unused, dim=2).symmetries
    assert (inert_weight.kind, inert_bias.kind) == ("inert", "inert")
    assert effective_dimension(unused, dim=2).dimension == 0
    assert all(s.statement for id in ("T1", "T5", "T10") for s in effective_dimension(id, dim=2, depth=2).symmetries)


@pytest.mark.parametrize("format", POLYNOMIAL, ids=ids)
def test_every_redundant_direction_of_a_stack_is_explained(format: Format) -> None:
    for dim, depth in ((4, 2), (6, 3)):
        assert effective_dimension(format, dim=dim, depth=depth).unexplained == 0


def test_a_remainder_without_a_name_is_reported() -> None:
    """At d = 4 the tangent space of one output of T7 holds every quadratic form, and directions run through three layers."""
    found = effective_dimension("T7", dim=4, depth=3)
    assert found.redundant == found.explained + found.unexplained
    assert found.unexplained == 4


@pytest.mark.parametrize("format", GATED, ids=ids)
def test_gated_formats_in_float64_with_a_gap(format: Format) -> None:
    for depth in (1, 2):
        found = effective_dimension(format, dim=4, depth=depth)
        assert found.arithmetic == "float64"
        assert found.tolerance is not None
        assert found.gap is not None
        assert found.gap > 1e6 > SMALLEST_GAP
        assert found.unexplained == 0
        per_layer = {"T24": 4, "T25": 2}.get(format.id, 0)
        between = 4 * (depth - 1) if format.id == "T25" else 0
        assert found.redundant == depth * per_layer + between


def test_float64_agrees_with_the_exact_rank() -> None:
    for format in POLYNOMIAL:
        dim = 2 * divisor(format.expr)
        jacobian = StackJacobian(format.expr, layer_widths(format, dim=dim, depth=1), scalars=Reals(), seed=1)
        rows = np.concatenate([output.by_parameters for output in jacobian.outputs(jacobian.size + 1)])
        assert np.linalg.matrix_rank(rows) == effective_dimension(format, dim=dim).dimension


def test_activations_change_redundancy_as_they_should() -> None:
    squared = effective_dimension(with_post_activation(get_format("T4"), "prelu"), dim=4)
    assert squared.redundant == 1  # a square is never negative, so the slope never acts
    assert squared.symmetries[0].parameters == ("post_slope",)
    homogeneous = effective_dimension(with_post_activation(get_format("Linear"), "relu"), dim=4, depth=2)
    assert homogeneous.redundant == 4  # each hidden unit can be scaled
    smooth = effective_dimension(with_post_activation(get_format("Linear"), "tanh"), dim=4, depth=2)
    assert smooth.redundant == 0
    assert effective_dimension(with_mid_activation(get_format("T24"), "gelu"), dim=4).redundant == 0
    rows = effective_dimension(qnn_alpha(rows=3, mid_activation=None), dim=4)
    assert (rows.parameters, rows.dimension) == (60, 20)  # without the gate, three rows are one


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 6), st.sampled_from(["T5", "T8", "T9", "T16", "T20"]))
def test_a_function_never_has_more_dimensions_than_parameters(dim: int, id: str) -> None:
    found = effective_dimension(id, dim=dim)
    assert 0 < found.dimension <= found.parameters
    assert found.explained <= found.redundant


@pytest.mark.parametrize("kind", ["relu", "relu6", "prelu", "gelu", "silu", "mish", "sigmoid", "tanh"])
def test_derivatives_of_activations_are_those_of_differences(kind: str) -> None:
    layer = with_post_activation(get_format("Linear"), kind).expr  # type: ignore[arg-type]
    generator, reals, step = np.random.default_rng(2), Reals(), 1e-6
    x = reals.points(generator, (40, 3))
    weights = {p.name: np.asarray(reals.parameters(generator, p.shape(3))) for p in parameters(layer)}
    value, pullback = linearise(layer, x, x, weights, reals)
    gradient = Gradient(
        scalars=reals,
        x=np.zeros_like(x),
        x0=np.zeros_like(x),
        parameters={name: np.zeros((40, *weight.shape)) for name, weight in weights.items()},
    )
    pullback(np.array([1.0, 0.0, 0.0]) + np.zeros_like(x), gradient)
    for name, weight in weights.items():
        entry = (0,) * weight.ndim
        moved = weight.copy()
        moved[entry] += step
        after, _ = linearise(layer, x, x, {**weights, name: moved}, reals)
        difference = (after[:, 0] - value[:, 0]) / step
        assert difference == pytest.approx(gradient.parameters[name][:, *entry], rel=1e-3, abs=1e-4)


def test_errors() -> None:
    with pytest.raises(ValueError, match="T11 joins two half-width parts, so d must be even, however: d=3"):
        effective_dimension("T11", dim=3)
    with pytest.raises(KeyError, match="T99"):
        effective_dimension("T99", dim=3)


def test_a_bilinear_map_of_two_different_sides_has_no_antisymmetric_redundancy() -> None:
    mixed = Format("mixed", bilinear("A", x, x**2))
    assert effective_dimension(mixed, dim=3).redundant == 0
    gated = Format("gated", bilinear("A", x, relu(affine("W_a"))))
    assert {s.kind for s in effective_dimension(gated, dim=3).symmetries} == {"scaling"}


@pytest.mark.slow
def test_width_16_two_layers_all_polynomial_formats_within_a_minute() -> None:
    started = time.thread_time()
    for format in POLYNOMIAL:
        assert effective_dimension(format, dim=16, depth=2, seed=1).unexplained == 0
    assert time.thread_time() - started < 60
