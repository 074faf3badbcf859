"""Time and memory along each axis of a network's size, with fitted exponents beside those of the theory's formulas."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from figures.shared.contract import FigureSpec
from figures.shared.names import short_count, two_digits
from figures.shared.results import Results
from figures.shared.style import BLACK, GREY, OURS, new_figure

_AXES = {
    "fields": "fields f",
    "embedding_dim": "embedding dim e",
    "layers": "layers L",
    "rows": "rows M",
    "batch_size": "batch size B",
    "vocabulary": "ids per field",
    "data_rows": "rows of data",
    "processes": "processes",
}
_TITLES = {
    "step_ms": "update (ms)",
    "epoch_seconds": "epoch (s)",
    "rows_per_second": "rows / s",
    "peak_mib": "memory (MiB)",
}
# An update does not see how many rows there are, and processes are there to raise the throughput.
_TIME = {"data_rows": "epoch_seconds", "processes": "rows_per_second"}
_COLUMNS = 4


def draw(results: Results) -> Figure:
    """Log-log panels: time for every axis, then memory for every axis."""
    runs = results.runs("scalability")
    fits = {
        (row["axis"], row["metric"]): row for row in results.table("scalability", "exponents").iter_rows(named=True)
    }
    axes_shown = [axis for axis in _AXES if axis in runs["label"]]
    panels = [(axis, _TIME.get(axis, "step_ms")) for axis in axes_shown] + [(axis, "peak_mib") for axis in axes_shown]
    lines = -(-len(panels) // _COLUMNS)
    figure = new_figure(height_in=0.35 + 1.42 * lines)
    grid = list(figure.subplots(lines, _COLUMNS, squeeze=False).flat)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes, (axis, metric) in zip(grid, panels, strict=False):
        points = runs.filter(pl.col("label") == axis).select(x=axis, y=metric).drop_nulls().filter(pl.col("y") > 0)
        _panel(axes, points, fits.get((axis, metric)))
        axes.set_xlabel(_AXES[axis], labelpad=1)
        axes.set_ylabel(_TITLES[metric], labelpad=1)
    figure.legend(
        handles=[
            Line2D([], [], marker="o", linestyle="", color=OURS, markersize=2.5, label="runs"),
            Line2D([], [], color=BLACK, label="fit, with its exponent and 95 % interval"),
            Line2D([], [], color=GREY, linestyle="--", label="exponent of the formula"),
        ],
        loc="outside upper center",
        ncols=3,
    )
    return figure


def _panel(axes: Axes, points: pl.DataFrame, fit: Mapping[str, Any] | None) -> None:
    x, y = points["x"].to_numpy().astype(float), points["y"].to_numpy().astype(float)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.plot(x, y, linestyle="", marker="o", color=OURS, markersize=2.5, zorder=3)
    values = np.unique(x)
    if fit is not None:
        middles = np.array([np.median(y[x == value]) for value in values])
        for exponent, colour, line in ((fit["theory_exponent"], GREY, "--"), (fit["exponent"], BLACK, "-")):
            if exponent is not None:
                # Least squares in logarithms passes through the mean of the logarithms; so does the formula's line here.
                height = np.exp(np.log(middles).mean() + exponent * (np.log(values) - np.log(values).mean()))
                axes.plot(values, height, color=colour, linestyle=line, linewidth=0.9)
        axes.set_title(_exponents(fit), fontsize=7)
    axes.set_xticks(values, [_short(value) for value in values])
    axes.xaxis.set_minor_locator(NullLocator())
    if len(values) > 4:
        axes.set_xticks(values[::2], [_short(value) for value in values[::2]])
    low, high = float(y.min()), float(y.max())
    if high < 1.5 * low:
        # A flat line fills no decade: show at least a factor of two around it.
        low, high = low / 1.42, high * 1.42
    axes.set_ylim(low / 1.15, high * 1.15)
    steps = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if high < 5 * low else (1.0, 2.0, 5.0) if high < 50 * low else (1.0,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
    axes.set_yticks(ticks, [_short(tick) for tick in ticks])
    axes.yaxis.set_minor_locator(NullLocator())


def _exponents(fit: Mapping[str, Any]) -> str:
    text = two_digits(fit["exponent"])
    if fit["low"] is not None:
        text += f" [{two_digits(fit['low'])}, {two_digits(fit['high'])}]"
    return text if fit["theory_exponent"] is None else f"{text}; formula {two_digits(fit['theory_exponent'])}"


def _short(value: float) -> str:
    return short_count(value, gap="")


FIGURE = FigureSpec(
    name="scalability",
    caption=(
        "QNN-α in training: time and peak memory along each axis, all other sizes fixed; one dot a run. Exponents are slopes of "
        "least squares in logarithms, of the measurements and of the formulas that count operations and bytes at the same sizes. "
        "What a process takes at any size, its libraries above all, flattens the slopes of memory."
    ),
    draw=draw,
    studies=("scalability",),
)
