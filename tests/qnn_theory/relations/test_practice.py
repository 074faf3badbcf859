"""Pairs of formats that practitioners use, with answers derived by hand; each line says why, none was taken from the program."""

from __future__ import annotations

import pytest

import qnn_theory as qt

NARROW = 'affine("V", affine("U", width=1/2))'
FM = 'affine("V", affine("U", width=1/2) * affine("W", width=1/2))'
TWO = 'affine("U") * affine("V") + affine("P") * affine("Q")'
PI = '(affine("U") + 1) * affine("V")'

BY_HAND = [
    # Low-rank gates.
    (f"x * {NARROW} + x", "T9", "contained"),  # rank d/2 against rank d
    (f"x * {NARROW} + x", "T1", "contained"),  # quadratic
    (f"x * {NARROW}", "Linear", "incomparable"),  # x_i^2; constants
    (NARROW, "Linear", "contained"),
    ('affine("A", affine("B", width=1/4))', NARROW, "contained"),
    ('affine("A", affine("B", affine("C")))', "Linear", "equivalent"),  # take A = B = I
    (f"x * {NARROW} + x", "T5", "contained"),  # x (w + 1)
    # Factorisation machines: outputs are combinations of products that all share.
    (FM, "T1", "contained"),
    (FM, "T5", "incomparable"),  # sums of products are no product; d independent outputs
    (FM, "Linear", "incomparable"),
    ('affine("V", affine("U") * affine("W"))', "T5", "contains"),  # V = I; a sum of two products has rank 4
    ('affine("V", affine("U") ** 2)', "T4", "contains"),
    # Products and sums of them.
    (TWO, "T5", "contains"),
    (TWO, "T8", "contains"),
    (TWO, "T1", "contained"),
    (f"{TWO} + affine('R')", TWO, "contains"),
    ('row_sum(2, affine("A") * affine("B"))', TWO, "equivalent"),
    ('affine("U")**2 - affine("V")**2', "T5", "equivalent"),  # (u + v)(u - v), and back with halves
    ('affine("U")**2 + affine("V")**2', "T5", "incomparable"),  # a sum of squares is definite; x_1 x_2 is not
    # Cubics and Π-nets.
    ('affine("U")**3', 'affine("U") * affine("V") * affine("W")', "contained"),
    ('affine("U") * affine("V") * affine("W")', "T16", "incomparable"),  # constants; x (u v + 1) has no third factor
    ('x * affine("U") * affine("V")', 'affine("U") * affine("V") * affine("W")', "contained"),
    (PI, "T5", "equivalent"),  # the bias of U takes the 1
    ('(affine("U") + 1) * (affine("V") * x + 1)', "T16", "incomparable"),
    # Scaled and shared.
    ('scale("alpha") * affine("W")', "T1", "contained"),
    ('scale("alpha") * affine("W")', "T22", "equivalent"),
    ('affine("W") * affine("W")', "T4", "equivalent"),
    ('affine("W")**2 + affine("W")', "T8", "contained"),  # w (w + 1)
    (
        'affine("W")**2 + affine("W")',
        "T4",
        "incomparable",
    ),  # (w + 1/2)² - 1/4 is negative somewhere; x_1² + 1/4 is no square
    # Bilinear pooling.
    ('bilinear("A", affine("P", width=1/2), affine("Q", width=1/2))', "T1", "contained"),
]


@pytest.mark.parametrize(("first", "second", "kind"), BY_HAND, ids=str)
def test_practitioners_formats(first: str, second: str, kind: str) -> None:
    assert qt.relation(first, second).kind == kind
