"""The names of the grammar: what a formula may be made of, with an example each."""

from __future__ import annotations

import inspect

from qnn_theory.cards.tables import Cell, Table
from qnn_theory.grammar.readings.formula import NAMES, arguments, parse
from qnn_theory.grammar.readings.latex import to_latex

_OPERATORS = (
    ("+  -", "sum and difference of expressions of one width", 'x * affine("W_a") - x'),
    ("*", "Hadamard product; a number times an expression", 'x * affine("W_a") + 2 * x'),
    ("**", "element-wise power, a whole number from 1 to 16", "x ** 2"),
    ("/", "division by a number", 'affine("W_a") / 2'),
    ("|", "joined coordinates", 'affine("W_a", width=1/2) | affine("W_b", width=1/2) ** 2'),
)


def grammar_table() -> Table:
    """Every name and operator that a formula may hold: how it is called, what it means, an example."""
    entries = [(symbol, meaning, example) for symbol, meaning, example in _OPERATORS]
    for name, entry in NAMES.items():
        call = name + (arguments(inspect.signature(entry.value)) if callable(entry.value) else "")
        entries.append((call, entry.meaning, entry.example))
    rows = [
        (Cell(call), Cell(example, f"${to_latex(parse(example))}$"), Cell(meaning))
        for call, meaning, example in entries
    ]
    return Table(
        title="The grammar: what a formula is made of, wherever a format is asked for",
        headers=("name", "example", "meaning"),
        rows=tuple(rows),
        data=[{"name": call, "meaning": meaning, "example": example} for call, meaning, example in entries],
    )
