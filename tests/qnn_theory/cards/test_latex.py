"""Every card and overview as LaTeX: it compiles, fits the page, and prints the characters that it was given."""

from __future__ import annotations

from pathlib import Path

import pytest

import qnn_theory as qt
from qnn_theory.cards.format_card import format_card
from qnn_theory.cards.overviews import claims_table, formats_table, relation_table
from qnn_theory.cards.tables import Cell, Table, render
from tests.pdflatex import needs_pdflatex, too_large

NASTY = "a<b>c|d \\ { } ~ ^ # $ % & _ [x] * ⊙ ≥ d² αβ"


@needs_pdflatex
def test_every_card_fits_the_page(tmp_path: Path) -> None:
    cards = [format_card(format.id) for format in qt.formats()]
    cards += [
        format_card("T19~gelu+relu", neighbours=False),
        format_card("T9", depth=3),
        format_card("T22", relations=True),
    ]
    assert too_large(tmp_path, [render(card, "latex") for card in cards]) == []


@needs_pdflatex
def test_overviews_and_relations_fit_the_page(tmp_path: Path) -> None:
    pairs = [("T9", "T22"), ("T10", "T7"), ("T13", "T14"), ("T19", "T4")]
    tables = [formats_table(), claims_table(qt.claims()), *(relation_table(qt.relation(a, b)) for a, b in pairs)]
    assert too_large(tmp_path, [render(table, "latex") for table in tables]) == []


@needs_pdflatex
@pytest.mark.parametrize("headers", [("", ""), ("a", "b", "c"), ("a", "b", "c", "d", "e", "f")])
@pytest.mark.parametrize("rows", [1, 100])
@pytest.mark.parametrize("text", [NASTY, NASTY + "\n" + "word " * 40])
def test_any_text_compiles(headers: tuple[str, ...], rows: int, text: str, tmp_path: Path) -> None:
    row = (*(Cell(NASTY) for _ in headers[1:]), Cell(text))
    too_large(tmp_path, [render(Table(title="50 % _", headers=headers, rows=(row,) * rows, data=None), "latex")])
