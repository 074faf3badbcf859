"""A table of results and its four renderings: terminal, Markdown, LaTeX (booktabs), JSON."""

from __future__ import annotations

import json
import math
import re
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, assert_never

Rendering: TypeAlias = Literal["text", "markdown", "latex", "json"]

_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # In TeX's own text font these three are other characters.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
_LATEX_SYMBOLS = {
    "⊙": r"\odot",
    "‖": r"\Vert",
    "·": r"\cdot",
    "×": r"\times",
    "≤": r"\leq",
    "≥": r"\geq",
    "≠": r"\neq",
    "≈": r"\approx",
    "±": r"\pm",
    "−": "-",
    "→": r"\to",
    "∈": r"\in",
    "⊆": r"\subseteq",
    "⊊": r"\subsetneq",
    "⊂": r"\subset",
    "⊇": r"\supseteq",
    "⊄": r"\not\subset",
    "≡": r"\equiv",
    "∘": r"\circ",
    "…": r"\ldots",
    "–": "-",
    "∪": r"\cup",
    "∩": r"\cap",
    "∂": r"\partial",
    "∇": r"\nabla",
    "∞": r"\infty",
    "Σ": r"\Sigma",
    "α": r"\alpha",
    "β": r"\beta",
    "λ": r"\lambda",
    "π": r"\pi",
    "σ": r"\sigma",
    "θ": r"\theta",
    "ŷ": r"\hat{y}",
    "ᵀ": r"^{\top}",
    "⁺": "^{+}",
    "⁻": "^{-}",
    "ℝ": r"\mathbb{R}",
    **{symbol: f"^{{{digit}}}" for digit, symbol in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    **{symbol: f"_{{{digit}}}" for digit, symbol in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    "ₘ": "_{m}",
    "ᵢ": "_{i}",
    "ⱼ": "_{j}",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry: as plain text, and as LaTeX where that differs."""

    text: str
    latex: str | None = None

    @property
    def as_latex(self) -> str:
        """The LaTeX of the entry, escaped where it was only given as text."""
        return latex_escape(self.text) if self.latex is None else self.latex


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells under headers, and the same content as data.

    Attributes:
        title: what the table shows.
        headers: one per column, or all empty; the last column is wrapped to the width of the terminal.
        rows: the cells.
        data: what `--json` prints.
    """

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    data: Any


def render(table: Table, rendering: Rendering = "text", *, width: int | None = None) -> str:
    """The table as text.

    Args:
        table: the table.
        rendering: text for the terminal, a Markdown table, a LaTeX tabular with booktabs rules, or JSON.
        width: columns of the terminal; asked of the terminal when left out.
    """
    match rendering:
        case "text":
            return _text(table, width or shutil.get_terminal_size((120, 24)).columns)
        case "markdown":
            return _markdown(table)
        case "latex":
            return _latex(table)
        case "json":
            return json.dumps(table.data, indent=2, ensure_ascii=False)
        case _:
            assert_never(rendering)


def latex_escape(text: str) -> str:
    """Plain text for LaTeX: special characters escaped, mathematical symbols in math mode."""
    escaped = "".join(f"${_LATEX_SYMBOLS[c]}$" if c in _LATEX_SYMBOLS else _LATEX_SPECIAL.get(c, c) for c in text)
    return escaped.replace("$$", "")


def formula_latex(name: str) -> str:
    """A symbol's plain name as mathematics: ``(W_a x)_i`` is ``(W_{a} x)_{i}``."""
    text = re.sub(r"\[([^\]]*)\]", lambda m: "_{" + m.group(1) + "}", name)
    text = re.sub(r"_([A-Za-z0-9]+)_\{", r"_{\1,", text)  # W_a[i,j] has one subscript
    text = re.sub(r"_([A-Za-z0-9]+)", r"_{\1}", text)
    text = re.sub(r"\b([A-Za-z][A-Za-z0-9]+)(?=[('])", r"\\operatorname{\1}", text)
    text = re.sub(r"\b(alpha|beta|gamma)(?![A-Za-z])", r"\\\1", text)
    return "".join(f" {_LATEX_SYMBOLS[c]} " if c in _LATEX_SYMBOLS else c for c in text).strip()


def _text(table: Table, width: int) -> str:
    columns = list(zip(table.headers, *([cell.text for cell in row] for row in table.rows), strict=True))
    sizes = [max(map(len, column)) for column in columns[:-1]]
    indent = sum(sizes) + 2 * len(sizes)
    room = max(width - indent, 30)

    def line(cells: Sequence[str]) -> str:
        start = "".join(cell.ljust(size) + "  " for cell, size in zip(cells, sizes, strict=False))
        wrapped = [
            part
            for paragraph in cells[-1].split("\n")
            for part in textwrap.wrap(paragraph, room, break_on_hyphens=False, break_long_words=False) or [""]
        ]
        return (start + ("\n" + " " * indent).join(wrapped)).rstrip()

    head = [line(table.headers), line(["─" * size for size in sizes] + ["─" * min(room, 40)])]
    return "\n".join(
        [
            table.title,
            "",
            *(head if any(table.headers) else ()),
            *(line([cell.text for cell in row]) for row in table.rows),
        ]
    )


def _markdown(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", r"\|").replace("\n", "<br>") for cell in cells) + " |"

    rule = "|" + "|".join(" --- " for _ in table.headers) + "|"
    body = [line([cell.text for cell in row]) for row in table.rows]
    return "\n".join([f"**{table.title}**", "", line(table.headers), rule, *body])


def _latex(table: Table) -> str:
    """Over several pages where one is too low, and scaled down where the page is too narrow."""
    share = {2: 0.6, 3: 0.36}.get(len(table.headers), 0.3)
    last = rf">{{\raggedright\arraybackslash}}p{{{share}\linewidth}}" if _is_long(table) else "l"
    columns = "@{}" + "l" * (len(table.headers) - 1) + last + "@{}"
    head = [" & ".join(map(latex_escape, table.headers)) + r" \\", r"\midrule"] if any(table.headers) else []
    body = [" & ".join((*(cell.as_latex for cell in row[:-1]), _paragraphs(row[-1]))) + r" \\" for row in table.rows]
    if _is_tall(table):
        return "\n".join(
            [
                f"% {table.title}",
                "% packages: booktabs, amsmath, array, longtable",
                rf"\begin{{longtable}}{{{columns}}}",
                *(r"\toprule", *head, r"\endhead", r"\bottomrule", r"\endfoot"),
                *body,
                r"\end{longtable}",
            ]
        )
    return "\n".join(
        [
            f"% {table.title}",
            "% packages: booktabs, amsmath, array, graphicx",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{columns}}}",
            *(r"\toprule", *head),
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
        ]
    )


def _paragraphs(cell: Cell) -> str:
    """An entry that may be broken into lines: at spaces, and within names of code."""
    text = (
        cell.as_latex
        if cell.latex is not None
        else re.sub(r"(\\_|,|=|\.(?=[a-z]))(?=\w)", r"\1\\allowbreak{}", cell.as_latex)
    )
    return text.replace("\n", r" \newline ")


def _is_tall(table: Table) -> bool:
    """Whether long entries fill more lines than a page has, counted roughly."""
    return _is_long(table) and sum(_lines(row[-1].text) for row in table.rows) > 42


def _lines(text: str) -> int:
    return sum(max(1, math.ceil(len(paragraph) / 45)) for paragraph in text.split("\n"))


def _is_long(table: Table) -> bool:
    return any(len(row[-1].text) > 50 or "\n" in row[-1].text for row in table.rows)
