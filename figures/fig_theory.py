"""Theory against measurement: rank correlations over the formats, and the scatter behind them, ours and published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from figures.contract import FigureSpec
from figures.format_scores import measured_formats, published_formats
from figures.names import printed
from figures.results import Results
from figures.style import GREY, OURS, PUBLISHED, new_figure
from figures.theory import DIM, theory_table
from studies.statistics import rank_correlation

_PREDICTORS = {
    "degree": "degree",
    "monomials": "monomials",
    "rank": "rank of quadratic form",
    "parameters": "parameters",
    "dimension": "effective dimension",
    "share": "redundant share",
    "smooth": "smoothness class",
}
_SCATTER = ("monomials", "rank", "dimension", "share")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A measured quantity by format.

    Attributes:
        title: axis label.
        ours: from our runs, columns label and mean; None where we have none.
        paper: from the paper; None where it has none.
    """

    title: str
    ours: pl.DataFrame | None
    paper: pl.DataFrame | None


def draw(results: Results) -> Figure:
    """Above: Spearman's correlation of each predictor with each outcome. Below: AUC against four predictors."""
    theory = theory_table().with_columns(share=pl.col("redundant") / pl.col("parameters"))
    outcomes = _outcomes(results)
    figure = new_figure(height_in=5.4)
    halves = figure.add_gridspec(2, 1, height_ratios=(1.0, 1.25))
    upper, lower = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
    panels = upper.subplots(1, len(outcomes), sharey=True)
    for axes, outcome in zip(panels, outcomes, strict=True):
        _correlations(axes, theory, outcome)
    panels[0].set_yticks(range(len(_PREDICTORS)), _PREDICTORS.values())
    panels[0].set_ylim(len(_PREDICTORS) - 0.5, -0.5)
    name = printed(results.runs("formats")["dataset"][0])
    upper.legend(
        handles=[
            Line2D([], [], marker="o", color=OURS, label=f"ours, {name}"),
            Line2D([], [], marker="D", color=PUBLISHED, markerfacecolor="white", label="published, Criteo"),
        ],
        loc="outside upper center",
        ncols=2,
    )
    auc = outcomes[0]
    grid = lower.subplots(2, len(_SCATTER), sharex="col", sharey="row")
    for row, scores, colour, marker, title in (
        (grid[0], auc.ours, OURS, "o", f"ours, {name}\ntest AUC (%)"),
        (grid[1], auc.paper, PUBLISHED, "D", "published, Criteo\ntest AUC (%)"),
    ):
        if scores is not None:
            for axes, predictor in zip(row, _SCATTER, strict=True):
                _scatter(axes, theory, scores, predictor, colour, marker)
        row[0].set_ylabel(title)
    for axes, predictor in zip(grid[1], _SCATTER, strict=True):
        axes.set_xlabel(_PREDICTORS[predictor])
    return figure


def _outcomes(results: Results) -> list[_Outcome]:
    runs = results.runs("formats")
    # QNN-alpha and the baselines were trained in other ways, so that their scores do not speak of a format.
    runs = runs.filter((pl.col("dataset") == runs["dataset"][0]) & (pl.col("model") == "quadratic"))

    def ours(metric: str, scale: float = 1.0) -> pl.DataFrame | None:
        if metric not in runs.columns:
            return None
        return _plain(measured_formats(runs, metric=metric, scale=scale))

    return [
        _Outcome("test AUC", ours("test_auc", 100.0), _plain(published_formats())),
        _Outcome("test log loss", ours("test_logloss"), _plain(published_formats("logloss"))),
        _Outcome("latency, one row", ours("latency_us"), None),
    ]


def _plain(scores: pl.DataFrame) -> pl.DataFrame:
    """Scores without post-activation: the form whose smoothness and feature space the theory speaks of."""
    return scores.filter(pl.col("post_activation") == "none").select("label", "mean")


def _correlations(axes: Axes, theory: pl.DataFrame, outcome: _Outcome) -> None:
    sources = ((outcome.ours, OURS, "o", OURS, -0.15), (outcome.paper, PUBLISHED, "D", "white", 0.15))
    counts = []
    for scores, colour, marker, face, shift in sources:
        if scores is None:
            continue
        both = theory.join(scores, left_on="id", right_on="label")
        counts.append(len(both))
        for y, predictor in enumerate(_PREDICTORS):
            found = rank_correlation(_numbers(both[predictor]), both["mean"].to_list())
            if found.rho is None or found.low is None or found.high is None:
                continue
            # The percentile interval need not hold the estimate; a bar of negative length would be no bar.
            below, above = max(found.rho - found.low, 0.0), max(found.high - found.rho, 0.0)
            axes.errorbar(
                found.rho,
                y + shift,
                xerr=[[below], [above]],
                marker=marker,
                color=colour,
                markerfacecolor=face,
                markersize=3.6,
                elinewidth=0.7,
            )
    axes.axvline(0, color=GREY, linewidth=0.6)
    axes.set_xlim(-1.05, 1.05)
    axes.set_title(f"{outcome.title}, n = {' and '.join(map(str, counts))} formats")
    axes.set_xlabel("Spearman's ρ, 95 % bootstrap interval")


def _scatter(axes: Axes, theory: pl.DataFrame, scores: pl.DataFrame, predictor: str, colour: str, marker: str) -> None:
    both = theory.join(scores, left_on="id", right_on="label")
    values = both["mean"].to_numpy()
    low, high = sorted(values)[len(values) // 4], sorted(values)[-1 - len(values) // 4]
    floor = low - 4 * (high - low)
    shown = both.filter(pl.col("mean") >= floor)
    face = colour if marker == "o" else "white"
    axes.plot(
        shown[predictor], shown["mean"], linestyle="", marker=marker, color=colour, markerfacecolor=face, markersize=3
    )
    for row in both.filter(pl.col("mean") < floor).iter_rows(named=True):
        # Far below the rest: at the edge, with its value.
        axes.annotate(
            f"▾ {printed(row['id'])} {row['mean']:.2f}",
            (row[predictor], 0.02),
            xycoords=axes.get_xaxis_transform(),
            fontsize=6,
            color=colour,
            ha="left",
        )
    if predictor in ("monomials", "dimension"):
        axes.set_xscale("log")
        axes.set_xticks(ticks := [10, 30, 100, 300], list(map(str, ticks)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(0.85 * min(theory[predictor]), 1.18 * max(theory[predictor]))


def _numbers(values: pl.Series) -> Sequence[float]:
    """Ranks need an order only, so analytic (infinity) is the largest class."""
    return [min(float(value), 1e9) for value in values]


FIGURE = FigureSpec(
    name="theory",
    caption=(
        f"Theory of one layer at d = {DIM} against what was measured of the formats without post-activation. Above: rank "
        "correlations with 95 % bootstrap intervals over the formats; formats are few and related, so an interval that covers 0 "
        "shows nothing. Below: the AUCs themselves."
    ),
    draw=draw,
    studies=("formats",),
)
