"""Separation by factors and by independent outputs: where they must fire, and where they must not."""

from __future__ import annotations

import pytest

import qnn_theory as qt
from qnn_theory.relations.invariants.factors import by_factors
from qnn_theory.relations.invariants.pair import Pair
from qnn_theory.relations.invariants.ranks import by_rank

CUBIC = 'affine("U") * affine("V") * affine("W")'
SHARED_PRODUCTS = 'affine("V", affine("U", width=1/2) * affine("W", width=1/2))'


def pair(source: str, target: str) -> Pair:
    return Pair(qt.get_format(source), qt.get_format(target), True)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("T8", CUBIC),
        ("T16", CUBIC),  # x (u v + 1)
        ("T23", CUBIC),
        ('affine("U")**2 + affine("V")**2', "T5"),  # definite
        ('affine("U")**2 + affine("V")**2 + x', "T23"),
        ("x**2 + 1", "T5"),
        ("T1", 'affine("U") * affine("V")'),
        ("T8", 'scale("a", affine("U") * affine("V"))'),
        ('affine("U") * affine("V") - 2', 'affine("U") * affine("V") + x - 1'),
    ],
)
def test_a_quadratic_factor_is_no_product(source: str, target: str) -> None:
    found = by_factors(pair(source, target))
    assert found is not None
    assert found.invariant == "factors"
    assert found.witness is not None


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("T5", CUBIC),
        ('affine("U")**2 - affine("V")**2', "T5"),  # (u + v)(u - v)
        ("x**2 - 1", "T5"),
        ("x**2 - 2", "T5"),  # irreducible over the rationals, a product over the reals
        ("T23", "T23"),
        ('affine("U")**2 - affine("V")**2 + x', "T23"),
        ("x**3 - x", CUBIC),
        ("x**4 + 1", 'affine("U")**2 * affine("V")**2'),  # a factor of degree 4 is not judged
        ("0 * x", "T5"),
        ("T8", 'affine("U") * affine("V") + affine("W")'),  # two terms with parameters
        ("T8", 'affine("U") * bilinear("A")'),  # a factor that is no affine form
        ("T8", 'affine("U") * affine("V", affine("W") * affine("P"))'),
        ("T19", "T5"),  # an activation
        ("T8", 'affine("U") * relu(affine("V"))'),
    ],
)
def test_no_factor_speaks_against_it(source: str, target: str) -> None:
    assert by_factors(pair(source, target)) is None


def test_outputs_that_pass_through_a_narrow_map_depend_on_each_other() -> None:
    for source in ("Linear", "T9", "T15"):
        found = by_rank(pair(source, SHARED_PRODUCTS))
        assert found is not None
        assert "all monomials but 1" in found.rule
    narrow = 'affine("P", affine("Q", width=1/2))'
    assert by_rank(pair(narrow, 'affine("V", affine("U", width=1/2))')) is None
    assert by_rank(pair(narrow + " + 3", 'affine("V", affine("U", width=1/2))')) is None  # constants do not count
    assert by_rank(pair(narrow + " + x", 'affine("V", affine("U", width=1/2)) + x')) is None  # nor what is fixed
