"""Theory against measurement: rank correlations over the formats, and the scatter behind them, ours and published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from figures.shared.contract import FigureSpec
from figures.shared.names import printed, short_count
from figures.shared.outliers import floor_of
from figures.shared.results import Results
from figures.shared.style import GREY, OURS, PUBLISHED, new_figure
from studies.declaring.config import Correlate, StudyConfig
from studies.judging.correlations import correlations_table

_PREDICTORS = {
    "theory_degree": "degree of the stack",
    "theory_support": "monomials, one layer",
    "theory_rank_d8": "rank of quadratic form",
    "theory_layer_parameters": "parameters",
    "theory_effective_d8": "effective dimension",
    "theory_redundant_share_d8": "redundant share",
    "theory_smoothness": "smoothness class",
}
_SCATTER = ("theory_support", "theory_rank_d8", "theory_effective_d8", "theory_redundant_share_d8")
_LOGARITHMIC = ("theory_support", "theory_effective_d8")
_SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What was measured: the axis title, and the columns of ours and of the published values (empty for none)."""

    title: str
    ours: str
    paper: str = ""


_OUTCOMES = (
    _Outcome("test AUC", "test_auc_mean", "published_auc"),
    _Outcome("test log loss", "test_logloss_mean", "published_logloss"),
    _Outcome("latency of one row", "latency_us_mean"),
    _Outcome("spread of AUC over seeds", "test_auc_std"),
)


def draw(results: Results) -> Figure:
    """Above: Spearman's correlation of each predictor with each outcome. Below: AUC against four predictors."""
    arms = _arms(results)
    outcomes = [outcome for outcome in _OUTCOMES if _known(arms, outcome.ours)]
    found = _correlations(arms, outcomes)
    figure = new_figure(height_in=5.4)
    halves = figure.add_gridspec(2, 1, height_ratios=(1.0, 1.25))
    upper, lower = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
    panels = upper.subplots(1, len(outcomes), sharey=True)
    for axes, outcome in zip(panels, outcomes, strict=True):
        _draw_correlations(axes, outcome, found)
    upper.supxlabel("Spearman's ρ with its 95 % bootstrap interval", fontsize=8)
    panels[0].set_yticks(range(len(_PREDICTORS)), _PREDICTORS.values())
    panels[0].set_ylim(len(_PREDICTORS) - 0.5, -0.5)
    name = printed(arms["dataset"][0])
    upper.legend(
        handles=[
            Line2D([], [], marker="o", color=OURS, markerfacecolor="white", label=f"ours, {name}"),
            Line2D([], [], marker="D", color=PUBLISHED, markerfacecolor="white", label="published, Criteo"),
            Line2D([], [], marker="o", linestyle="", color=GREY, label="filled: p < 0.05 after Holm's correction"),
        ],
        loc="outside upper center",
        ncols=3,
    )
    grid = lower.subplots(2, len(_SCATTER), sharex="col", sharey="row")
    for row, column, colour, marker, title in (
        (grid[0], "test_auc_mean", OURS, "o", f"ours, {name}"),
        (grid[1], "published_auc", PUBLISHED, "D", "published, Criteo"),
    ):
        row[0].set_ylabel(f"{title}\ntest AUC (%)")
        if _known(arms, column):
            for axes, predictor in zip(row, _SCATTER, strict=True):
                _draw_scatter(axes, arms, predictor, column, colour, marker)
    for axes, predictor in zip(grid[1], _SCATTER, strict=True):
        axes.set_xlabel(_PREDICTORS[predictor])
    return figure


def _arms(results: Results) -> pl.DataFrame:
    """The formats without post-activation: of the theory study, or before it was run of the format study.

    QNN-alpha and the baselines were trained in other ways, so that their scores do not speak of a format.
    """
    summary = results.table("theory" if results.has("theory") else "formats", "summary")
    plain = (pl.col("model") == "quadratic") & (pl.col("post_activation") == "none") & (pl.col("n") > 0)
    return summary.filter(plain & (pl.col("dataset") == summary["dataset"][0]))


def _known(arms: pl.DataFrame, column: str) -> bool:
    return column in arms.columns and arms[column].null_count() < len(arms)


def _correlations(arms: pl.DataFrame, outcomes: list[_Outcome]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """(predictor, outcome) -> n, rho, low, high, p_holm."""
    columns = tuple(column for outcome in outcomes for column in (outcome.ours, outcome.paper) if column)
    wanted = Correlate(predictors=tuple(_PREDICTORS), outcomes=columns)
    asked = StudyConfig(name="theory", title="", task="train", datasets=(), arms=(), correlate=wanted)
    return {(row["predictor"], row["outcome"]): row for row in correlations_table(asked, arms).iter_rows(named=True)}


def _draw_correlations(axes: Axes, outcome: _Outcome, found: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
    counts: list[int] = []
    for column, colour, marker, shift in ((outcome.ours, OURS, "o", -0.15), (outcome.paper, PUBLISHED, "D", 0.15)):
        rows = [
            (y, found[predictor, column]) for y, predictor in enumerate(_PREDICTORS) if (predictor, column) in found
        ]
        counts += [row["n"] for _, row in rows if row["rho"] is not None]
        for y, row in rows:
            if row["rho"] is None:
                continue
            # A percentile interval need not hold the estimate; a bar of negative length would be no bar.
            ends = [[max(row["rho"] - row["low"], 0.0)], [max(row["high"] - row["rho"], 0.0)]]
            axes.errorbar(
                row["rho"],
                y + shift,
                xerr=ends,
                marker=marker,
                color=colour,
                markerfacecolor=colour if row["p_holm"] < _SIGNIFICANT else "white",
                markersize=3.6,
                elinewidth=0.7,
            )
    axes.axvline(0, color=GREY, linewidth=0.6)
    axes.set_xlim(-1.08, 1.08)
    axes.set_xticks([-1, 0, 1])
    axes.set_title(f"{outcome.title}\nn = {' and '.join(str(count) for count in dict.fromkeys(counts))} formats")


def _draw_scatter(axes: Axes, arms: pl.DataFrame, predictor: str, column: str, colour: str, marker: str) -> None:
    points = arms.select("label", x=predictor, y=pl.col(column) * 100).drop_nulls()
    floor = floor_of(points["y"])
    shown = points.filter(pl.col("y") >= floor)
    face = colour if marker == "o" else "white"
    axes.plot(shown["x"], shown["y"], linestyle="", marker=marker, color=colour, markerfacecolor=face, markersize=3)
    below = points.filter(pl.col("y") < floor)
    if len(below) == 1:
        x, text = below["x"][0], f"▾ {printed(below['label'][0])} {below['y'][0]:.2f}"
    else:
        x, text = min(points["x"]), f"▾ {len(below)} below {floor:.1f}" if len(below) else ""
    axes.annotate(text, (x, 0.02), xycoords=axes.get_xaxis_transform(), fontsize=6, color=colour)
    axes.margins(y=0.16)
    if predictor in _LOGARITHMIC:
        low, high = float(min(points["x"])), float(max(points["x"]))
        axes.set_xscale("log")
        steps = (1, 3) if high < 30 * low else (1,)  # more labels than that would run into each other
        ticks = [step * 10**power for power in range(10) for step in steps if low / 2 < step * 10**power < high * 2]
        axes.set_xticks(ticks, [short_count(tick) for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(0.8 * low, 1.25 * high)


FIGURE = FigureSpec(
    name="theory",
    caption=(
        "What the theory says of the formats against what was measured of them, without post-activation. Above: rank "
        "correlations over the formats; these are few and related, so an interval that covers 0 shows nothing, and none of it "
        "shows a cause. Below: the AUCs themselves. Effective dimension, redundancy and rank are of one layer at d = 8; degree, "
        "monomials and parameters are those of our networks, in which T1, T2 and T6 work on a narrower projection of the input."
    ),
    draw=draw,
    studies=("theory",),
)
