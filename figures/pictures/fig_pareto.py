"""AUC against parameters, with the front of formats that no cheaper one beats: ours beside the published Criteo runs."""

from __future__ import annotations

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from figures.drawing.labels import place_labels
from figures.drawing.marks import PLAIN, POST_ACTIVATED, WHOLE_MODEL
from figures.shared.contract import FigureSpec
from figures.shared.format_scores import format_runs, of_first_dataset
from figures.shared.names import printed, short_count
from figures.shared.outliers import floor_of
from figures.shared.results import Results, published_runs
from figures.shared.seeds import ours_title, over_seeds
from figures.shared.style import BLACK, GREY, new_figure

_KINDS = {
    "format": (PLAIN, "format, no post-activation"),
    "format+relu": (POST_ACTIVATED, "format, ReLU after each layer"),
    "other": (WHOLE_MODEL, "QNN-α and baselines"),
}
# LR and FM are all embedding table: on a logarithmic axis their bias alone would stand decades to the left of all else.
_FEWEST = 100
# The best formats get their names even where a cheaper one beats them.
_NAMED_FORMATS = 6


def draw(results: Results) -> Figure:
    """Two panels on a logarithmic axis of parameters; embeddings, which all models share, are not counted."""
    runs = of_first_dataset(format_runs(results))
    ours = _ours(runs)
    figure = new_figure(height_in=3.2)
    panels = figure.subplots(1, 2)
    frames = [_placed(ours), _placed(_published())]
    for axes, frame, title in zip(
        panels,
        frames,
        (ours_title(runs, ours["n"].to_list()), "published, Criteo, one run each"),
        strict=True,
    ):
        _scatter(axes, frame)
        axes.set_title(title)
        axes.set_xlabel("parameters without embeddings")
    panels[0].set_ylabel("test AUC (%)")
    figure.legend(
        handles=[
            *(mark.key(label) for mark, label in _KINDS.values()),
            Line2D([], [], color=GREY, linewidth=0.8, label="no cheaper mean is higher"),
        ],
        loc="outside upper center",
        ncols=4,
    )
    for axes, frame in zip(panels, frames, strict=True):
        _name_points(axes, frame)
    return figure


def _ours(runs: pl.DataFrame) -> pl.DataFrame:
    named = runs.with_columns(
        auc=pl.col("test_auc") * 100,
        size=pl.col("parameters") - pl.col("embedding_parameters"),
        label=pl.coalesce("format", "label"),
        kind=pl.when(pl.col("format").is_null() | pl.col("label").str.starts_with("QNN"))
        .then(pl.lit("other"))
        .when(pl.col("post_activation").fill_null("none") == "none")
        .then(pl.lit("format"))
        .otherwise(pl.lit("format+relu")),
    )
    return over_seeds(named.filter(pl.col("size") >= _FEWEST), by=("label", "kind", "size"), value="auc")


def _published() -> pl.DataFrame:
    arms = {"without_post_act": "format", "post_act_ReLU": "format+relu", "QNN_alpha": "other"}
    return (
        published_runs()
        .filter(pl.col("dataset").str.starts_with("Criteo"))
        .select(
            label=pl.coalesce(
                pl.col("neuron_type").replace("None", None), pl.format("QNN-alpha, M = {}", pl.col("num_rows"))
            ),
            kind=pl.col("arm").replace_strict(arms),
            size=pl.col("num_parameters") - pl.col("embedding_params"),
            mean=pl.col("test_auc") * 100,
            half=pl.lit(None, pl.Float64),
            n=pl.lit(1),
        )
        .sort("label", "kind")
    )


def _placed(frame: pl.DataFrame) -> pl.DataFrame:
    """The models with the place ``x`` of their marks: the two variants of a format stand a little apart, so that both show."""
    reach = max(frame["size"]) / min(frame["size"])
    apart = pl.when(pl.col("kind") == "format+relu").then(pl.lit(reach**0.012)).otherwise(pl.lit(1.0))
    return frame.with_columns(x=pl.col("size") * apart)


def _front(frame: pl.DataFrame) -> pl.DataFrame:
    """The models that are better than every model of at most their size."""
    best = frame.sort("size", "mean", descending=[False, True])
    return best.filter(pl.col("mean") > pl.col("mean").cum_max().shift(1, fill_value=float("-inf")))


def _scatter(axes: Axes, frame: pl.DataFrame) -> None:
    axes.set_xscale("log")
    low, high = min(frame["size"]), max(frame["size"])
    front = _front(frame)
    axes.step(front["size"], front["mean"], where="post", color=GREY, linewidth=0.8, zorder=1)
    for kind, (mark, _) in _KINDS.items():
        part = frame.filter(pl.col("kind") == kind)
        if part.is_empty():
            continue
        axes.errorbar(
            part["x"],
            part["mean"],
            yerr=part["half"] if part["half"].null_count() < len(part) else None,
            linestyle="",
            markersize=3.6,
            elinewidth=0.5,
            markeredgewidth=0.8,
            capsize=0,
            zorder=2,
            **mark.look(),
        )
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 50 * low else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_count(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(low / (high / low) ** 0.08, high * (high / low) ** 0.08)
    floor = floor_of(frame["mean"])
    half = pl.col("half").fill_null(0.0)
    shown = frame.filter(pl.col("mean") >= floor).select(low=pl.col("mean") - half, high=pl.col("mean") + half)
    bottom, top = min(shown["low"]), max(shown["high"])
    axes.set_ylim(bottom - 0.09 * (top - bottom), top + 0.09 * (top - bottom))
    below = frame.filter(pl.col("mean") < floor)
    if not below.is_empty():
        axes.annotate(
            f"▾ {len(below)} below {floor:.2f}", (0.02, 0.02), xycoords="axes fraction", fontsize=6.5, color=GREY
        )


def _name_points(axes: Axes, frame: pl.DataFrame) -> None:
    formats = frame.filter(pl.col("kind") == "format").top_k(_NAMED_FORMATS, by="mean")
    named = pl.concat([_front(frame), formats, frame.filter(pl.col("kind") == "other")]).unique(maintain_order=True)
    front = _front(frame)
    sizes, aucs = front["size"].to_list(), front["mean"].to_list()
    steps = [(x, y) for k, y in enumerate(aucs) for x in sizes[k : k + 2]]
    intervals = [
        [(x, mean - half), (x, mean + half)]
        for x, mean, half in frame.drop_nulls("half").select("x", "mean", "half").iter_rows()
    ]
    place_labels(
        axes,
        [printed(label) for label in named["label"]],
        named["x"].to_list(),
        named["mean"].to_list(),
        avoid=list(frame.select("x", "mean").iter_rows()),
        avoid_lines=[steps, *intervals],
        fontsize=6.5,
        color=BLACK,
    )


FIGURE = FigureSpec(
    name="pareto",
    caption=(
        "Test AUC against the number of parameters without the embedding table. The grey line joins the models whose mean no "
        "model of at most their size exceeds; where intervals overlap it shows no difference. Marks of formats with ReLU stand a "
        "little right of their place; models without layers (LR, FM) are left out. Left: our runs. Right: the published Criteo "
        "runs."
    ),
    draw=draw,
    studies=("formats",),
)
