"""Stacks: what lifts from layers, what coincides or differs only there, and what must be said of neither."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import qnn_theory as qt
from qnn_theory.checking.document import check_text
from qnn_theory.grammar.evaluate import evaluate, relu_of_numbers
from qnn_theory.grammar.expr import Activation, FirstInput, HeadMajor, affine, walk, x, x0
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import rolled_values, unrolled_values
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.grammar.widths import divisor, parameters, width
from qnn_theory.relations.certificate_files import certificate_data, certificate_text
from qnn_theory.relations.certificates import Containment, Undecided
from qnn_theory.relations.invariants.pair import Separation
from qnn_theory.relations.limits.limit import Approach
from qnn_theory.relations.orders import closed_under_transitivity
from qnn_theory.relations.relation import containment_order, decide, relation
from qnn_theory.relations.stacks.cubics import by_cubics
from qnn_theory.relations.stacks.pair import StackPair, run
from qnn_theory.relations.stacks.separations import find_stack_separation
from qnn_theory.relations.stacks.stacked import (
    in_layer,
    of_layer,
    one_layer,
    reads_input,
    stacked,
    suffixes,
    with_own_first_input,
)
from qnn_theory.testing import expressions
from tests.qnn_theory.paper_ids import PAPER

PLUS, MINUS = 'x * affine("W", bias=False) + x', 'x * affine("W", bias=False) - x'
FREE = 'x0 * affine("W") + scale("s", x)'

# (a, b, depth, kind), derived by hand.
BY_HAND = [
    ("T9", "CrossNetV2", 1, "equivalent"),
    ("T9", "CrossNetV2", 2, "incomparable"),  # degree 4 against 3; y_1 of T9 is divisible by its own layer's input
    ("T9", "CrossNetV2", 3, "incomparable"),
    ("T9", "T22", 2, "equivalent"),
    ("T9", "T5", 2, "contained"),
    ("T5", "T9", 3, "contains"),  # T5 has constants; T9 vanishes where x_1 does
    ("T4", "T3", 2, "incomparable"),  # squares of linear forms, linear forms of squares
    ("Linear", "T8", 2, "contained"),
    ("Linear", "T5", 3, "contained"),
    ("T19", "T5", 2, "incomparable"),
    ("T19", "QNN-alpha", 2, "open"),  # contained; whether more rows give more is open
    ("T18-paper", "T18", 2, "incomparable"),  # widths 4d and d
    # -(x W x) - x is minus a layer with -W: two signs cancel, three do not
    (PLUS, MINUS, 1, "incomparable"),
    (PLUS, MINUS, 2, "equivalent"),
    (PLUS, MINUS, 3, "incomparable"),
    (PLUS, MINUS, 4, "equivalent"),
    # a layer of relus without residual: relu(-A) is relu(A), but -relu(A) is not
    ('relu(affine("A"))', 'relu(-affine("A"))', 2, "equivalent"),
    (
        'affine("A", x0)',
        'affine("A", x0) + affine("B", x0)',
        2,
        "equivalent",
    ),  # neither reads x: a stack is its last layer
    ('relu(affine("A"))', '-relu(affine("A"))', 2, "incomparable"),
    ("CrossNetV2", "T5", 2, "incomparable"),  # cubics of one input each are no composition of two quadratic maps
    ('x * affine("A") * sigmoid(affine("B")) + x', "T9", 2, "contains"),  # sigmoid(0) = 1/2; no polynomial
    ("x ** 3", "-x ** 3", 2, "equivalent"),
    ("x ** 3", "-x ** 3", 3, "incomparable"),
    ("x ** 2", "-x ** 2", 2, "incomparable"),  # -(-x²)² = -x⁴
]

# Certificates that the program that knows nothing of the search must accept, in both directions.
CHECKED = [
    ("T9", "CrossNetV2", 2),  # degree; dimension
    ("T9", "T5", 2),  # map; divisibility
    ("T9", "T22", 2),
    ("T4", "T5", 2),
    (PLUS, MINUS, 2),
    ("T2", "T9", 2),
    ("T19", "T9", 2),  # smoothness; divisibility or degree
]


@pytest.mark.parametrize(("a", "b", "depth", "kind"), BY_HAND, ids=lambda v: str(v)[:30])
def test_relations_of_stacks_by_hand(a: str, b: str, depth: int, kind: str) -> None:
    found = relation(a, b, depth=depth, budget=3 if kind == "open" else 30)
    assert found.kind == kind, str(found.certificate)
    assert found.depth == depth
    assert not found.text.startswith("how") or kind == "open"
    _check_direction(a, b, depth, found.certificate.forward)
    _check_direction(b, a, depth, found.certificate.backward)


@pytest.mark.parametrize(("a", "b", "depth"), CHECKED, ids=lambda v: str(v)[:30])
def test_certificates_of_stacks_are_accepted(a: str, b: str, depth: int) -> None:
    text = certificate_text(a, b, relation(a, b, depth=depth))
    found = check_text(text)
    assert found.status == "accepted", found.lines
    changed = json.loads(text)
    changed["forward"]["verdict"] = "contained" if changed["forward"]["verdict"] != "contained" else "not contained"
    assert check_text(json.dumps(changed)).status == "rejected"


def test_a_map_that_needs_x0_to_be_x_does_not_lift() -> None:
    """x0 A(x) + x is T9 in the first layer only."""
    cross, plain = qt.get_format("CrossNetV2"), qt.get_format("T9")
    assert isinstance(decide(cross, plain, minimal=False), Containment)
    assert not isinstance(decide(cross, plain, minimal=False, depth=2), Containment)
    assert not isinstance(decide(with_own_first_input(cross), with_own_first_input(plain), budget=5), Containment)
    # One that does not need it does, and only this way round: a scale may be zero.
    assert isinstance(decide(cross, qt.get_format(FREE), depth=2), Containment)
    assert isinstance(decide(qt.get_format(FREE), cross, depth=2, budget=4), Undecided | Separation)


def test_what_is_contained_is_not_separated() -> None:
    """No invariant fires on stacks of which one contains the other, since their layers do."""
    inside = [
        (a, b)
        for a, b in itertools.permutations(map(qt.get_format, PAPER), 2)
        if isinstance(decide(a, b, minimal=False), Containment)
        and not any(isinstance(node, FirstInput) for f in (a, b) for node in walk(f.expr))
    ]
    assert len(inside) > 60
    for a, b in inside[::15]:
        assert find_stack_separation(a, b, 2, minimal=False) is None, (a.id, b.id)
    assert find_stack_separation(qt.get_format(PLUS), qt.get_format(MINUS), 2) is None


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "open_pairs"), [(2, 44), (3, 56)])
def test_the_papers_formats_in_stacks(depth: int, open_pairs: int) -> None:
    ids = [*(f"T{n}" for n in range(1, 26)), "Linear", "CrossNetV2"]
    single, order = containment_order(ids), containment_order(ids, depth=depth)
    assert len(order.open) <= open_pairs
    assert ("T9", "T22", "CrossNetV2") in single.classes
    assert ("T9", "T22") in order.classes
    assert ("CrossNetV2",) in order.classes


def test_two_quadratic_layers_are_told_from_cubics_only_where_the_proof_holds() -> None:
    """Not where a layer reads x0 or is a cubic itself, not at depth 3, and not from what has no such cubics."""

    def found(a: str, b: str, depth: int = 2) -> Separation | None:
        return by_cubics(StackPair(qt.get_format(a), qt.get_format(b), depth, False))

    assert found("CrossNetV2", "T1") is not None
    assert found("CrossNetV2", "T16") is None
    assert found("CrossNetV2", "T1", 3) is None
    assert found("CrossNetV2", FREE) is None
    assert found("CrossNetV2", "T24") is None
    assert found("T9", "T1") is None  # T9 is contained in T1: its diagonal stacks are of degree 4
    assert found('x0 * affine("W", bias=False)', "T1") is None  # x³: its two critical points meet


def test_limits_lift_layer_by_layer() -> None:
    found = relation("T10", "T7", depth=2, budget=6).limit
    assert isinstance(found.forward, Approach)
    assert found.forward.layers == 2
    assert "every layer" in found.forward.lines[0]
    assert found.kind == "contained"


@pytest.mark.parametrize(
    ("depth", "match"),
    [
        (0, "positive integer"),
        (True, "positive integer"),
        (2.5, "positive integer"),
        (9, "occurrences"),
        (10**6, "at most"),
    ],
)
def test_depths_that_are_refused(depth: int, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        relation("T9", "T5", depth=depth)
    with pytest.raises(ValueError, match=match):
        containment_order(["T9", "T5"], depth=depth)


def test_a_stack_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="degree"):
        relation("T21", "T9", depth=4)
    with pytest.raises(ValueError, match="first input"):
        relation(Format("wide", x0 * affine("W") | x), "T9", depth=2)


def test_the_order_with_limits_is_that_of_layers() -> None:
    with pytest.raises(ValueError, match="single layers"):
        containment_order(["T9", "T5"], limit=True, depth=2)


def test_the_command_relates_stacks(tmp_path) -> None:
    from studies.cli import main

    file = tmp_path / "certificate.json"
    shown = CliRunner().invoke(main, ["relate", "T9", "CrossNetV2", "--depth", "2", "--certificate", str(file)])
    assert shown.exit_code == 0, shown.output
    assert "T9 at depth 2" in shown.output
    assert CliRunner().invoke(main, ["check", str(file)]).exit_code == 0
    refused = CliRunner().invoke(main, ["relate", "T9", "T5", "--depth", "0"])
    assert refused.exit_code
    assert "depth" in refused.output


def test_verdicts_that_follow() -> None:
    verdicts = dict.fromkeys(itertools.permutations("abcd", 2), "open")
    verdicts |= {("a", "b"): "contained", ("b", "c"): "contained", ("a", "d"): "not contained"}
    closed = closed_under_transitivity(verdicts)
    assert closed["a", "c"] == "contained"
    assert closed["b", "d"] == closed["c", "d"] == "not contained"
    assert closed["d", "a"] == closed["c", "a"] == "open"


@given(expressions(), st.integers(2, 3))
@settings(max_examples=12)
def test_a_stack_is_its_layers_one_after_another(expr, depth: int) -> None:
    """The written-out stack, the layers run one by one, and the grammar's own reading of each layer agree, exactly."""
    format = Format("random", expr)
    kinds = {node.kind for node in walk(expr) if isinstance(node, Activation)}
    if width(expr) != 1 or not reads_input(expr) or not kinds <= {"relu", "relu6", "prelu"}:
        return
    whole, dim = stacked(format, depth), divisor(expr) * 2
    generator = np.random.default_rng(3)
    values = fill_parameters(whole.expr, dim=dim, entry=lambda name, index: Fraction(int(generator.integers(-2, 3))))
    point = [Fraction(int(generator.integers(-3, 4)), 2) for _ in range(dim)]
    first = evaluate(whole.expr, point, values, activation=relu_of_numbers)
    marks = suffixes(format, depth)
    assert len({in_layer(p.name, s) for s in marks for p in parameters(one_layer(format).expr)}) == len(values)

    def rule(layer: int, node: Activation, index: int, value: Fraction) -> Fraction:
        own = {} if node.slope is None else {node.slope: values[in_layer(node.slope, marks[layer])]}
        return relu_of_numbers(node, value, own)

    assert run(format, values, point, depth, rule, lambda number: number) == first
    current = point
    for suffix in marks:
        own = {n: v for name, v in values.items() if (n := of_layer(name, suffix)) is not None}
        rolled = rolled_values(expr, own)
        current = evaluate(expr, current, rolled, x0=point, activation=relu_of_numbers)
    assert current == first


def test_names_of_layers_never_meet() -> None:
    mine = Format("mine", affine("W") * affine("W_1") + affine("W_2") + affine("W_1_1"))
    names = [p.name for p in parameters(stacked(mine, 3).expr)]
    assert len(names) == len(set(names)) == 3 * 8
    assert of_layer(in_layer("W[3]", "_2"), "_2") == "W[3]"
    assert of_layer("W_12", "_2") is None


def test_layouts_that_permute_stay_open_where_nothing_lifts() -> None:
    released = qt.get_format("QNN-alpha-released")
    assert any(isinstance(node, HeadMajor) for node in walk(released.expr))
    assert isinstance(decide(released, qt.get_format("T9"), depth=2, budget=3), Undecided)
    assert isinstance(decide(released, released, depth=2, budget=3), Containment)


def test_a_certificate_of_a_stack_names_its_formula() -> None:
    data = certificate_data("T9", "T5", relation("T9", "T5", depth=2))
    assert data["first"]["name"] == data["first"]["formula"]
    assert "W_a_2" in data["first"]["formula"]


def _check_direction(a: str, b: str, depth: int, direction: object) -> None:
    """A map is tried out in exact arithmetic at a width that no proof used."""
    if not isinstance(direction, Containment):
        return
    source, target = stacked(qt.get_format(a), depth), stacked(qt.get_format(b), depth)
    dim = math.lcm(divisor(source.expr), divisor(target.expr)) * 5
    generator = np.random.default_rng(11)

    def number() -> Fraction:
        return Fraction(int(generator.integers(-2, 3)), int(generator.integers(1, 3)))

    values = fill_parameters(source.expr, dim=dim, entry=lambda name, index: number())
    mapped = rolled_values(target.expr, direction.map.apply(unrolled_values(source.expr, values), dim=dim))

    def rule(node: Activation, value: Fraction, own: Any) -> Fraction:
        return Fraction(1, 2) if node.kind == "sigmoid" and not value else relu_of_numbers(node, value, own)

    for _ in range(2):
        point = [number() for _ in range(dim)]
        ours = evaluate(source.expr, point, values, activation=rule)
        assert evaluate(target.expr, point, mapped, activation=rule) == ours
