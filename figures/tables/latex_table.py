"""LaTeX tables with booktabs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from qnn_theory.cards.tables import latex_escape


@dataclass(frozen=True, slots=True, kw_only=True)
class LatexTable:
    r"""A table over both columns of a page; its cells are LaTeX already (`latex_escape` makes them so).

    It needs ``\usepackage{booktabs,graphicx}``. A table that is wider than the page is scaled down to it; others keep their size.

    Attributes:
        caption: caption, plain text.
        label: for ``\ref``, without the ``tab:``.
        columns: column letters, as ``lrr``.
        groups: titles over several columns, as (title, width); empty for none. A group without a title has no rule.
        header: title of each column.
        rows: cells; an empty row is a rule between parts.
    """

    caption: str
    label: str
    columns: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    groups: Sequence[tuple[str, int]] = field(default_factory=tuple)

    def text(self) -> str:
        """The whole ``table`` environment.

        Raises:
            ValueError: a row that is not as wide as the header.
        """
        for row in (self.header, *self.rows):
            if row and len(row) != len(self.columns):
                raise ValueError(
                    f"A row has {len(self.columns)} cells like the columns {self.columns!r}, however: {list(row)}."
                )
        lines = [
            r"\begin{table*}",
            r"\centering",
            rf"\caption{{{latex_escape(self.caption)}}}",
            rf"\label{{tab:{self.label}}}",
            r"\small",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{@{{}}{self.columns}@{{}}}}",
            r"\toprule",
        ]
        if self.groups:
            lines += self._group_lines()
        lines += [_line(self.header), r"\midrule"]
        lines += [_line(row) if row else r"\midrule" for row in self.rows]
        lines += [r"\bottomrule", r"\end{tabular}}", r"\end{table*}"]
        return "\n".join(lines) + "\n"

    def _group_lines(self) -> list[str]:
        titles, rules, start = [], [], 1
        for title, width in self.groups:
            titles.append(rf"\multicolumn{{{width}}}{{c}}{{{title}}}" if title else " & " * (width - 1))
            if title:
                rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
            start += width
        return [_line(titles), " ".join(rules)]


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
