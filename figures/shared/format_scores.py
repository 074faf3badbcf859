"""How well each format did, ours and published, in one shape: label, post_activation, mean, half, n."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from figures.shared.results import MissingResultsError, Results, published, published_runs
from figures.shared.seeds import over_seeds
from qnn_theory import formats


def format_runs(results: Results) -> pl.DataFrame:
    """The runs of the format study.

    Raises:
        MissingResultsError: it was not collected, or holds a post-activation that figures and tables of it have no place for.
    """
    runs = results.runs("formats")
    others = set(runs["post_activation"].drop_nulls()) - {"none", "relu"}
    if others:
        raise MissingResultsError(
            f"Formats are shown without post-activation and with relu, however: the results of the study formats hold "
            f"{', '.join(sorted(others))}; give a study of that a name of its own."
        )
    return runs


def of_first_dataset(runs: pl.DataFrame) -> pl.DataFrame:
    """The runs on the data set that the study names first, which is what one panel shows of it."""
    return runs.filter(pl.col("dataset") == runs["dataset"][0])


def by_format(scores: pl.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    """(label, post-activation) -> the row of a frame of scores."""
    return {(row["label"], row["post_activation"]): row for row in scores.iter_rows(named=True)}


def measured_formats(runs: pl.DataFrame, *, metric: str = "test_auc", scale: float = 100.0) -> pl.DataFrame:
    """Our AUCs in percent over seeds, or another metric.

    Args:
        runs: runs of one data set.
        metric: column to average.
        scale: what it is multiplied with.

    Returns:
        Columns label, post_activation, mean, half, n; a model without post-activation to choose counts as ``none``.
    """
    named = runs.with_columns(
        shown=pl.col(metric) * scale,
        label=pl.coalesce("format", "label"),
        post_activation=pl.col("post_activation").fill_null("none"),
    )
    return over_seeds(named, by=("label", "post_activation"), value="shown")


def published_formats() -> pl.DataFrame:
    """The published AUCs in percent: at full precision from the logs, rows without a log from table 1.

    Returns:
        Columns label, post_activation, mean, half (null: one run each), n.
    """
    logs = published_runs().filter(pl.col("arm").is_in(["post_act_ReLU", "without_post_act"]))
    exact = logs.select(
        label=pl.col("neuron_type"),
        post_activation=pl.when(pl.col("arm") == "post_act_ReLU").then(pl.lit("relu")).otherwise(pl.lit("none")),
        mean=pl.col("test_auc") * 100,
    )
    printed = (
        published("table1")
        .filter((pl.col("metric") == "auc_percent") & ~pl.col("model").is_in(exact["label"].implode()))
        .select(
            label=pl.col("model").replace({"CrossNetv2": "CrossNetV2", "MLP": "Linear"}),
            post_activation=pl.col("setting").str.strip_prefix("post_activation="),
            mean=pl.col("value"),
        )
    )
    return pl.concat([exact, printed]).with_columns(half=pl.lit(None, pl.Float64), n=pl.lit(1))


def registry_order(labels: Iterable[str]) -> list[str]:
    """Each label once: registered formats in the registry's order, then everything else as it came."""
    place = {format.id: number for number, format in enumerate(formats())}
    return sorted(dict.fromkeys(labels), key=lambda label: place.get(label, len(place)))
