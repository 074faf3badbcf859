"""Formulas as text."""

from __future__ import annotations

import sympy

from qnn_theory.cards.formulas import formula_text


def test_formulas_on_the_terminal() -> None:
    d, L = sympy.symbols("d L")
    assert formula_text(d**2 + d / 2) == "d² + d/2"
    assert formula_text(3 * d**12 * 2**L) == "3·2^L·d¹²"
