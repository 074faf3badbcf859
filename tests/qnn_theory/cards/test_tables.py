"""One table in four renderings; nothing lost, nothing unescaped."""

from __future__ import annotations

import json
import re

import pytest

from qnn_theory.cards.tables import Cell, Table, formula_latex, latex_escape, render

TABLE = Table(
    title="A table",
    headers=("id", "value"),
    rows=(
        (Cell("T9"), Cell("x ⊙ W_a x", r"$X \odot W_{a} X$")),
        (Cell("50 %_&"), Cell("first line\nsecond | line with many words that will be wrapped on a narrow terminal")),
    ),
    data=[{"id": "T9"}],
)


def test_terminal_wraps_the_last_column() -> None:
    lines = render(TABLE, width=44).splitlines()
    assert lines[0] == "A table"
    assert all(len(line) <= 44 for line in lines)
    assert lines[4] == "T9      x ⊙ W_a x"
    assert lines[5] == "50 %_&  first line"
    assert lines[6] == "        second | line with many words that"


def test_markdown_keeps_the_columns() -> None:
    lines = render(TABLE, "markdown").splitlines()
    assert lines[2:4] == ["| id | value |", "| --- | --- |"]
    assert r"second \| line" in lines[-1]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 3 for line in lines[2:])


def test_json_is_the_data() -> None:
    assert json.loads(render(TABLE, "json")) == TABLE.data


def test_latex_is_escaped_and_has_booktabs_rules() -> None:
    text = render(TABLE, "latex")
    assert r"T9 & $X \odot W_{a} X$ \\" in text
    assert r"50 \%\_\&" in text
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]


def test_a_table_without_headers_prints_none() -> None:
    bare = Table(title="Card", headers=("", ""), rows=TABLE.rows, data=None)
    assert render(bare).splitlines()[2].startswith("T9")
    assert r"\midrule" not in render(bare, "latex")


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("a_b & 50%", r"a\_b \& 50\%"),
        ("d² ≥ 1", r"d$^{2}$ $\geq$ 1"),
        ("x⊙²", r"x$\odot^{2}$"),
        ("H > 1 < 2 | 3", r"H \textgreater{} 1 \textless{} 2 \textbar{} 3"),
        ("plain", "plain"),
    ],
)
def test_escaping(text: str, latex: str) -> None:
    assert latex_escape(text) == latex


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("x_i", "x_{i}"),
        ("(W_a x)_i", "(W_{a} x)_{i}"),
        ("W_a[i,j]", "W_{a,i,j}"),
        ("alpha_i", r"\alpha_{i}"),
        ("b_a[1]", "b_{a,1}"),
        ("(relu(W_a x))_i", r"(\operatorname{relu}(W_{a} x))_{i}"),
    ],
)
def test_symbol_names(name: str, latex: str) -> None:
    assert formula_latex(name) == latex
