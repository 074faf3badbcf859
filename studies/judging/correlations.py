"""Theory against measurement: rank correlations over the arms of a study, with bootstrap intervals over the arms.

One table row per data set, value of the settings that the study tells apart (one column each), predictor and outcome:
``dataset … predictor outcome n rho low high p p_holm p_bh`` (Spearman's ρ, its 95 % percentile bootstrap interval, its p value
and that corrected over all rows of the data set, or of the study where it says so). ``rho`` is empty where a column is constant.
Arms are few and related to each other, so an interval that covers 0 shows nothing, and none of it shows a cause.
"""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from studies.declaring.config import Correlate, StudyConfig
from studies.judging.statistics import benjamini_hochberg, holm, rank_correlation
from studies.tasks.metrics import higher_is_better
from studies.tasks.spec import as_text


def correlations_table(config: StudyConfig, summary: pl.DataFrame) -> pl.DataFrame:
    """All correlations that the study declares; empty when it declares none.

    Args:
        config: the study.
        summary: its collected summary, one row per arm.
    """
    asked = config.correlate
    if asked is None:
        return pl.DataFrame()
    for name, value in asked.where.items():
        summary = summary.filter(pl.col(name).cast(pl.String).str.to_lowercase() == as_text(value).lower())
    families: list[list[dict[str, Any]]] = []
    for _, here in summary.group_by("dataset", maintain_order=True):
        found: list[dict[str, Any]] = []
        for names, arms in here.group_by("dataset", *asked.by, maintain_order=True):
            keys = dict(zip(("dataset", *asked.by), names, strict=True))
            for outcome in asked.outcomes:
                best = _best_of(config, asked, arms, outcome)
                found += [
                    {**keys, "predictor": name, "outcome": outcome, **_correlation(best, name, outcome)}
                    for name in asked.predictors
                ]
        families.append(found)
    if asked.family == "study":
        families = [[row for family in families for row in family]]
    return pl.DataFrame([row for family in families for row in _corrected(family)], infer_schema_length=None)


def _best_of(config: StudyConfig, asked: Correlate, arms: pl.DataFrame, outcome: str) -> pl.DataFrame:
    """Of the arms of one label that differ only in what the best is taken of, the one with the best outcome."""
    if not asked.best_of or outcome not in arms.columns:
        return arms
    higher = higher_is_better(config.task, outcome.removesuffix("_mean"))
    ordered = arms.filter(pl.col(outcome).is_not_null()).sort(outcome, descending=higher, maintain_order=True)
    return ordered.unique("label", keep="first", maintain_order=True)


def _correlation(arms: pl.DataFrame, predictor: str, outcome: str) -> dict[str, Any]:
    if predictor not in arms.columns or outcome not in arms.columns:
        return {"n": 0, "rho": None, "low": None, "high": None, "p": None}
    pairs = [(rankable(a), rankable(b)) for a, b in arms.select(predictor, outcome).drop_nulls().iter_rows()]
    result = rank_correlation([a for a, _ in pairs], [b for _, b in pairs])
    return {"n": result.n, "rho": result.rho, "low": result.low, "high": result.high, "p": result.p}


def rankable(value: float | str) -> float:
    """A value as a number to rank by; smoothness classes are ordered C0 < C1 < … < analytic.

    Raises:
        ValueError: a text that is no smoothness class.
    """
    if not isinstance(value, str):
        return float(value)
    if value == "analytic":
        return math.inf
    if value.startswith("C") and value[1:].isdigit():
        return float(value[1:])
    raise ValueError(f"A predictor or outcome is a number or a smoothness class, however: {value!r}.")


def _corrected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    tested = [row for row in rows if row["p"] is not None]
    by_holm, by_bh = (adjust([row["p"] for row in tested]) for adjust in (holm, benjamini_hochberg))
    adjusted = {id(row): pair for row, pair in zip(tested, zip(by_holm, by_bh, strict=True), strict=True)}
    return [row | dict(zip(("p_holm", "p_bh"), adjusted.get(id(row), (None, None)), strict=True)) for row in rows]
