"""Regions along a line: against direct evaluation at rational points, and against counts by hand."""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import pytest

from qnn_theory.feature_spaces.feature_space import feature_space
from qnn_theory.feature_spaces.regions import _random_numbers, region_feature_space, regions_on_line
from qnn_theory.grammar.evaluate import evaluate, relu_of_numbers
from qnn_theory.grammar.expr import Activation, activation, affine, relu, scale, uses_activation, x
from qnn_theory.grammar.format import Format, with_mid_activation, with_post_activation
from qnn_theory.grammar.stacking import fill_parameters, layer_widths
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import formats, get_format, qnn_alpha

GATED = (
    *(format for format in formats() if uses_activation(format.expr)),
    with_post_activation(get_format("Linear"), "relu"),
    with_post_activation(get_format("T9"), "relu6"),
    with_post_activation(get_format("CrossNetV2"), "relu"),
    with_mid_activation(get_format("T19"), "prelu"),
    with_mid_activation(get_format("T24"), "relu6"),
)


def states(node: Activation, u: Fraction) -> str:
    if u <= 0:
        return "inactive"
    return "saturated" if node.kind == "relu6" and u >= 6 else "active"


def pattern_at(format: Format, position: Fraction, *, dim: int, depth: int, seed: int) -> tuple[str, ...]:
    """The gates at one point of the same line, by plain arithmetic with fractions."""
    numbers = _random_numbers(format.id, dim=dim, depth=depth, seed=seed)
    weights = [
        fill_parameters(format.expr, dim=width, entry=lambda name, index: next(numbers))
        for width in layer_widths(format, dim=dim, depth=depth)[:-1]
    ]
    line = [(next(numbers), next(numbers)) for _ in range(dim)]
    first = [start + position * slope for start, slope in line]
    values: Sequence[Fraction] = first
    found: list[str] = []

    def gate(node: Activation, u: Fraction, parameters: dict) -> Fraction:
        found.append(states(node, u))
        return relu_of_numbers(node, u, parameters)

    for layer in weights:
        values = evaluate(format.expr, values, layer, x0=first, activation=gate)
    return tuple(found)


@pytest.mark.parametrize("format", GATED, ids=lambda format: format.id)
@pytest.mark.parametrize(("multiple", "depth"), [(2, 1), (1, 2), (1, 3)])
def test_patterns_along_the_line_are_those_of_direct_evaluation(format: Format, multiple: int, depth: int) -> None:
    dim = multiple * divisor(format.expr)
    found = regions_on_line(format, dim=dim, depth=depth, seed=4)
    assert found.count == len(found.breakpoints) + 1
    assert list(found.breakpoints) == sorted(found.breakpoints)
    assert all(left != right for left, right in pairwise(found.patterns))
    generator = random.Random(3)
    ends = [-1e3, *found.breakpoints, 1e3]
    positions = [
        Fraction(a) + Fraction(b - a) * Fraction(generator.randint(1, 99), 100)
        for a, b in pairwise(ends)
        if b - a > 1e-9
    ]
    positions += [Fraction(generator.uniform(-5, 5)) for _ in range(20)]
    for position in positions:
        region = bisect(found.breakpoints, position)
        assert pattern_at(format, position, dim=dim, depth=depth, seed=4) == found.patterns[region]


@pytest.mark.parametrize(
    ("format", "dim", "expected"),
    [
        (get_format("T9"), 5, 1),  # a polynomial has one region
        (get_format("T19"), 5, 6),  # a line meets each of d hyperplanes once
        (get_format("T25"), 6, 4),  # d/2 gates
        (get_format("T26"), 5, 11),
        (qnn_alpha(rows=3), 4, 13),
        (with_mid_activation(get_format("T19"), "relu6"), 5, 11),  # each gate has two thresholds
        (with_post_activation(get_format("T4"), "relu"), 4, 1),  # a square is never negative
        (Format("twice", relu(relu(affine("W_a")))), 4, 5),  # the outer gate switches where the inner one does
        (Format("never", relu(x * x)), 3, 1),
        (Format("cubes", relu(x**3)), 3, 4),
        (Format("fixed", activation("relu", 0 * x)), 3, 1),
    ],
    ids=lambda value: value.id if isinstance(value, Format) else str(value),
)
def test_counts_by_hand(format: Format, dim: int, expected: int) -> None:
    for seed in range(5):
        assert regions_on_line(format, dim=dim, seed=seed).count == expected


def test_gates_that_switch_together_are_one_boundary() -> None:
    shared = Format("shared", relu(affine("W_a")) + relu(scale("alpha", affine("W_a"))) + relu(affine("W_a") ** 3))
    for seed in range(5):
        found = regions_on_line(shared, dim=3, seed=seed)
        assert found.count == 4


def test_a_region_has_no_monomial_that_the_open_region_lacks() -> None:
    for format in GATED:
        for seed in range(4):
            dim = 2 * divisor(format.expr)
            everywhere = feature_space(format, dim=dim, depth=2)
            here = region_feature_space(format, dim=dim, depth=2, seed=seed)
            assert here.piece == "one region"
            if "relu6" not in format.id:
                assert all(a <= b for a, b in zip(here.coordinates, everywhere.coordinates, strict=True))
    sizes = {region_feature_space("T19", dim=4, seed=seed).dimension for seed in range(12)}
    assert max(sizes) <= 14
    assert len(sizes) > 1
    assert region_feature_space("T9", dim=4).coordinates == feature_space("T9", dim=4).coordinates


def test_a_saturated_gate_leaves_its_constant() -> None:
    saturated = Format("saturated", activation("relu6", affine("W_a")))
    spaces = {region_feature_space(saturated, dim=1, seed=seed).monomials for seed in range(30)}
    assert spaces == {frozenset(), frozenset({(0,)}), frozenset({(0,), (1,)})}


def test_smooth_activations_have_no_regions() -> None:
    smooth = with_mid_activation(get_format("T19"), "silu")
    with pytest.raises(ValueError, match="have regions, however: silu"):
        regions_on_line(smooth, dim=2)
    with pytest.raises(ValueError, match="have regions, however: silu"):
        region_feature_space(smooth, dim=2)
