"""Redundant directions within one layer: as many as the Jacobian leaves, and of the kind that the formula shows."""

from __future__ import annotations

from collections import Counter

import pytest

import qnn_theory as qt
from qnn_theory.algebra.linear_algebra import Reals
from qnn_theory.dimension.symmetries import symmetries
from qnn_theory.grammar.expr import uses_activation
from qnn_theory.grammar.widths import divisor, parameters

# By hand, at d = 4: the antisymmetric parts of four 4 x 4 matrices; biases that add up; one scaling per output; ...
BY_HAND = {
    "T1": {"antisymmetric part": 24, "merge": 4},
    "T2": {"antisymmetric part": 24},
    "T5": {"scaling": 4},
    "T9": {},
    "T17-paper": {"merge": 20},
    "T20": {},
    "T22": {"merge": 4},
}


@pytest.mark.parametrize("id", BY_HAND)
def test_kinds_and_numbers_by_hand(id: str) -> None:
    found: Counter[str] = Counter()
    for symmetry in symmetries(id, dim=4):
        found[symmetry.kind] += symmetry.directions
    assert found == BY_HAND[id]


@pytest.mark.parametrize("format", qt.formats(), ids=lambda f: f.id)
def test_they_are_what_the_rank_lacks(format: qt.Format) -> None:
    assert 4 % divisor(format.expr) == 0
    dim = 4
    found = symmetries(format, dim=dim, scalars=Reals() if uses_activation(format.expr) else None)
    measured = qt.effective_dimension(format, dim=dim)
    assert sum(symmetry.directions for symmetry in found) == measured.redundant
    names = {parameter for symmetry in found for parameter in symmetry.parameters}
    assert names <= {parameter.name for parameter in parameters(format.expr)}
