"""QNN-α with more heads, aligned and as released, and what they cost in latency (paper table 6)."""

import polars as pl
from matplotlib.figure import Figure

from figures.pictures.sweep import AUC, LOGLOSS, Metric, Sweep, draw_sweep
from figures.shared.contract import FigureSpec
from figures.shared.results import Results, published

_SWEEP = Sweep(study="heads", setting="heads", title="heads H", group="head_layout")
_LATENCY = Metric(
    ours="latency_100_us",
    published="latency_ms_per_100_samples",
    title="ms / 100 samples",
    scale=1e-3,
)


def draw(results: Results) -> Figure:
    """AUC, log loss and latency against the number of heads; a line for each head layout."""
    heads = pl.col("model").str.extract(r"^QNN-alpha x(\d+)$", 1).cast(pl.Int64)
    paper = (
        published("table6")
        .select("dataset", "metric", value=heads, mean="value", half=pl.lit(None, pl.Float64))
        .drop_nulls("value")
    )
    return draw_sweep(results, _SWEEP, (AUC, LOGLOSS, _LATENCY), paper=paper)


FIGURE = FigureSpec(
    name="heads",
    caption=(
        "QNN-α by the number of heads H: aligned heads are provably the one-head model, released heads permute the gated "
        "factor. Latency is that of one forward pass over 100 rows. Our runs, and the published ones (released code) on axes of "
        "their own."
    ),
    draw=draw,
    studies=("heads",),
)
