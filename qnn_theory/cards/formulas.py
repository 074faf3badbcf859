"""Formulas and smoothness classes as text, as LaTeX, as data and as cells."""

from __future__ import annotations

import re
from typing import Any

import sympy

from qnn_theory.cards.tables import Cell, formula_latex

_ONE_LINE = 120  # characters of LaTeX, more or less
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def class_text(order: Any) -> str:
    """``C^0``, ``C^1`` or ``analytic``."""
    return f"C^{order}" if isinstance(order, int) else "analytic"


def class_data(order: Any) -> int | str:
    """The class as JSON holds it."""
    return order if isinstance(order, int) else "analytic"


def class_cell(order: Any) -> Cell:
    """The class as an entry of a table."""
    return Cell(class_text(order), f"$C^{{{order}}}$" if isinstance(order, int) else r"$C^{\omega}$")


def formula_text(formula: Any) -> str:
    """A formula in d for the terminal: ``2·d² + d/2``."""
    text = re.sub(r"\*\*(\d+)", lambda power: power.group(1).translate(_SUPERSCRIPTS), str(formula))
    return text.replace("**", "^").replace("*", "·")


def formula_cell(formula: Any) -> Cell:
    """A formula as an entry of a table."""
    return Cell(formula_text(formula), f"${sympy.latex(formula)}$")


def formula_as_latex(formula: Any) -> str:
    """LaTeX of a SymPy expression whose symbols carry plain names such as ``(W_a x)_i``."""
    names = {symbol: formula_latex(symbol.name) for symbol in formula.free_symbols}
    text = str(sympy.latex(formula, symbol_names=names))
    # TeX breaks no line between \left and \right.
    return text.replace(r"\left(", "(").replace(r"\right)", ")") if len(text) > _ONE_LINE else text
