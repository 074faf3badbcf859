"""Prediction against measurement: the share of an order in the tangent kernel, and updates until that order was found."""

from __future__ import annotations

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from figures.pictures.orders.trial import HIGHLIGHTED, STUDY, Setting, arms, colour, settings
from figures.shared.contract import FigureSpec
from figures.shared.names import two_digits
from figures.shared.results import MissingResultsError, Results
from figures.shared.style import BLACK, GREY, WHITE, new_figure

SHOWN, NORMALISED = "theory_order_share_plain", "theory_order_share_rms"


def draw(results: Results) -> Figure:
    """One row for each optimizer and size of embeddings, one column for each order; a point is a format."""
    found = arms(results)
    missing = [name for name in (SHOWN, NORMALISED) if name not in found.columns]
    if missing:
        raise MissingResultsError(f"{STUDY} was collected without {missing[0]}: `qnn study collect {STUDY}` adds it.")
    correlations = results.table(STUDY, "correlations")
    rows, orders = settings(found), sorted(found["order"].unique())
    figure = new_figure(height_in=0.5 + 1.65 * len(rows))
    panels = figure.subplots(len(rows), len(orders), squeeze=False, sharey="row")
    for line, setting in zip(panels, rows, strict=True):
        for axes, order in zip(line, orders, strict=True):
            here = found.filter(
                (pl.col("order") == order)
                & (pl.col("training_optimizer") == setting.optimizer)
                & (pl.col("embedding_std") == setting.std)
            )
            _panel(axes, here, setting, order, correlations)
        line[0].set_ylabel(f"{setting.title}\nupdates to half")
    handles = [Line2D([], [], linestyle="", marker="o", color=c, label=name) for name, c in HIGHLIGHTED.items()]
    handles += [
        Line2D([], [], linestyle="", marker="o", color=GREY, label="other formats"),
        Line2D([], [], linestyle="", marker="^", color=BLACK, markerfacecolor=WHITE, label="not in all runs reached"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _panel(axes: Axes, here: pl.DataFrame, setting: Setting, order: int, correlations: pl.DataFrame) -> None:
    here = here.drop_nulls(SHOWN)
    if here.is_empty():
        axes.set_visible(False)
        return
    present = [share for share in here[SHOWN] if share > 0]
    nothing = min(present) / 10 if present else 0.1  # a format that cannot express the order stands left of the others
    for row in here.iter_rows(named=True):
        all_reached = row["reached_mean"] == 1
        axes.plot(
            max(row[SHOWN], nothing),
            row["updates_to_half_mean"],
            marker="o" if all_reached else "^",
            color=colour(row["label"]),
            markerfacecolor=colour(row["label"]) if all_reached else WHITE,
            zorder=3 if row["label"] in HIGHLIGHTED else 2,
            markersize=3.2,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=4))
    axes.xaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_xlim()
    if high < 10 * low:  # less than two powers of ten would leave an axis without numbers
        axes.set_xlim(low / 2, high * 2)
    axes.set_xlabel("share of the order", fontsize=6.5)
    told = {
        row["predictor"]: row
        for row in correlations.filter(
            (pl.col("dataset") == f"order-{order}")
            & (pl.col("training_optimizer") == setting.optimizer)
            & (pl.col("embedding_std") == setting.std)
            & pl.col("rho").is_not_null()
        ).iter_rows(named=True)
    }
    title = f"order {order}, n = {len(here)}"
    if SHOWN in told:
        rho, lower, upper = (two_digits(told[SHOWN][name]) for name in ("rho", "low", "high"))
        title += f"\nρ = {rho} [{lower}, {upper}]"
    if NORMALISED in told:
        title += f"; rms {two_digits(told[NORMALISED]['rho'])}"
    axes.set_title(title, fontsize=6.5)


FIGURE = FigureSpec(
    name="interaction_order",
    caption=(
        "Prediction against measurement. Across: the share that the order of the target has in a format's tangent kernel at its "
        "start; formats that cannot express it stand left of the others. Up: updates, on fresh rows, until half of the "
        "attainable gain in AUC was there, mean over the repetitions; a hollow triangle did not get there in some of them and "
        "counts as the last update. ρ is Spearman's, with its 95 % bootstrap interval over the formats; the prediction is that "
        "it lies below 0. “rms” is ρ for the kernel whose groups of parameters are divided by their root mean square gradient, "
        "as Adam does."
    ),
    draw=draw,
    studies=(STUDY,),
)
