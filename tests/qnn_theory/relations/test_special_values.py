"""Special values of a target's parameters: what they reach is found and proved, and nothing else is."""

from __future__ import annotations

import pytest

import qnn_theory as qt
from qnn_theory.relations.containment.proof import prove_map
from qnn_theory.relations.special_values import contained_by_special_values

POOLING = 'bilinear("A", affine("P", width=1/2), affine("Q", width=1/2))'
MAX = 'relu(affine("A") - affine("B")) + affine("B")'
SPLIT = 'prelu(affine("W")) - prelu(-affine("W"))'


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        ('affine("V", affine("U", width=1/2) * affine("W", width=1/2))', POOLING, "A'[k] = diag(V[k])"),
        ('affine("V", affine("U", width=1/2) ** 2)', POOLING, "A'[k] = diag(V[k])"),
        ("T3", 'bilinear("A")', "A'[k] = diag(W_a[k])"),
        ("Linear", SPLIT, "slope' = 0"),
        ("T9", 'x * prelu(affine("W")) + x', "slope' = 1"),
        ('relu(affine("A")) + affine("B")', MAX, "A' = A + B"),
        ('affine("B") - relu(affine("A"))', 'affine("B") - relu(affine("B") - affine("A"))', "A' = -A + B"),
        (
            'relu(affine("A")) * affine("B")',
            'relu(affine("A") - 2 * affine("B") + 2 * x + 3) * affine("B")',
            "b_A' = b_A + 2 b_B - 3",
        ),
        ('relu(affine("A", width=1/2)) | affine("B", width=1/2)', MAX, "A' = [A; B]"),
    ],
)
def test_found(source: str, target: str, says: str) -> None:
    a, b = qt.get_format(source), qt.get_format(target)
    found = contained_by_special_values(a, b, tries=48)
    assert found is not None
    assert says in found.lines
    prove_map(a, b, found)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("T5", POOLING),  # d independent forms
        ("T9", POOLING),
        ("T2", POOLING),  # matrices of rank d
        ('prelu(affine("W"))', 'relu(affine("W"))'),
        ('relu(affine("W")) + relu(-affine("W"))', SPLIT),  # odd
        ('relu(affine("A")) + relu(affine("B"))', MAX),  # one kink
        ('affine("B") - relu(affine("A"))', MAX),  # concave
    ],
)
def test_not_found(source: str, target: str) -> None:
    assert contained_by_special_values(qt.get_format(source), qt.get_format(target), tries=48) is None
