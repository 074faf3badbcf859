"""What the builder needs to know of a figure and of a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from figures.shared.results import Results


@dataclass(frozen=True, slots=True)
class FigureSpec:
    """One figure: the ``FIGURE`` of a module ``figures/pictures/fig_NAME.py``, or a sweep of `figures.pictures.sweeps`.

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
    """One LaTeX table: the ``TABLE`` of a module ``figures/tables/tab_NAME.py``, or a study of `figures.tables.study_tables`.

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
