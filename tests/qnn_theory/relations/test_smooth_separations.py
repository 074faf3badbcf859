"""Separations of formats with smooth gates: a table by hand, and what each rule must not claim."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qnn_theory as qt
from qnn_theory.feature_spaces.tails import tail
from qnn_theory.grammar.evaluate import evaluate
from qnn_theory.grammar.expr import Activation, Expr, activation
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.rewrite import replace
from qnn_theory.relations.certificates import Containment
from qnn_theory.relations.invariants.complex_plane import by_complex_plane
from qnn_theory.relations.invariants.fans import by_directions
from qnn_theory.relations.invariants.finite_differences import by_finite_differences
from qnn_theory.relations.invariants.kinks import by_kinks
from qnn_theory.relations.invariants.pair import Pair, Separation
from qnn_theory.relations.invariants.ranks import by_rank
from qnn_theory.relations.invariants.tails import by_sides, by_tails
from qnn_theory.relations.relation import decide
from qnn_theory.relations.separation import find_separation
from qnn_theory.relations.witness import nested
from qnn_theory.testing import expressions
from tests.qnn_theory.relations.test_any_pair import special_cases

NAMED = {
    "Bilinear": 'affine("A") * affine("B")',
    "GLU": 'affine("A") * sigmoid(affine("B"))',
    "SwiGLU": 'affine("A") * silu(affine("B"))',
    "GEGLU": 'affine("A") * gelu(affine("B"))',
    "MishGLU": 'affine("A") * mish(affine("B"))',
    "ReGLU": 'affine("A") * relu(affine("B"))',
    "TanhGLU": 'affine("A") * tanh(affine("B"))',
    "PReGLU": 'affine("A") * prelu(affine("B"))',
    "x sigmoid": 'x * sigmoid(affine("A"))',
    "x tanh": 'x * tanh(affine("A"))',
    "x prelu": 'x * prelu(affine("A")) + x',
    "GDCN": 'x0 * affine("A") * sigmoid(affine("B")) + x',
    "x silu": 'x * silu(affine("A")) + x',
    "tanh unit": 'tanh(affine("A"))',
    "bottleneck": 'affine("V", relu(affine("U", width=1/2)))',
    "smooth bottleneck": 'affine("V", gelu(affine("U", width=1/2)))',
    "residual": 'x + affine("V", tanh(affine("U")))',
    "FFN": 'affine("V", affine("A", width=2) * silu(affine("B", width=2)))',
    "two gates": 'x * (sigmoid(affine("A")) + sigmoid(affine("B")))',
    "SE": 'x * sigmoid(affine("V", relu(affine("U", width=1/2))))',
}

# Contained, by hand: a constant gate; sigmoid(-u) = 1 - sigmoid(u); tanh(u) = 2 sigmoid(2u) - 1; silu(u) = u sigmoid(u); the
# slopes 0 and 1 of a prelu. No other pair of the table is.
CONTAINED = {
    ("Linear", "Bilinear"), ("Linear", "GLU"), ("Linear", "SwiGLU"), ("Linear", "GEGLU"), ("Linear", "MishGLU"),
    ("Linear", "ReGLU"), ("Linear", "TanhGLU"), ("Linear", "PReGLU"), ("Linear", "T5"), ("T9", "GDCN"), ("T9", "T5"),
    ("x sigmoid", "GLU"), ("x sigmoid", "GDCN"), ("x tanh", "TanhGLU"), ("x tanh", "GDCN"), ("x silu", "GDCN"),
    ("tanh unit", "TanhGLU"), ("T19", "x prelu"), ("ReGLU", "PReGLU"), ("Bilinear", "PReGLU"), ("T9", "x prelu"),
    ("T5", "PReGLU"), ("T9", "PReGLU"),
}  # fmt: skip

PAIRS = [
    ("GLU", "SwiGLU"), ("GLU", "GEGLU"), ("GLU", "MishGLU"), ("GLU", "ReGLU"), ("GLU", "TanhGLU"), ("GLU", "GDCN"),
    ("SwiGLU", "GEGLU"), ("SwiGLU", "MishGLU"), ("SwiGLU", "ReGLU"), ("SwiGLU", "TanhGLU"), ("SwiGLU", "GDCN"),
    ("GEGLU", "MishGLU"), ("GEGLU", "ReGLU"), ("Bilinear", "GLU"), ("Bilinear", "SwiGLU"), ("Bilinear", "ReGLU"),
    ("x sigmoid", "GLU"), ("x sigmoid", "GDCN"), ("x sigmoid", "x tanh"), ("x sigmoid", "x silu"), ("x sigmoid", "SE"),
    ("x tanh", "GDCN"), ("x tanh", "TanhGLU"), ("x silu", "GDCN"), ("tanh unit", "TanhGLU"), ("tanh unit", "GLU"),
    ("GLU", "Linear"), ("TanhGLU", "Linear"), ("SwiGLU", "Linear"), ("GEGLU", "Linear"), ("tanh unit", "Linear"),
    ("GLU", "T1"), ("SwiGLU", "T1"), ("SwiGLU", "T5"), ("GDCN", "T5"), ("GDCN", "T9"), ("x silu", "T9"),
    ("GLU", "T19"), ("GDCN", "T19"), ("SwiGLU", "T24"), ("GEGLU", "T24"), ("ReGLU", "T19"), ("ReGLU", "T24"),
    ("T19", "x prelu"), ("T9", "x prelu"), ("ReGLU", "PReGLU"), ("PReGLU", "T19"), ("PReGLU", "T5"), ("x prelu", "T24"),
    ("bottleneck", "Linear"), ("smooth bottleneck", "Linear"), ("bottleneck", "smooth bottleneck"),
    ("SE", "T19"), ("SE", "T24"), ("SE", "GDCN"), ("residual", "GLU"), ("residual", "SwiGLU"), ("residual", "T9"),
    ("two gates", "GLU"), ("two gates", "T19"),
]  # fmt: skip


def named(name: str) -> Format:
    return qt.get_format(NAMED.get(name, name))


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_the_table_by_hand(first: str, second: str) -> None:
    for small, large in ((first, second), (second, first)):
        found = decide(named(small), named(large))
        expected = Containment if (small, large) in CONTAINED else Separation
        assert isinstance(found, expected), found.lines


RULES: list[Callable[[Pair], Separation | None]] = [
    by_tails, by_sides, by_directions, by_complex_plane, by_finite_differences, by_rank, by_kinks,
]  # fmt: skip

# Contained, and close to what a rule separates.
NEAR_MISSES = [
    ('gelu(affine("A")) - gelu(-affine("A"))', 'affine("A") * silu(affine("B"))'),  # a polynomial has no rate
    ('silu(affine("A")) - silu(-affine("A"))', 'affine("A") * gelu(affine("B"))'),  # nor poles
    ('x * sigmoid(affine("A")) + x * sigmoid(-affine("A"))', "T22"),  # nor differences of order 2
    ('affine("A") * mish(affine("B"))', 'affine("A") * mish(2 * affine("B"))'),
    ('2 * sigmoid(2 * affine("A")) - 1', 'tanh(affine("A"))'),
    ('sigmoid(affine("A")) * affine("A")', 'silu(affine("A"))'),
    ('x - x * sigmoid(affine("A"))', 'x * sigmoid(affine("A"))'),
    ('x * tanh(affine("A"))', 'x0 * affine("A") * sigmoid(affine("B")) + x'),
    ('relu(affine("A")) + relu(-affine("A"))', 'prelu(affine("A"))'),  # |u| is a prelu of slope -1
    ('x * relu(affine("A")) - x * relu(-affine("A"))', 'x * prelu(affine("A"))'),
    ('affine("A", bias=False)', 'affine("V", gelu(affine("U", width=2)))'),  # wide enough: gelu(u) - gelu(-u)
    ('affine("A", affine("B", width=1/2))', 'affine("V", silu(affine("U")))'),  # of rank d/2, so d units do
    ('affine("A") * affine("B") * sigmoid(affine("B"))', 'affine("A") * silu(affine("B"))'),
    ('relu(silu(affine("A")) - silu(-affine("A")))', 'relu(affine("A"))'),  # no smooth gate is left
    ('sigmoid(affine("A")) + sigmoid(affine("A") + 1)', 'sigmoid(affine("A")) + sigmoid(affine("B"))'),
    ('relu6(affine("A"))', 'relu(affine("A")) - relu(affine("B"))'),
    ('sigmoid(affine("V", relu(affine("U", width=1/2)))) * x', 'x * sigmoid(affine("V", relu(affine("U"))))'),
]


@pytest.mark.parametrize(("small", "large"), NEAR_MISSES)
def test_no_rule_separates_what_is_contained(small: str, large: str) -> None:
    source, target = qt.get_format(small), qt.get_format(large)
    for rule in RULES:
        assert rule(Pair(source, target, False)) is None, rule
    assert find_separation(source, target, minimal=False) is None


@pytest.mark.parametrize("format", [*NAMED, "Linear", "T5", "T19"])
def test_nothing_is_separated_from_itself(format: str) -> None:
    for rule in RULES:
        assert rule(Pair(named(format), named(format), False)) is None, rule


def test_one_unit_at_the_smallest_width_is_not_one_unit() -> None:
    """A bottleneck of width d/2 has one unit at d = 2, where the spacing of poles would separate, and more later."""
    narrow = qt.get_format('affine("V", silu(affine("U", width=1/2)))')
    mish = qt.get_format('mish(affine("A"))')
    assert by_complex_plane(Pair(mish, narrow, False)) is None
    assert (
        by_complex_plane(Pair(mish, qt.get_format('affine("V", bias=False, of=x) * silu(affine("A"))'), False))
        is not None
    )


@settings(max_examples=30)
@given(st.data())
def test_a_special_case_is_never_separated(data: st.DataObject) -> None:
    kinds = data.draw(
        st.sampled_from([("sigmoid", "silu"), ("gelu",), ("mish", "tanh"), ("relu", "silu"), ("prelu", "sigmoid")])
    )
    target = Format("target", data.draw(expressions(depth=2, activations=kinds)))
    source = Format("source", data.draw(special_cases(target.expr)))
    found = find_separation(source, target, minimal=False)
    assert found is None, (source.expr, found.lines)


@settings(max_examples=30)
@given(st.data())
def test_the_same_function_written_otherwise_is_never_separated(data: st.DataObject) -> None:
    kinds = data.draw(st.sampled_from([("sigmoid", "silu"), ("gelu", "relu"), ("tanh",), ("tanh", "silu", "prelu")]))
    written = data.draw(expressions(depth=2, activations=kinds))

    def rewritten(node: Expr) -> Expr:
        match node:
            case Activation(kind="tanh", of=of):
                return 2 * activation("sigmoid", 2 * of) - 1
            case Activation(kind="sigmoid", of=of):
                return 1 - activation("sigmoid", -of)
            case Activation(kind="silu", of=of):
                return of * activation("sigmoid", of)
            case Activation(kind="gelu" | "relu" as kind, of=of):
                return of + activation(kind, -of)
            case _:
                return node

    first, second = Format("first", written), Format("second", replace(written, rewritten))
    for source, target in ((first, second), (second, first)):
        found = find_separation(source, target, minimal=False)
        assert found is None, (written, found.lines)


@pytest.mark.parametrize(
    ("small", "large"),
    [("T5", "SwiGLU"), ("T19", "x silu"), ("GLU", "ReGLU"), ("SwiGLU", "GEGLU"), ("Bilinear", "GEGLU")],
)
def test_what_limits_may_reach_is_said_to_be_open_to_limits(small: str, large: str) -> None:
    """silu(t u) / t tends to relu(u) for t to infinity and to u / 2 for t to 0, so such a separation is no closed one."""
    found = decide(named(small), named(large))
    assert isinstance(found, Separation)
    assert not found.closed


@pytest.mark.parametrize("format", ["GLU", "SwiGLU", "GEGLU", "MishGLU", "TanhGLU", "GDCN", "PReGLU"])
def test_tails_are_what_functions_tend_to(format: str) -> None:
    """Against the numbers of the layer itself, far out."""
    chosen, dim = named(format), 4
    pair = Pair(chosen, chosen, False)
    entries = pair.draw(dim, 1, signed=True)
    direction = [Fraction(v) for v in (23, -37, 51, 79)]
    values = nested(chosen.expr, entries, dim=dim)
    polynomials = tail(pair.a, dim=dim, values=values, direction=direction)
    assert polynomials is not None
    functions = {
        "relu": lambda u: max(u, 0.0),
        "sigmoid": lambda u: 1 / (1 + np.exp(-u)),
        "tanh": np.tanh,
        "silu": lambda u: u / (1 + np.exp(-u)),
        "gelu": lambda u: u * (u > 0),
        "mish": lambda u: u * np.tanh(np.logaddexp(0, u)),
    }

    def activate(node, value, own):
        if node.kind == "prelu":
            return value if value > 0 else value * float(own[node.slope])
        return functions[node.kind](float(value))

    point = [1 + 20 * v for v in direction]
    with np.errstate(over="ignore"):
        ours = evaluate(pair.a, point, values, activation=activate)
    for value, polynomial in zip(ours, polynomials, strict=True):
        expected = sum(
            c * np.prod([float(x) ** e for x, e in zip(point, m, strict=True)]) for m, c in polynomial.items()
        )
        assert float(value) == pytest.approx(float(expected), rel=1e-9, abs=1e-9)
