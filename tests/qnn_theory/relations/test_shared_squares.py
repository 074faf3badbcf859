"""Quadratic forms that no d squares span are told from those that some do."""

from __future__ import annotations

import pytest

import qnn_theory as qt
from qnn_theory.relations.invariants.pair import Pair
from qnn_theory.relations.invariants.shared_squares import by_shared_squares

SQUARES = 'affine("P", affine("W") ** 2)'
FREE = f"{SQUARES} + affine('V')"


@pytest.mark.parametrize(
    ("source", "target"),
    [("T5", SQUARES), ("T9", SQUARES), ("T8", FREE), ("T10", FREE), ("T1", FREE), ("T5", f"{SQUARES} / 2 + x")],
)
def test_fires(source: str, target: str) -> None:
    found = by_shared_squares(Pair(qt.get_format(source), qt.get_format(target), True))
    assert found is not None
    assert found.witness is not None


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("T3", SQUARES),  # W = I
        ("T4", SQUARES),  # P = I
        ("T15", FREE),
        ("T11", FREE),
        ("Linear", FREE),
        ('affine("P", affine("V", width=1/2) ** 2)', SQUARES),  # fewer squares
        ('2 * affine("W") ** 2 - x', FREE),
        ("T5", 'affine("P", affine("W", width=2) ** 2)'),  # 2 d squares span everything here
        ("T5", 'affine("P", affine("U") * affine("V"))'),  # products, not squares
        ("T5", f"{SQUARES} + affine('Q', affine('R') ** 2)"),
        ("T3", f"{SQUARES} + x ** 2"),
    ],
)
def test_does_not_fire(source: str, target: str) -> None:
    assert by_shared_squares(Pair(qt.get_format(source), qt.get_format(target), True)) is None
