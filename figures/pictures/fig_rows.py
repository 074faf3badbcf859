"""QNN-α with more rows of the Khatri-Rao product, and what they cost in latency (paper figure 7)."""

from matplotlib.figure import Figure

from figures.pictures.sweep import AUC, LOGLOSS, Metric, Sweep, draw_sweep, published_sweep
from figures.shared.contract import FigureSpec
from figures.shared.results import Results

_SWEEP = Sweep(study="rows", setting="rows", title="rows M")
_LATENCY = Metric(
    ours="latency_us", published="latency_ms", title="latency, 1 row (µs)", published_title="latency (ms)"
)


def draw(results: Results) -> Figure:
    """AUC, log loss and latency against the number of rows."""
    paper = published_sweep("figure7", "rows", numbers=True)
    return draw_sweep(results, _SWEEP, (AUC, LOGLOSS, _LATENCY), paper=paper)


FIGURE = FigureSpec(
    name="rows",
    caption="QNN-α by the number of rows M: quality and latency of our runs, and the published ones on axes of their own.",
    draw=draw,
    studies=("rows",),
)
