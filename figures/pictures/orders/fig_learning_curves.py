"""Learning curves on pure interactions: how the AUC of each format grows with the updates."""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures.pictures.orders.trial import HIGHLIGHTED, STUDY, colour
from figures.shared.contract import FigureSpec
from figures.shared.results import MissingResultsError, Results
from figures.shared.style import GREY, new_figure


def draw(results: Results) -> Figure:
    """One column for each order, one row for each size of embeddings; Adam, the first repetition."""
    runs = results.runs(STUDY).filter(
        (pl.col("training_optimizer") == "adam") & pl.col("dataset").str.starts_with("order-")
    )
    if runs.is_empty():
        raise MissingResultsError(f"{STUDY} holds no run with Adam that ended well: `qnn study run {STUDY}`.")
    seed = runs["seed"].sort()[0]
    kept = runs.filter(pl.col("seed") == seed).select("run", "embedding_std", "bayes_auc", "training_max_updates")
    curves = results.table(STUDY, "history").join(kept, on="run")
    sizes = sorted(curves["embedding_std"].unique(), reverse=True)
    orders = sorted(curves["dataset"].unique())
    figure = new_figure(height_in=0.5 + 1.6 * len(sizes))
    panels = figure.subplots(len(sizes), len(orders), squeeze=False, sharex=True, sharey=True)
    for line, size in zip(panels, sizes, strict=True):
        for axes, order in zip(line, orders, strict=True):
            here = curves.filter((pl.col("embedding_std") == size) & (pl.col("dataset") == order))
            for (label,), curve in here.group_by("label", maintain_order=True):
                named = label in HIGHLIGHTED
                axes.plot(
                    curve["updates"] + 1,
                    100 * curve["test_auc"],
                    color=colour(str(label)),
                    linewidth=1.3 if named else 0.5,
                    alpha=1 if named else 0.55,
                    zorder=3 if named else 2,
                )
            if len(here):
                best = here["bayes_auc"][0]
                axes.axhline(100 * best, color=GREY, linewidth=0.6, linestyle="--")
                axes.axhline(50 + 50 * (best - 0.5), color=GREY, linewidth=0.6, linestyle=":")
        line[0].set_ylabel(f"embeddings start at {size:g}\ntest AUC (%)")
    for axes, order in zip(panels[0], orders, strict=True):
        axes.set_title(f"interaction of {order.removeprefix('order-')} field{'' if order == 'order-1' else 's'}")
        axes.set_xscale("log", base=2)
    for axes in panels[-1]:
        axes.set_xlabel("updates + 1")
    handles = [Line2D([], [], color=c, label=name) for name, c in HIGHLIGHTED.items()]
    handles += [
        Line2D([], [], color=GREY, linewidth=0.5, label="other formats"),
        Line2D([], [], color=GREY, linewidth=0.6, linestyle="--", label="best possible"),
        Line2D([], [], color=GREY, linewidth=0.6, linestyle=":", label="half of the gain"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


FIGURE = FigureSpec(
    name="learning_curves",
    caption=(
        "How formats find a pure interaction of one to four fields: AUC by updates of Adam on fresh rows, first repetition. A "
        "curve ends where it has 80 % of the attainable gain, or with the last update."
    ),
    draw=draw,
    studies=(STUDY,),
)
