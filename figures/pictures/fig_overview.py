"""Theory and measurement of every format at a glance, as a heat map with the numbers in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import rankdata

from figures.shared.contract import FigureSpec
from figures.shared.format_scores import by_format, format_runs, measured_formats, of_first_dataset, published_formats
from figures.shared.names import printed
from figures.shared.results import Results
from figures.shared.seeds import seeds_text
from figures.shared.style import SEQUENTIAL, new_figure, text_on
from figures.shared.theory import DIM, theory_table


@dataclass(frozen=True, slots=True)
class _Column:
    """One column: its title, one value a format (None where there is none), and how a value is written."""

    title: str
    values: tuple[float | None, ...]
    text: Callable[[float], str]


def draw(results: Results) -> Figure:
    """A row for each format; a cell's colour is its rank within its column, dark for the smallest."""
    theory = theory_table()
    ids = theory["id"].to_list()
    columns = [*_theory_columns(theory), *_score_columns(results, ids)]
    figure = new_figure(height_in=0.75 + 0.148 * len(ids))
    axes = figure.subplots()
    _draw_cells(axes, columns)
    axes.set_yticks(range(len(ids)), [printed(id) for id in ids])
    axes.set_xticks(range(len(columns)), [column.title for column in columns])
    axes.tick_params(axis="both", length=0, pad=2)
    axes.xaxis.tick_top()
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure


def _theory_columns(theory: pl.DataFrame) -> list[_Column]:
    def column(title: str, values: Sequence[Any], text: Callable[[float], str] = "{:.0f}".format) -> _Column:
        return _Column(title, tuple(None if value is None else float(value) for value in values), text)

    return [
        column("degree", theory["degree"].to_list()),
        column("monomials", theory["monomials"].to_list()),
        column("rank of\nquadr. form", theory["rank"].to_list()),
        column("parameters", theory["parameters"].to_list()),
        column("effective\ndimension", theory["dimension"].to_list()),
        column("redundant\n(%)", (100 * theory["redundant"] / theory["parameters"]).to_list()),
        column("smoothness", theory["smooth"].to_list(), _class),
        column("smoothness,\nReLU after", theory["smooth_relu"].to_list(), _class),
    ]


def _class(order: float) -> str:
    return "analytic" if order == float("inf") else f"$C^{{{order:.0f}}}$"


def _score_columns(results: Results, ids: Sequence[str]) -> list[_Column]:
    columns = []
    if results.has("formats"):
        runs = of_first_dataset(format_runs(results))
        scores = measured_formats(runs)
        columns += _auc_columns(
            scores, ids, f"ours,\n{printed(runs['dataset'][0])},\n{seeds_text(scores['n'].to_list())}"
        )
    return columns + _auc_columns(published_formats(), ids, "published,\nCriteo,\none run")


def _auc_columns(scores: pl.DataFrame, ids: Sequence[str], title: str) -> list[_Column]:
    found = {key: row["mean"] for key, row in by_format(scores).items()}
    return [
        _Column(f"{title}{suffix}", tuple(found.get((id, post)) for id in ids), "{:.2f}".format)
        for post, suffix in (("none", ""), ("relu", ",\nReLU"))
    ]


def _draw_cells(axes: Axes, columns: Sequence[_Column]) -> None:
    colours = matplotlib.colormaps[SEQUENTIAL]
    picture = np.ones((len(columns[0].values), len(columns), 3))
    for x, column in enumerate(columns):
        known = [y for y, value in enumerate(column.values) if value is not None]
        ranks = rankdata([column.values[y] for y in known], method="average")
        low, high = ranks.min(initial=np.inf), ranks.max(initial=-np.inf)
        for y, rank in zip(known, ranks, strict=True):
            picture[y, x] = colours((rank - low) / (high - low) if high > low else 0.5)[:3]
            axes.text(
                x,
                y,
                column.text(float(column.values[y] or 0.0)),
                ha="center",
                va="center",
                fontsize=6.5,
                color=text_on(tuple(picture[y, x])),
            )
    axes.imshow(picture, aspect="auto", interpolation="none")
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(picture) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.8)
    axes.tick_params(which="minor", length=0)


FIGURE = FigureSpec(
    name="overview",
    caption=(
        f"One layer of each format at d = {DIM} (theory, generic parameters) beside the mean test AUC in percent. A cell's "
        "colour is its rank within its column, dark for the smallest; empty where there is no number. The AUC of QNN-α is "
        "that of the whole model, which was trained with the self-ensemble loss."
    ),
    draw=draw,
)
