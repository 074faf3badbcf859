"""What a figure file and a table file promise to the builder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from figures.shared.results import Results


@dataclass(frozen=True, slots=True)
class FigureSpec:
    """One figure of the paper: a module ``figures/pictures/fig_NAME.py`` holds one as ``FIGURE``.

    Attributes:
        name: file stem and the name on the command line.
        caption: what the picture shows, one or two sentences, ready for a paper.
        draw: draws it from collected results inside the paper's style; pure, so the same input gives the same bytes.
        studies: studies whose collected CSV it reads; none for a figure of theory alone.
    """

    name: str
    caption: str
    draw: Callable[[Results], Figure]
    studies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One LaTeX table: a module ``figures/tables/tab_NAME.py`` holds one as ``TABLE``.

    Attributes:
        name: file stem and the name on the command line.
        caption: the caption that stands above the table.
        write: the whole ``table`` environment as text; pure.
        studies: studies whose collected CSV it reads.
    """

    name: str
    caption: str
    write: Callable[[Results], str]
    studies: tuple[str, ...] = ()
