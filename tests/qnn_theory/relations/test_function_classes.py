"""Targets that realise a whole class: where the rule must fire, where it must not, and what its maps compute."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest

import qnn_theory as qt
from qnn_theory.grammar.evaluate import evaluate, relu_of_numbers
from qnn_theory.grammar.normal_form import rolled_values, unrolled_values
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.grammar.widths import divisor
from qnn_theory.relations.certificates import Containment
from qnn_theory.relations.function_classes.proved import find_class_map
from qnn_theory.relations.relation import decide

NARROW = 'affine("V", affine("U", width=1/2))'
PRODUCT = 'affine("U") * affine("V")'
TWO = 'affine("U") * affine("V") + affine("P") * affine("Q")'

HOLDS = [
    # T1: every quadratic map.
    (f"x * {NARROW} + x", "T1"),
    ('scale("alpha") * affine("W")', "T1"),
    ('affine("V", affine("U") * affine("W"))', "T1"),
    ('row_sum(3, affine("U") * affine("V"))', "T1"),
    ('x**3 - x**3 + x * affine("W")', "T1"),
    ('affine("V", affine("U", width=1/2) * affine("W", width=1/2)) + 2', "T1"),
    ("T15", "T1"),
    # Linear: every affine map, and the targets that hold it in a factor.
    ('affine("A", affine("B", affine("C")))', "Linear"),
    ('affine("A", affine("B", affine("C")))', "T5"),
    ("Linear", "T24"),
    ("x**3 - x**3 + x", "Linear"),
    # Polynomials with some monomials only.
    ('x * affine("A", affine("B", affine("C"))) + x', "T9"),
    ('scale("alpha") * affine("W")', "T10"),
    ("(x - 1) * (x + 1)", "T7"),
    ("x**2", "T2"),
    # T5: products of two affine forms, and longer products.
    (f"{PRODUCT} + affine('U') * affine('W')", "T5"),
    ('scale("a", affine("V")) * affine("W")', "T5"),
    ('affine("U")**2 - affine("V")**2', "T5"),
    ('4 * affine("U")**2 - 4 * x**2', "T5"),
    ('2 * x * affine("A") + 3 * x', "T23"),
    ('x * (1 + affine("W"))**2', 'affine("U") * affine("V") * affine("W")'),
    ('x * affine("U") * affine("V") + x', "T16"),
    ("T14", "T13"),
    # Sums of products: forms of bounded rank.
    ('x * affine("A") + affine("B") * affine("C")', TWO),
    ("x * affine('A') + affine('B') * affine('C') + affine('L')", f"{TWO} + affine('R')"),
    (TWO, 'row_sum(2, affine("A") * affine("B"))'),
    (PRODUCT, 'affine("U")**2 - affine("V")**2'),
    # Narrow maps.
    ('affine("A", affine("B", width=1/4))', NARROW),
    ('affine("A", affine("B", width=1/4)) + affine("C", affine("D", width=1/4))', NARROW),
    ('scale("a") * affine("A", affine("B", width=1/2))', f"x * {NARROW}"),
    (f"x * {NARROW} - x", f"x * ({NARROW})"),
]

FAILS = [
    ("T1", "T5"),
    ("T5", "T9"),
    ("T16", "T1"),
    (TWO, "T8"),
    (TWO, "T5"),
    ("Linear", NARROW),
    (PRODUCT, 'affine("W")**2'),
    (PRODUCT, 'affine("U")**2 + affine("V")**2'),  # a sum of squares is never negative
    ('affine("U")**2 + affine("V")**2', "T5"),  # a form of two equal signs is no product
    ('affine("A", affine("B", width=1/2)) + affine("C", affine("D", width=1/4))', NARROW),
    ('affine("U") * affine("V") * affine("W")', "T16"),
    (PRODUCT, 'affine("U") * affine("V", bias=False)'),
    (PRODUCT, 'affine("W") * affine("W", x)'),  # one map, not two
    ("T19", "T1"),  # an activation is no polynomial
    ("T8", 'affine("U") * (affine("V") + x * affine("W"))'),  # U stands in two terms once it is multiplied out
    ('x * affine("W") + affine("V")', 'x * affine("W") + affine("W")'),  # shared
    ("Linear", 'affine("W", bias=False)'),
    ('affine("A", affine("B", width=1/2))', 'affine("V", affine("U", width=1/2), bias=False)'),
    ("x", 'x * x * affine("W")'),
]


@pytest.mark.parametrize(("source", "target"), HOLDS, ids=str)
def test_a_class_holds_its_members(source: str, target: str) -> None:
    """The map turns the target into the source in exact numbers, at a width that no proof used."""
    a, b = qt.get_format(source), qt.get_format(target)
    found = find_class_map(a, b)
    assert isinstance(found, Containment)
    step = math.lcm(divisor(a.expr), divisor(b.expr))
    dim = step * -(-5 // step)
    generator = random.Random(source)
    values = fill_parameters(a.expr, dim=dim, entry=lambda name, index: Fraction(generator.randint(-5, 5), 3))
    mapped = rolled_values(b.expr, found.map.apply(unrolled_values(a.expr, values), dim=dim))
    for _ in range(3):
        point = [Fraction(generator.randint(-9, 9), 2) for _ in range(dim)]
        ours = evaluate(a.expr, point, values, activation=relu_of_numbers)
        assert evaluate(b.expr, point, mapped, activation=relu_of_numbers) == ours
    assert isinstance(decide(a, b, minimal=False), Containment)


@pytest.mark.parametrize(("source", "target"), FAILS, ids=str)
def test_a_class_holds_nothing_else(source: str, target: str) -> None:
    assert find_class_map(qt.get_format(source), qt.get_format(target)) is None


def test_a_map_names_every_parameter_of_the_target_once() -> None:
    """T1 has two biases that could take the constants; the text says which does."""
    found = find_class_map(qt.get_format('scale("alpha") * affine("W")'), qt.get_format("T1"))
    assert found is not None
    left = [line.partition(" = ")[0].partition("[")[0] for line in found.map.lines]
    assert left == ["A'", "b_A'", "W_b'", "b_b'"]
    assert found.map.lines[0].startswith("A'[k,i,j] = coefficient of x_i*x_j in y_k for i <= j, else 0")
    assert found.map.lines[-1].startswith("b_b'[k] = 0")
