"""A study as a LaTeX table: one row an arm, ours with intervals, the published numbers in columns of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import polars as pl

from figures.shared.contract import TableSpec
from figures.shared.names import printed
from figures.shared.results import Results
from figures.shared.seeds import seeds_text
from figures.tables.latex_table import LatexTable
from qnn_theory.cards.tables import latex_escape

NOTHING = "--"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measured quantity.

    Attributes:
        title: column title, plain text.
        metric: metric of the collected CSV.
        published: name of the published metric; empty where the paper has none.
        scale: what ours is multiplied with.
        published_scale: what the published value, an AUC being a fraction, is multiplied with.
        digits: digits after the point.
        published_title: title of the published column where its unit differs.
    """

    title: str
    metric: str
    published: str = ""
    scale: float = 1.0
    published_scale: float = 1.0
    digits: int = 2
    published_title: str = ""


AUC = Measure(title="AUC (%)", metric="test_auc", published="auc", scale=100, published_scale=100)
LOGLOSS = Measure(title="log loss", metric="test_logloss", published="logloss", digits=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTable:
    """What is shown of a study.

    Attributes:
        study: the study; the table is called ``table_STUDY``.
        caption: what it is; how many seeds stand behind it is added to it.
        measures: what was measured.
        settings: columns of the CSV that tell arms apart beside the label -> their titles.
    """

    study: str
    caption: str
    measures: tuple[Measure, ...] = (AUC, LOGLOSS)
    settings: Mapping[str, str] = field(default_factory=dict)


def study_table_spec(table: StudyTable) -> TableSpec:
    """The table that shows a study."""
    return TableSpec(
        name=f"table_{table.study}",
        caption=table.caption,
        write=partial(study_table, table=table),
        studies=(table.study,),
    )


def study_table(results: Results, *, table: StudyTable) -> str:
    """The study as a table, a part for each of our data sets and a row for each arm."""
    summary = results.table(table.study, "summary").filter(pl.col("n") > 0)
    runs = results.runs(table.study)
    known = [measure for measure in table.measures if f"{measure.metric}_mean" in summary.columns]
    paper = [measure for measure in known if f"published_{measure.published}" in summary.columns]
    told = {name: title for name, title in table.settings.items() if name in summary.columns}
    rows: list[list[str]] = []
    for dataset in summary["dataset"].unique(maintain_order=True):
        if rows:
            rows.append([])
        rows += [
            [
                latex_escape(printed(dataset)),
                latex_escape(printed(row["label"])),
                *(setting(row[name]) for name in told),
                str(row["n"]),
                *(ours(row, measure) for measure in known),
                *([latex_escape(row.get("published_dataset") or NOTHING)] if paper else []),
                *(theirs(row, measure) for measure in paper),
            ]
            for row in summary.filter(pl.col("dataset") == dataset).iter_rows(named=True)
        ]
    groups = [("", 3 + len(told)), ("ours", len(known))]
    if paper:
        groups.append(("published", 1 + len(paper)))
    header = [
        "data", "model", *map(latex_escape, told.values()), "$n$",
        *(latex_escape(measure.title) for measure in known),
        *(["data"] if paper else []),
        *(latex_escape(measure.published_title or measure.title) for measure in paper),
    ]  # fmt: skip
    return LatexTable(
        caption=f"{table.caption} {seeds_sentence(summary['n'].to_list(), quick=bool(runs['quick'].any()))}",
        label=table.study,
        columns="ll" + "l" * len(told) + "r" * (1 + len(known)) + ("l" + "r" * len(paper) if paper else ""),
        groups=groups,
        header=header,
        rows=rows,
    ).text()


def ours(row: Mapping[str, Any], measure: Measure) -> str:
    """Our mean, with half the width of its 95 % interval where several seeds differ."""
    mean, high = row.get(f"{measure.metric}_mean"), row.get(f"{measure.metric}_high")
    if mean is None:
        return NOTHING
    half = None if high is None or high == mean else (high - mean) * measure.scale
    return with_interval(mean * measure.scale, half, digits=measure.digits)


def with_interval(mean: float, half: float | None, *, digits: int) -> str:
    """A mean, with half the width of its interval where there is one."""
    text = f"{mean:.{digits}f}"
    return text if half is None else rf"{text} $\pm$ {half:.{digits}f}"


def theirs(row: Mapping[str, Any], measure: Measure) -> str:
    """The published value."""
    value = row.get(f"published_{measure.published}")
    return NOTHING if value is None else f"{value * measure.published_scale:.{measure.digits}f}"


def setting(value: object) -> str:
    """A setting as a cell."""
    return NOTHING if value is None else latex_escape(printed(str(value)))


def seeds_sentence(counts: Sequence[int], *, quick: bool) -> str:
    """How many runs stand behind the numbers; one seed is called what it is."""
    shortened = " The runs were shortened and say nothing about quality." if quick else ""
    if max(counts) == 1:
        return f"One seed: differences are no evidence.{shortened}"
    return f"Mean and half width of the 95 % interval over {seeds_text(counts)}.{shortened}"
