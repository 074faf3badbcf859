"""Every format with and without post-activation, as a LaTeX table (paper table 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from figures.shared.contract import TableSpec
from figures.shared.format_scores import (
    by_format,
    format_runs,
    measured_formats,
    of_first_dataset,
    published_formats,
    registry_order,
)
from figures.shared.names import printed
from figures.shared.results import Results
from figures.tables.latex_table import LatexTable
from figures.tables.study_table import NOTHING, seeds_sentence, with_interval
from qnn_theory.cards.tables import latex_escape

_CAPTION = (
    "Test AUC (%) of each format with ReLU after each layer and without, ours and published (paper table 1). Whether "
    "none is better or worse than ReLU is tested on the same splits with Holm's correction; models without that choice stand "
    "under none. The published numbers are those of the released logs where there are any; some are printed 0.01 lower."
)
_POSTS = ("relu", "none")


def write(results: Results) -> str:
    """One row for each format: ours with intervals and the tested verdict, then the published Criteo runs."""
    runs = of_first_dataset(format_runs(results))
    scores = measured_formats(runs)
    ours, paper = by_format(scores), by_format(published_formats())
    verdicts = _verdicts(results)
    rows = []
    for label in registry_order(runs.select(pl.coalesce("format", "label")).to_series()):
        cells, theirs = ([_cell(scored.get((label, post))) for post in _POSTS] for scored in (ours, paper))
        rows.append([latex_escape(printed(label)), *cells, latex_escape(verdicts.get(label, NOTHING)), *theirs])
    return LatexTable(
        caption=f"{_CAPTION} {seeds_sentence(scores['n'].to_list(), quick=bool(runs['quick'].any()))}",
        label="formats",
        columns="lrrlrr",
        groups=[("", 1), (latex_escape(f"ours, {printed(runs['dataset'][0])}"), 3), ("published, Criteo", 2)],
        header=["format", "ReLU", "none", "none is", "ReLU", "none"],
        rows=rows,
    ).text()


def _cell(row: Mapping[str, Any] | None) -> str:
    return NOTHING if row is None else with_interval(row["mean"], row["half"], digits=2)


def _verdicts(results: Results) -> dict[str, str]:
    """Whether no post-activation is better than ReLU, tested on pairs; empty before anything was compared."""
    if not results.has("formats", "comparisons"):
        return {}
    tested = results.table("formats", "comparisons").filter(
        (pl.col("metric") == "test_auc") & (pl.col("option") == "post_activation") & (pl.col("against_value") == "relu")
    )
    return dict(zip(tested["label"], tested["verdict"], strict=True))


TABLE = TableSpec(name="table_formats", caption=_CAPTION, write=write, studies=("formats",))
