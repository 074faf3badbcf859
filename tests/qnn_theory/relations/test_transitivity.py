"""What follows from a third format: the composed map, the carried function, and where nothing follows."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from fractions import Fraction

import pytest

import qnn_theory as qt
from qnn_theory.grammar.evaluate import evaluate, relu_of_numbers
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import rolled_values, unrolled_values
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.grammar.widths import divisor
from qnn_theory.relations.certificates import CarriedSeparation, Containment, Direction, Undecided, direction_to_dict
from qnn_theory.relations.containment.proof import prove_map
from qnn_theory.relations.relation import decide
from qnn_theory.relations.transitivity import by_transitivity, carry, chain

NARROW = 'x * affine("V", affine("U", width=1/2)) + x'
RICH = 'affine("U") * affine("V") + bilinear("A") + affine("W")'


def but_not(source: str, target: str) -> Callable[[Format, Format], Direction]:
    """What is known of all pairs but one."""

    def known(a: Format, b: Format) -> Direction:
        if (a.id, b.id) == (qt.get_format(source).id, qt.get_format(target).id):
            return Undecided(source=a.id, target=b.id)
        return decide(a, b, minimal=False)

    return known


@pytest.mark.parametrize(
    ("source", "middle", "target"),
    [
        (NARROW, "T9", "T1"),
        ('scale("alpha") * affine("W")', "T22", "T10"),
        ('scale("alpha") * affine("W")', "T10", "T1"),
        ("T19", "QNN-alpha", "row_sum(5, x * relu(affine('W'))) + x"),
        ("T14", "T13", "T13"),
    ],
)
def test_two_maps_are_one(source: str, middle: str, target: str) -> None:
    """The composed map holds in exact numbers at a width no proof used, and as an identity."""
    a, m, b = map(qt.get_format, (source, middle, target))
    first, second = decide(a, m), decide(m, b)
    assert isinstance(first, Containment)
    assert isinstance(second, Containment)
    found = chain(first, second)
    assert (found.source, found.target) == (a.id, b.id)
    prove_map(a, b, found.map)
    step = math.lcm(*(divisor(f.expr) for f in (a, m, b)))
    dim = step * -(-5 // step)
    generator = random.Random(source)
    values = fill_parameters(a.expr, dim=dim, entry=lambda name, index: Fraction(generator.randint(-5, 5), 3))
    mapped = rolled_values(b.expr, found.map.apply(unrolled_values(a.expr, values), dim=dim))
    point = [Fraction(generator.randint(-9, 9), 2) for _ in range(dim)]
    ours = evaluate(a.expr, point, values, activation=relu_of_numbers)
    assert evaluate(b.expr, point, mapped, activation=relu_of_numbers) == ours
    text = "\n".join(found.lines)
    assert f"{a.id} ⊆ {m.id}:" in text
    assert f"{m.id} ⊆ {b.id}:" in text
    assert json.loads(json.dumps(direction_to_dict(found)))["steps"] == [f"{a.id} ⊆ {m.id}", f"{m.id} ⊆ {b.id}"]


def test_maps_in_the_wrong_order_are_no_map() -> None:
    a, m, b = map(qt.get_format, (NARROW, "T9", "T1"))
    first, second = decide(a, m), decide(m, b)
    assert isinstance(first, Containment)
    assert isinstance(second, Containment)
    with pytest.raises((KeyError, ValueError)):
        prove_map(a, b, chain(second, first).map)


@pytest.mark.parametrize(
    ("source", "target", "verdict"),
    [
        (NARROW, "T1", "contained"),
        ('scale("alpha") * affine("W")', "T7", "contained"),  # in T5
        ('x * affine("P") + affine("Q")', "T7", "not contained"),  # it holds T10
        (RICH, "T5", "not contained"),  # it holds T1
        ("T16", RICH, "not contained"),
        ("T24", NARROW, "not contained"),  # T9 holds NARROW and lacks what T24 has
        (RICH, NARROW, "not contained"),
    ],
)
def test_a_third_format_decides_a_pair(source: str, target: str, verdict: str) -> None:
    """The pair itself is hidden, so that only a third format can decide it; the answer is the one known otherwise."""
    a, b = qt.get_format(source), qt.get_format(target)
    between = tuple(map(qt.get_format, ("T1", "T9", "T10", "T16", "T22", "T5")))
    found = by_transitivity(a, b, but_not(source, target), between)
    assert found is not None
    assert direction_to_dict(found)["verdict"] == verdict
    assert type(found).__mro__[-2] is type(decide(a, b)).__mro__[-2]
    if isinstance(found, CarriedSeparation) and found.witness is not None and found.below is not None:
        lower = qt.get_format(found.below.source)
        dim = found.witness.dim
        assert found.carried.witness is not None
        generator = random.Random(1)
        point = [Fraction(generator.randint(-9, 9), 2) for _ in range(dim)]
        ours = evaluate(a.expr, point, found.witness.values(a.expr), activation=relu_of_numbers)
        theirs = evaluate(lower.expr, point, found.carried.witness.values(lower.expr), activation=relu_of_numbers)
        assert ours == theirs
        assert f"{lower.id} ⊆ {a.id}" in "\n".join(found.lines)


def test_nothing_follows_from_a_format_of_even_width_only() -> None:
    """Linear and T8 admit every d, T13 only even ones: whatever holds there says nothing about d = 3."""
    a, b = qt.get_format("Linear"), qt.get_format("T8")
    inside = decide(a, b)
    assert isinstance(inside, Containment)

    def known(one: Format, other: Format) -> Direction:
        return Containment(source=one.id, target=other.id, map=inside.map, proof=inside.proof)

    assert by_transitivity(a, b, known, [qt.get_format("T13")]) is None
    assert by_transitivity(a, b, known, [qt.get_format("T5")]) is not None


def test_nothing_follows_from_formats_on_the_wrong_side() -> None:
    """T19 ⊆ T24~ is false and so on: with only larger formats of the source and smaller ones of the target, nothing is known."""
    a, b = qt.get_format("T9"), qt.get_format("T5")
    assert by_transitivity(a, b, but_not("T9", "T5"), [qt.get_format("T1"), qt.get_format("T8")]) is None
    assert by_transitivity(a, a, but_not("T9", "T9"), [qt.get_format("T1"), qt.get_format("Linear")]) is None


def test_a_function_is_not_carried_by_a_wrong_map() -> None:
    """The witness is evaluated in both formats before it is shown."""
    big, small, other = map(qt.get_format, ("T8", "T5", "T9"))
    apart, below = decide(small, other), decide(small, big)
    assert not isinstance(apart, Containment | Undecided)
    assert isinstance(below, Containment)
    assert carry(big, other, small, apart, below, None) is not None
    nothing = Containment(source="T5", target="T8", map=Nothing(), proof=below.proof)
    assert carry(big, other, small, apart, nothing, None) is None


class Nothing:
    """A wrong map: all parameters zero."""

    lines = ()
    entry_degree = 0

    def apply(self, values, *, dim, constant=None):
        return {}


@pytest.mark.parametrize("target", ["T1", "T9", "T19"])
def test_one_answer_does_not_depend_on_the_others(target: str) -> None:
    """Carried or not, a verdict agrees with the order of the registry: a ⊆ b and b ⊆ c give a ⊆ c."""
    source = qt.get_format(NARROW)
    below = {f.id for f in qt.formats() if isinstance(decide(source, f, minimal=False), Containment)}
    if target in below:
        for larger in qt.formats():
            if isinstance(decide(qt.get_format(target), larger, minimal=False), Containment):
                assert larger.id in below
