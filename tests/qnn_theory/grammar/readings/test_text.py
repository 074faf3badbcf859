"""Plain-text formulas: written by hand for awkward nestings, and distinct for distinct formats."""

from __future__ import annotations

from fractions import Fraction

import pytest

import qnn_theory as qt
from qnn_theory.grammar.expr import (
    NODE_TYPES,
    HeadMajor,
    Multiple,
    RowSum,
    Slice,
    affine,
    bilinear,
    constant,
    relu,
    scale,
    walk,
    x,
    x0,
)
from qnn_theory.grammar.readings.text import coordinate_text, to_text

CASES = [
    (x * affine("W_a") + x, "x ⊙ W_a x + x"),
    ((x + x0) * affine("W_a", x**2), "(x + x₁) ⊙ W_a x²"),
    (affine("W_a", x * x + x), "W_a (x ⊙ x + x)"),
    (affine("W_a", affine("W_b")), "W_a W_b x"),
    (affine("W_a") ** 12, "(W_a x)¹²"),
    (bilinear("A", x + x0, affine("W_a")), "(x + x₁)ᵀ A W_a x"),
    (scale("alpha", x * x), "alpha ⊙ x ⊙ x"),
    (affine("W_a") | relu(x) + x, "W_a x ‖ relu(x) + x"),
    (x * RowSum(rows=3, of=relu(affine("W"))), "x ⊙ Σ_3 relu(W x)"),
    (RowSum(rows=3, of=x * affine("W")), "Σ_3 (x ⊙ W x)"),
    (Multiple(factor=Fraction(-1, 2), of=x + x0), "-1/2·(x + x₁)"),
    (x - affine("W_a"), "x - W_a x"),
    (-x, "-x"),
    (1 - x, "1 - x"),
    (2 * x - 3, "2·x - 3"),
    (x - (x + x0), "x - (x + x₁)"),
    (x - x * x0 + Fraction(1, 2), "x - x ⊙ x₁ + 1/2"),
    (x * -affine("W_a") - x / 3, "x ⊙ (-W_a x) - 1/3·x"),
    ((x - 1) ** 2 * (1 - x), "(x - 1)² ⊙ (1 - x)"),
    ((-x) ** 2 + constant(Fraction(1, 2)) ** 2, "(-x)² + (1/2)²"),
    (-(x + 1) - relu(-x), "-(x + 1) - relu(-x)"),
    (affine("W_a", -x) | constant(-1), "W_a (-x) ‖ -1"),
    (Slice(index=1, blocks=2, of=x) * HeadMajor(heads=2, embedding_dim=4, of=x), "x[2] ⊙ π(x)"),
]


@pytest.mark.parametrize(("expr", "text"), CASES, ids=[text for _, text in CASES])
def test_text_by_hand(expr, text: str) -> None:
    assert to_text(expr) == text


def test_cases_cover_every_node() -> None:
    assert {type(node) for expr, _ in CASES for node in walk(expr)} == set(NODE_TYPES)


def test_formats_differ_in_text() -> None:
    texts = [to_text(format.expr) for format in qt.formats()]
    assert len(set(texts)) == len(texts)


def test_coordinates() -> None:
    assert coordinate_text(x, "i") == "x_i"
    assert coordinate_text(affine("W_a"), "j") == "(W_a x)_j"
