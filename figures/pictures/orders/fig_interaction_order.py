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

PREDICTOR = {"adam": "theory_order_share_rms", "sgd": "theory_order_share_plain"}
_NAMES = {
    "theory_order_share_rms": "share, groups by rms gradient",
    "theory_order_share_plain": "share of tangent kernel",
}
_SMALLEST = 1e-12


def draw(results: Results) -> Figure:
    """One row for each optimizer and size of embeddings, one column for each order; a point is a format."""
    found = arms(results)
    missing = [name for name in PREDICTOR.values() if name not in found.columns]
    if missing:
        raise MissingResultsError(f"{STUDY} was collected without {missing[0]}: `qnn study collect {STUDY}` adds it.")
    correlations = results.table(STUDY, "correlations")
    rows, orders = settings(found), sorted(found["order"].unique())
    figure = new_figure(height_in=0.5 + 1.55 * len(rows))
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
    predictor = PREDICTOR[setting.optimizer]
    here = here.drop_nulls(predictor)
    if here.is_empty():
        axes.set_visible(False)
        return
    for row in here.iter_rows(named=True):
        all_reached = row["reached_mean"] == 1
        axes.plot(
            max(row[predictor], _SMALLEST),
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
    axes.set_xlabel(_NAMES[predictor], fontsize=6.5)
    told = correlations.filter(
        (pl.col("dataset") == f"order-{order}")
        & (pl.col("training_optimizer") == setting.optimizer)
        & (pl.col("embedding_std") == setting.std)
        & (pl.col("predictor") == predictor)
        & (pl.col("outcome") == "updates_to_half_mean")
    )
    title = f"order {order}"
    if len(told) == 1 and told["rho"][0] is not None:
        rho, low, high = (two_digits(told[name][0]) for name in ("rho", "low", "high"))
        title += f": ρ = {rho} [{low}, {high}]"
    axes.set_title(title, fontsize=7)


FIGURE = FigureSpec(
    name="interaction_order",
    caption=(
        "Prediction against measurement. Across: the share that the order of the target has in a format's tangent kernel at its "
        "start, for Adam with each parameter group divided by its root mean square gradient. Up: updates, on fresh rows, until "
        "half of the attainable gain in AUC was there, mean over the repetitions; a hollow triangle did not get there in some of "
        "them and counts as the last update. ρ is Spearman's, with its 95 % bootstrap interval over the formats; the prediction "
        "is that it lies below 0."
    ),
    draw=draw,
    studies=(STUDY,),
)
