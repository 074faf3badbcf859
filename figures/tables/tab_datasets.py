"""The data sets, as they are encoded here and as published, as a LaTeX table (paper table 2)."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from figures.shared.contract import TableSpec
from figures.shared.names import printed
from figures.shared.results import Results, published
from figures.tables.latex_table import LatexTable
from figures.tables.study_table import NOTHING
from qnn_theory.cards.tables import latex_escape
from studies.declaring.published import published_dataset

_CAPTION = (
    "Data sets (paper table 2), as encoded here and as published. Features are ids of all fields, with padding and "
    "out-of-vocabulary ids; clicks are the share of rows with label 1."
)
_COUNTS = ("instances", "fields", "features")


def write(results: Results) -> str:
    """One row for each data set that was encoded here or is published; an empty cell where one of the two is not."""
    ours = {row["dataset"]: row for row in results.runs("datasets").iter_rows(named=True)}
    paper = _published()
    names = {dataset: published_dataset(dataset) for dataset in ours}
    rows = [[printed(dataset), *_ours(row), *_theirs(paper.get(names[dataset], {}))] for dataset, row in ours.items()]
    rows += [[name, *[NOTHING] * 4, *_theirs(counts)] for name, counts in paper.items() if name not in names.values()]
    return LatexTable(
        caption=_CAPTION,
        label="datasets",
        columns="lrrrrrrr",
        groups=[("", 1), ("ours", 4), ("published", 3)],
        header=["data", *_COUNTS, latex_escape("clicks (%)"), *_COUNTS],
        rows=[[latex_escape(cell) for cell in row] for row in rows],
    ).text()


def _ours(row: Mapping[str, float]) -> list[str]:
    return [*(f"{row[count]:,.0f}" for count in _COUNTS), f"{100 * row['click_share']:.1f}"]


def _theirs(counts: Mapping[str, float]) -> list[str]:
    return [f"{counts[count]:,.0f}" if count in counts else NOTHING for count in _COUNTS]


def _published() -> dict[str, dict[str, float]]:
    """Data set -> count -> value, in the paper's order."""
    found: dict[str, dict[str, float]] = {}
    for name, count, value in published("table2").select("dataset", "metric", pl.col("value").cast(float)).iter_rows():
        found.setdefault(name, {})[count] = value
    return found


TABLE = TableSpec(name="table_datasets", caption=_CAPTION, write=write, studies=("datasets",))
