"""The checker's own evaluator, ranges and terms against those of the theory, which share no code with them."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import qnn_theory as qt
from qnn_theory.checking.bounds import bounds
from qnn_theory.checking.evaluation import Step, filled, outputs, shapes
from qnn_theory.checking.separations import smoothness_bound
from qnn_theory.checking.terms import mapped
from qnn_theory.grammar.evaluate import evaluate, relu_of_numbers
from qnn_theory.grammar.expr import Activation, Expr, relu, walk, x
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.intervals import Interval, interval
from qnn_theory.grammar.normal_form import normal_form, rolled_values
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.grammar.widths import divisor, parameters
from qnn_theory.registry import get_format
from qnn_theory.relations.certificate_files import map_data
from qnn_theory.relations.certificates import Containment
from qnn_theory.relations.relation import decide
from tests.qnn_theory.random_expressions import expressions

USERS = (
    "x * relu6(affine('W')) + 2 * x - 1",
    "x * prelu(affine('W')) + x0",
    "row_sum(3, affine('W') * scale('a') * relu(bilinear('A')))",
    "block(1, 2, affine('W')) | 3 * x ** 3",
    "head_major(2, 4, affine('W', bias=False)) * constant(1/2)",
    "row_sum(2, x ** 2) + affine('V', affine('U', width=3/2))",
)


def own_values(expr: Expr, values: dict[str, Any], point: list[Fraction]) -> list[Fraction]:
    def gate(step: Step, u: Fraction) -> Any:
        return u, int(u > 0)

    return outputs(expr, point, values, gate, lambda f: f)


@pytest.mark.parametrize("format", [*qt.formats(), *map(get_format, USERS)], ids=lambda format: format.id)
def test_outputs_agree_with_the_theory(format: Format) -> None:
    expr = format.expr
    dim = divisor(expr) * 2
    generator = random.Random(format.id)

    def number(*_: Any) -> Fraction:
        return Fraction(generator.randint(-9, 9), generator.randint(1, 3))

    values = {name: filled(shape, number) for name, shape in shapes(expr, dim).items()}
    point = [number() for _ in range(dim)]
    expected = evaluate(expr, point, rolled_values(expr, values), activation=relu_of_numbers)
    assert own_values(expr, values, point) == expected


@given(
    expressions(),
    st.sampled_from([(0, Interval()), (1, Interval(Fraction(0), None)), (-1, Interval(None, Fraction(0)))]),
)
def test_bounds_agree_with_the_theory(expr: Expr, region: tuple[int, Interval]) -> None:
    found = interval(expr, region[1])
    low, high = bounds(expr, region[0])
    # An interval knows relus that cap each other, of which the checker knows nothing: its bounds may be wider.
    assert low <= (-math.inf if found.low is None else found.low)
    assert high >= (math.inf if found.high is None else found.high)


@given(expressions(depth=3), st.randoms(use_true_random=False))
def test_bounds_hold(expr: Expr, generator: random.Random) -> None:
    low, high = bounds(expr, 1)
    values = fill_parameters(expr, dim=1, entry=lambda name, index: Fraction(generator.randint(-3, 3)))
    (value,) = evaluate(expr, [Fraction(generator.randint(0, 3))], values, activation=relu_of_numbers)
    assert low <= value <= high


@pytest.mark.parametrize(
    ("formula", "order"),
    [
        ("x ** 2", math.inf),
        ("silu(affine('W'))", math.inf),
        ("relu(affine('W') ** 2)", math.inf),
        ("relu(affine('W'))", 0),
        ("relu(affine('W')) ** 3", 2),
        ("x * relu(x)", 1),
        ("x * relu(affine('W'))", 0),
        ("x ** 2 * relu(x) ** 2", 3),
        ("relu(affine('W')) * relu(affine('V')) ** 2", 0),
        ("silu(relu(affine('W')))", 0),
        ("relu(x) ** 2 + relu(affine('W')) ** 3", 1),
        ("x * (relu(x) + relu(affine('W')))", 0),
        ("affine('V', relu(affine('W')) ** 2)", 1),
    ],
)
def test_smoothness_bounds_by_hand(formula: str, order: float) -> None:
    assert smoothness_bound(get_format(formula).expr) == order


@pytest.mark.parametrize("format", qt.formats(), ids=lambda format: format.id)
def test_smoothness_bounds_are_bounds(format: Format) -> None:
    bound, known = smoothness_bound(format.expr), qt.smoothness(format)
    assert bound == known.order if bound < math.inf else known.order == qt.ANALYTIC


def test_every_operation_of_maps_means_the_same_to_both_readers() -> None:
    """Every building block that the search offers, at random values, as `Term` and as JSON."""
    from qnn_theory.relations.containment.building_blocks import BuildingBlocks
    from qnn_theory.relations.containment.parameter_map import Assignment, Combination, ParameterMap
    from qnn_theory.relations.containment.terms import _OPERATIONS, Term

    source = get_format(
        "bilinear('A') * affine('W_a', x | x) + scale('s', affine('W_b', affine('U', width=1/2), width=1))"
    ).expr
    seen: set[str] = set()
    for parts, dim in ((1, 3), (2, 4)):
        numbers = iter(random.Random(dim).choices(range(-9, 10), k=1000))
        values = {n: filled(s, lambda at, n=numbers: Fraction(next(n))) for n, s in shapes(source, dim).items()}  # type: ignore[misc]
        blocks = BuildingBlocks(parameters(source), parts=parts, products=True)
        target = get_format("bilinear('B') + scale('t', affine('V'))").expr
        for parameter in parameters(target):
            axes = (Fraction(1, parts), *parameter.axes[1:])
            for formula in blocks.of(parameter.role, axes, row_block=0):
                assert isinstance(formula.compute, Term)
                seen |= set(str(formula.compute.data).replace("[", "'").split("'"))
                one = Combination(((Fraction(2, 3), formula),))
                zero = Combination()
                assignments = tuple(
                    Assignment(p, ((one if p is parameter else zero,),) * parts) for p in parameters(target)
                )
                found = ParameterMap(assignments)
                expected = found.apply(values, dim=dim)
                data = map_data(found)
                assert mapped(target, data, values, dim, lambda f: f) == expected, formula.text
    assert seen >= _OPERATIONS.keys() - {"one"}


@pytest.mark.parametrize(
    ("first", "second"), [("T9", "T5"), ("T14", "T13"), ("T19", "QNN-alpha"), ("T4", "T1"), ("T12", "T1")]
)
def test_the_maps_of_the_search_are_written_as_they_are(first: str, second: str) -> None:
    a, b = qt.get_format(first), qt.get_format(second)
    direction = decide(a, b)
    assert isinstance(direction, Containment)
    dim = 2 * divisor(a.expr) * divisor(b.expr)
    generator = random.Random(first)
    values = {
        n: filled(s, lambda at: Fraction(generator.randint(-9, 9))) for n, s in shapes(normal_form(a.expr), dim).items()
    }
    read = mapped(b.expr, map_data(direction.map), values, dim, lambda f: f)
    assert read == direction.map.apply(values, dim=dim)


def test_relu_of_what_is_never_negative_is_no_activation() -> None:
    expr = relu(x**2)
    assert outputs(expr, [Fraction(3)], {}, lambda *_: pytest.fail("no step"), lambda f: f) == [9]
    assert any(isinstance(node, Activation) for node in walk(expr))
