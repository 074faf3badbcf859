"""Every format by AUC, with and without post-activation: ours beside the published Criteo runs (paper table 1)."""

from __future__ import annotations

import math
from collections.abc import Collection

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.drawing.marks import PLAIN, POST_ACTIVATED, WHOLE_MODEL
from figures.shared.contract import FigureSpec
from figures.shared.format_scores import by_format, format_runs, measured_formats, published_formats
from figures.shared.names import printed
from figures.shared.outliers import floor_of
from figures.shared.results import Results
from figures.shared.seeds import ours_title
from figures.shared.style import LIGHT_GREY, new_figure

# Intervals that lie on each other hide each other, so the two of a pair are drawn a little apart.
_APART = 0.16


def draw(results: Results) -> Figure:
    """Dumbbell panels beside each other, each sorted on its own by the AUC without post-activation."""
    ours = format_runs(results)
    panels = [("published, Criteo, one run each", published_formats())]
    for dataset in reversed(ours["dataset"].unique(maintain_order=True).to_list()):
        here = ours.filter(pl.col("dataset") == dataset)
        measured = measured_formats(here)
        panels.insert(0, (ours_title(here, measured["n"].to_list()), measured))
    rows = max(frame["label"].n_unique() for _, frame in panels)
    columns = min(len(panels), 3)
    lines = math.ceil(len(panels) / columns)
    figure = new_figure(height_in=0.3 + lines * (0.3 + 0.15 * rows))
    grid = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    # A DNN has its ReLUs without a choice of them, and is no format without post-activation.
    whole = set(ours.filter(pl.col("format").is_null())["label"])
    for axes, (title, frame) in zip(grid, panels, strict=False):
        _dumbbells(axes, frame, whole)
        origin, dataset, *runs = title.split(", ")
        axes.set_title(f"{origin}, {dataset},\n{', '.join(runs)}" if columns > 2 else title)
        axes.set_xlabel("test AUC (%)")
    figure.legend(
        handles=[
            PLAIN.key("no post-activation"),
            POST_ACTIVATED.key("ReLU after each layer"),
            WHOLE_MODEL.key("QNN-α and baselines"),
        ],
        loc="outside upper center",
        ncols=3,
    )
    return figure


def _dumbbells(axes: Axes, frame: pl.DataFrame, whole: Collection[str]) -> None:
    order = (
        frame.with_columns(plain=pl.col("post_activation") == "none")
        .sort("label", "plain", descending=[False, True])
        .group_by("label", maintain_order=True)
        .first()
        .sort("mean", "label")["label"]
        .to_list()
    )
    floor = floor_of(frame["mean"] - frame["half"].fill_null(0.0))
    left = floor - 0.06 * (float(frame["mean"].to_numpy().max()) - floor)
    marks = by_format(frame)
    for y, label in enumerate(order):
        pair = [marks.get((label, post)) for post in ("none", "relu")]
        shown = [max(mark["mean"], left) for mark in pair if mark is not None]
        axes.plot([min(shown), max(shown)], [y, y], color=LIGHT_GREY, linewidth=1.6, zorder=1)
        alone = label in whole or any(mark is None or mark["half"] is None for mark in pair)
        heights = (y, y) if alone else (y + _APART, y - _APART)
        looks = (WHOLE_MODEL, WHOLE_MODEL) if label in whole else (PLAIN, POST_ACTIVATED)
        for mark, height, look in zip(pair, heights, looks, strict=True):
            if mark is None:
                continue
            if mark["mean"] < left:
                axes.annotate(
                    f"◂ {mark['mean']:.2f}",
                    (0, height),
                    xycoords=axes.get_yaxis_transform(),
                    # Two labels of one row stand side by side.
                    xytext=(2 if mark is pair[0] else 30, 0),
                    textcoords="offset points",
                    color=look.colour,
                    fontsize=6,
                    va="center",
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                )
                continue
            axes.errorbar(
                mark["mean"],
                height,
                xerr=mark["half"],
                markersize=3.6,
                elinewidth=0.7,
                zorder=2,
                **look.look(),
            )
    axes.set_yticks(range(len(order)), [printed(label) for label in order])
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.set_xlim(left=left)
    axes.grid(axis="y", linewidth=0.3)


FIGURE = FigureSpec(
    name="formats",
    caption=(
        "Test AUC of each neuron format with and without post-activation, sorted; of QNN-α and the baselines, which have no such "
        "choice, as they are. Left: our runs. Right: the published "
        "Criteo runs, one each; values left of the axis are written at its edge. The panels have axes of their own."
    ),
    draw=draw,
    studies=("formats",),
)
