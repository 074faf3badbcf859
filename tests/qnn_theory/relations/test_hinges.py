"""Separation by hinges: where units are too few or of the wrong sign, and where they are not."""

from __future__ import annotations

import pytest

import qnn_theory as qt
from qnn_theory.relations.invariants.hinges import by_hinge_balance, by_hinge_signs
from qnn_theory.relations.invariants.pair import Pair, Separation

MLP, MLP_2, HALF = (f'affine("V", relu(affine("U", width={w})))' for w in ("1", "2", "1/2"))
ABS = 'relu(affine("W")) + relu(-affine("W"))'
LOW, LOWER = (f'affine("V", affine("U", width={w}))' for w in ("1/2", "1/4"))
DIFFERENCE = 'relu(affine("A")) - relu(affine("B"))'
MAX, MIN = 'affine("B") + relu(affine("A"))', 'affine("B") - relu(affine("A"))'


def find(source: str, target: str) -> Separation | None:
    pair = Pair(qt.get_format(source), qt.get_format(target), True)
    return by_hinge_signs(pair) or by_hinge_balance(pair)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("Linear", MLP),  # rank d; two units a direction
        ("Linear", f"{MLP} + x"),
        ('relu(affine("W"))', f"{MLP} + x"),  # relu(w) - x
        ("T9", f"x * {MLP}"),
        (f"x * {LOW} + x", "T25"),  # rank d/2 from d/2 units
        (ABS, MLP),  # no unit left for the affine rest
        ("T26", f"x * ({DIFFERENCE}) + x"),  # two plus kinks
        ("T19", 'x * (1 - relu(affine("W")))'),
        ('x * (1 - relu(affine("W")))', "T19"),
        (MAX, MIN),
        (MIN, MAX),
        ('prelu(affine("A"))', MAX),  # slope 2
        ('prelu(affine("A"))', MIN),  # slope 0
        ('-prelu(affine("A"))', MAX),
        ('-prelu(affine("A"))', MIN),
    ],
)
def test_fires(source: str, target: str) -> None:
    found = find(source, target)
    assert found is not None
    assert found.witness is not None
    assert found.dims == (4, 6) or found.dims[0] % 4 == 0


@pytest.mark.parametrize(
    ("source", "target"),
    [  # each is contained, so that a separation would be wrong
        ("Linear", MLP_2),
        ("Linear", f"{MLP_2} + x"),
        (LOW, MLP),  # rank d/2 by d units
        (LOWER, HALF),
        (f"x * {LOWER} + x", "T25"),
        ('relu(affine("W"))', MLP),
        (ABS, MLP_2),
        ('relu6(affine("W"))', MLP_2),
        ("T19", f"x * {MLP}"),
        ("T9", f"x * {MLP_2}"),
        (ABS, 'relu(affine("U")) + relu(affine("V"))'),
        ('relu(affine("W"))', MAX),
        ("T19", "T26"),
        ("T26", "QNN-alpha"),
        ("T19", f"x * ({DIFFERENCE}) + x"),
        ("T9", f"x * ({DIFFERENCE}) + x"),
        ('relu6(affine("W"))', DIFFERENCE),
        (MIN, f"{MIN} + relu(affine('C'))"),
        (ABS, 'prelu(affine("U"))'),  # slope -1
        (MIN, 'affine("B") - prelu(affine("U"))'),
        ('(1 + prelu(constant(-1))) * prelu(affine("A"))', MAX),  # (1 - slope)² relu(a) and an affine rest
        ("T25", f"x * {MLP}"),
        (f"{HALF} + x", f"{MLP} + x"),
    ],
)
def test_does_not_fire(source: str, target: str) -> None:
    assert find(source, target) is None
