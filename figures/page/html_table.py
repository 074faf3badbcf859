"""Tables of the page: plain HTML that `page.js` makes sortable."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["number", "text", "prose"]


@dataclass(frozen=True, slots=True)
class HtmlCell:
    """One cell.

    Attributes:
        content: HTML that is shown.
        value: what is sorted by; None sorts below everything else.
    """

    content: str
    value: float | str | None


@dataclass(frozen=True, slots=True)
class HtmlColumn:
    """One column.

    Attributes:
        title: plain text.
        kind: numbers stand right and sort by size, largest first; text and prose (which wraps) sort by letters.
    """

    title: str
    kind: Kind = "number"


@dataclass(frozen=True, slots=True)
class HtmlRow:
    """One row.

    Attributes:
        id: the fragment that links point to.
        cells: one for each column.
        words: plain text that a search looks through.
    """

    id: str
    cells: tuple[HtmlCell, ...]
    words: str = ""


def html_table(columns: Sequence[HtmlColumn], rows: Sequence[HtmlRow], *, label: str) -> str:
    """The table in a box of its own that scrolls sideways, so that the page never does.

    Args:
        columns: the columns.
        rows: the rows, in the order shown before anyone sorts.
        label: what a screen reader calls it.
    """
    head = "".join(
        f'<th scope="col" class="{column.kind}" data-kind="{column.kind}">{html.escape(column.title)}</th>'
        for column in columns
    )
    body = "\n".join(
        f'<tr id="{html.escape(row.id)}" data-words="{html.escape(row.words)}">'
        + "".join(_cell(column, cell) for column, cell in zip(columns, row.cells, strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{html.escape(label)}">'
        f'<table class="sortable"><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'
    )


def _cell(column: HtmlColumn, cell: HtmlCell) -> str:
    value = "" if cell.value is None else html.escape(str(cell.value))
    return f'<td class="{column.kind}" data-value="{value}">{cell.content}</td>'
