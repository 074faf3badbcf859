"""Decision diagrams against plain Python sets of exponent vectors."""

from __future__ import annotations

import itertools
import math
from functools import reduce
from operator import or_

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn_theory.algebra.monomials import Diagrams, MonomialSet

DIM = 3
MONOMIALS = st.tuples(*[st.integers(0, 3)] * DIM)
SETS = st.frozensets(MONOMIALS, max_size=8)


def build(diagrams: Diagrams, monomials: frozenset[tuple[int, ...]]) -> MonomialSet:
    return reduce(or_, map(diagrams.single, sorted(monomials)), diagrams.empty())


@given(SETS, SETS)
def test_union_product_and_inclusion_are_those_of_sets(a: frozenset, b: frozenset) -> None:
    diagrams = Diagrams(DIM)
    left, right = build(diagrams, a), build(diagrams, b)
    sums = frozenset(tuple(i + j for i, j in zip(m, n, strict=True)) for m, n in itertools.product(a, b))
    assert frozenset(left | right) == a | b
    assert frozenset(left * right) == sums
    assert (left <= right) == (a <= b)
    assert (left == right) == (a == b)


@given(SETS)
def test_counts_degree_and_exponents_without_listing(a: frozenset) -> None:
    built = build(Diagrams(DIM), a)
    assert built.size == len(a) == len(list(built))
    assert built.degree == max((sum(m) for m in a), default=-1)
    assert built.counts_by_degree == tuple(sum(sum(m) == n for m in a) for n in range(built.degree + 1))
    for i in range(DIM):
        assert built.exponents(i) == {m[i] for m in a}
    for monomial in itertools.product(range(4), repeat=DIM):
        assert (monomial in built) == (monomial in a)


@given(SETS)
def test_equal_sets_over_different_nodes_are_equal(a: frozenset) -> None:
    first, second = build(Diagrams(DIM), a), build(Diagrams(DIM), a)
    assert first == second
    assert hash(first) == hash(second)


def test_a_set_of_billions_is_counted() -> None:
    diagrams = Diagrams(12)
    line = reduce(or_, map(diagrams.variable, range(12)), diagrams.one())
    assert reduce(lambda total, _: total * line, range(29), line).size == math.comb(12 + 30, 30)


def test_wrong_monomials_and_foreign_nodes_are_rejected() -> None:
    with pytest.raises(ValueError, match="3 exponents of at least 0, however: \\(1, 0\\)"):
        Diagrams(3).single((1, 0))
    with pytest.raises(ValueError, match="over one `Diagrams`"):
        Diagrams(3).one() | Diagrams(3).one()
