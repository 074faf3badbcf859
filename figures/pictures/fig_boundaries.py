"""Decision boundaries of six models on two moons and two circles (paper figure 2)."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from figures.shared.contract import FigureSpec
from figures.shared.names import printed, two_digits
from figures.shared.results import Results, published
from figures.shared.seeds import seeds_text
from figures.shared.style import BLACK, BLUE, VERMILION, new_figure

_PROBABILITY = LinearSegmentedColormap.from_list("two classes", [BLUE, "#FFFFFF", VERMILION])
_PUBLISHED_NAMES = {"MLP w/o Act": "MLP without activation", "CrossNetv2": "CrossNetV2", "DCNv2=MLP+CNv2": "DCNv2"}
_PUBLISHED_SETS = {"moon": "moons", "circle": "circles"}


def draw(results: Results) -> Figure:
    """One row for each data set, one column for each model: probability, its 0.5 contour, test points and accuracy."""
    runs = results.runs("boundaries")
    first_seed = runs["seed"].to_numpy().min()
    grids = results.table("boundaries", "grid").filter(pl.col("seed") == first_seed)
    points = results.table("boundaries", "points").filter(pl.col("split") == "test")
    datasets = runs["dataset"].unique(maintain_order=True).to_list()
    models = runs["label"].unique(maintain_order=True).to_list()
    paper = {
        (_PUBLISHED_SETS[row["dataset"]], _PUBLISHED_NAMES.get(row["model"], row["model"])): row["value"]
        for row in published("figure2").iter_rows(named=True)
    }
    figure = new_figure(height_in=0.3 + 1.42 * len(datasets))
    panels = figure.subplots(len(datasets), len(models), squeeze=False)
    figure.set_layout_engine("constrained", w_pad=0.015, h_pad=0.03)
    for number, (row, dataset) in enumerate(zip(panels, datasets, strict=True)):
        for axes, model in zip(row, models, strict=True):
            here = (pl.col("dataset") == dataset) & (pl.col("label") == model)
            _panel(axes, grids.filter(here), points.filter(pl.col("dataset") == dataset))
            measured = runs.filter(here)
            accuracy = _accuracy_text(measured["test_accuracy"].to_numpy(), paper.get((dataset, model)))
            order = two_digits(float(measured["jump_order"].to_numpy().mean()))
            axes.set_xlabel(f"{accuracy}\ngradient order {order}", fontsize=6.5, labelpad=2)
            if number == 0:
                axes.set_title(printed(model))
        seeds = runs.filter(pl.col("dataset") == dataset)["seed"].n_unique()
        row[0].set_ylabel(f"{printed(dataset)}\n{seeds_text([seeds])}")
    return figure


def _panel(axes: Axes, grid: pl.DataFrame, points: pl.DataFrame) -> None:
    ordered = grid.sort("x2", "x1")
    xs, ys = (np.unique(ordered[column].to_numpy()) for column in ("x1", "x2"))
    probability = ordered["probability"].to_numpy().reshape(len(ys), len(xs))
    axes.contourf(xs, ys, probability, levels=np.linspace(0, 1, 13), cmap=_PROBABILITY, alpha=0.55)
    axes.contour(xs, ys, probability, levels=[0.5], colors=BLACK, linewidths=0.9)
    for label, marker, colour in ((0, "o", BLUE), (1, "^", VERMILION)):
        part = points.filter(pl.col("label") == label)
        axes.scatter(
            part["x1"], part["x2"], s=3.5, marker=marker, color=colour, edgecolors="white", linewidths=0.2, zorder=3
        )
    axes.set(xticks=[], yticks=[], xlim=(xs[0], xs[-1]), ylim=(ys[0], ys[-1]))
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)


def _accuracy_text(accuracies: np.ndarray, paper: float | None) -> str:
    ours = f"{accuracies.mean():.3f}" + (f" ± {accuracies.std(ddof=1):.3f}" if len(accuracies) > 1 else "")
    return ours if paper is None else f"{ours} ({paper:.3f})"


FIGURE = FigureSpec(
    name="boundaries",
    caption=(
        "Predicted probability after training on two moons and two circles, the line at probability one half, and the test "
        "points. Below each panel: our test accuracy (mean ± standard deviation over seeds where there are several; the "
        "picture shows the first seed), in parentheses the published one; then the measured order by which the largest change "
        "of the gradient shrinks with the step: 1 where the network is smooth, 0 where it has kinks."
    ),
    draw=draw,
    studies=("boundaries",),
)
