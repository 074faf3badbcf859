"""Smooth gates: what holds between sigmoid, silu, gelu, mish and tanh, found and proved; and what does not, not claimed."""

from __future__ import annotations

from fractions import Fraction

import pytest

import qnn_theory as qt
from qnn_models.testing import assert_contained
from qnn_theory.grammar.expr import activation, affine
from qnn_theory.grammar.format import Format
from qnn_theory.relations.certificates import Containment
from qnn_theory.relations.constant_gates import contained_by_constant_gates
from qnn_theory.relations.idle_units import contained_by_idle_units
from qnn_theory.relations.relation import decide
from qnn_theory.relations.smooth_functions import bracket

GLU = 'affine("A") * sigmoid(affine("B"))'
SWIGLU = 'affine("A") * silu(affine("B"))'
GEGLU = 'affine("A") * gelu(affine("B"))'
MISH_GLU = 'affine("A") * mish(affine("B"))'
TANH_GLU = 'affine("A") * tanh(affine("B"))'
GDCN = 'x0 * affine("A") * sigmoid(affine("B")) + x'


@pytest.mark.parametrize(
    ("small", "large"),
    [
        # A constant gate: sigmoid(0) = 1/2, and silu, gelu, mish and tanh pass 1 or 1/2.
        ("Linear", GLU),
        ("T9", GDCN),
        ("Linear", SWIGLU),
        ("Linear", GEGLU),
        ("Linear", MISH_GLU),
        ("Linear", TANH_GLU),
        ('x * affine("W")', 'x * affine("A") * gelu(affine("B"))'),
        ("T5", 'affine("A") * affine("B") * mish(affine("C"))'),
        ("Linear", 'affine("A") * silu(affine("B", relu(affine("C", width=1/2))))'),
        # sigmoid(-u) = 1 - sigmoid(u), tanh(u) = 2 sigmoid(2u) - 1, silu(u) = u sigmoid(u).
        ('x * sigmoid(affine("A"))', GLU),
        ('x * sigmoid(affine("A"))', GDCN),
        ('x * tanh(affine("A"))', GDCN),
        ('x * sigmoid(affine("A")) + x * sigmoid(-affine("A"))', "x"),
        ("x", 'x * sigmoid(affine("A")) + x * sigmoid(-affine("A"))'),
        ("Linear", 'silu(affine("A")) - silu(-affine("A"))'),
        ("Linear", 'gelu(affine("A")) - gelu(-affine("A"))'),
        (SWIGLU, 'affine("A") * affine("B") * sigmoid(affine("C"))'),
        ('tanh(affine("A"))', '2 * sigmoid(affine("A")) - 1'),
        ('2 * sigmoid(affine("A")) - 1', 'tanh(affine("A"))'),
        ('-tanh(affine("A"))', 'tanh(affine("A"))'),
        # A prelu of slope 0 is relu, of slope 1 the identity, of slope -1 the absolute value.
        ("T19", 'x * prelu(affine("A")) + x'),
        ("T5", 'affine("A") * prelu(affine("B"))'),
        ('relu(affine("A")) + relu(-affine("A"))', 'prelu(affine("A"))'),
        ('affine("V", affine("U", width=1/2))', 'affine("V", prelu(affine("U", width=1/2)))'),
        # A wider hidden layer has idle units.
        ("T25", 'x * affine("W_a", relu(affine("W_b"))) + x'),
        ('affine("V", gelu(affine("U", width=1/2)))', 'affine("V", gelu(affine("U")))'),
        # A hidden layer of two units an input has relu(u) - relu(-u) = u and gelu(u) - gelu(-u) = u.
        ("Linear", 'affine("V", relu(affine("U", width=2)))'),
        ("Linear", 'affine("V", gelu(affine("U", width=2)))'),
    ],
)
def test_contained(small: str, large: str) -> None:
    found = decide(qt.get_format(small), qt.get_format(large))
    assert isinstance(found, Containment), found.lines
    assert_contained(small, large)


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ('sigmoid(affine("A")) ** 2', 'sigmoid(affine("A"))'),  # a sigmoid is no indicator
        ('mish(affine("A")) - mish(-affine("A"))', "Linear"),  # no identity of mish
        ('silu(affine("A")) - gelu(affine("A"))', 'affine("A", bias=False) * 0'),
        (GLU, TANH_GLU),
        (TANH_GLU, GLU),
        (GLU, SWIGLU),
        (SWIGLU, GEGLU),
        (GEGLU, SWIGLU),
        (SWIGLU, GLU),
        ("T5", SWIGLU),
        ("T5", GLU),
        ("T9", 'x * silu(affine("A")) + x'),
        ("Linear", 'sigmoid(affine("A"))'),
        ('affine("V", gelu(affine("U")))', 'affine("V", gelu(affine("U", width=1/2)))'),
        ('affine("V", relu(affine("U", width=1/2)))', 'affine("V", relu(constant(1)) * affine("U"))'),
        ('x * (affine("A") + 1)', 'x * sigmoid(affine("A"))'),
        ("Linear", 'affine("A") * silu(affine("B", bias=False))'),  # silu(Bx) is constant at 0 only
        ("3 * x", 'x + x * tanh(affine("A"))'),  # tanh stays below 1
    ],
)
def test_not_contained(small: str, large: str) -> None:
    found = decide(qt.get_format(small), qt.get_format(large))
    assert not isinstance(found, Containment), found.lines


def test_a_gate_whose_map_is_used_elsewhere_is_no_free_constant() -> None:
    """A B silu(B): a constant silu(B) makes B a constant too."""
    shared = Format("shared", affine("A") * affine("B") * activation("silu", affine("B")))
    assert contained_by_constant_gates(qt.get_format("T5"), shared, tries=64) is None
    assert contained_by_constant_gates(qt.get_format("T5"), qt.get_format(SWIGLU), tries=64) is None


def test_a_hidden_map_that_is_read_elsewhere_has_no_idle_units() -> None:
    narrow = qt.get_format('affine("V", relu(affine("U", width=1/2)))')
    for shared in ('affine("V", relu(affine("U"))) + affine("U")', 'affine("V", relu(affine("U"))) * affine("V", x)'):
        assert contained_by_idle_units(narrow, qt.get_format(shared), tries=64) is None


def test_the_certificate_says_where_the_constant_is_taken() -> None:
    found = decide(qt.get_format("Linear"), qt.get_format(SWIGLU))
    assert isinstance(found, Containment)
    assert "b_B' = silu⁻¹(1)" in found.map.lines
    assert any("below 1 at 1.2784645427610737951" in line for line in found.lines)


def test_brackets_are_proved() -> None:
    low, high = bracket("tanh", Fraction(1, 2), digits=6)
    assert (low, high) == (Fraction(549306, 10**6), Fraction(549307, 10**6))
    with pytest.raises(ValueError, match="passes it between 0 and 10"):
        bracket("sigmoid", Fraction(2))
