"""Theory against measurement: rank correlations over the arms of a study, with bootstrap intervals over the arms.

One table row per data set, predictor and outcome: ``dataset predictor outcome n rho low high p p_holm p_bh`` (Spearman's ρ, its
95 % percentile bootstrap interval, its p value and that corrected over all rows of the data set). ``rho`` is empty where a
column is constant. Arms are few and related to each other, so an interval that covers 0 shows nothing, and none of it shows
a cause.
"""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from studies.declaring.config import StudyConfig
from studies.judging.statistics import benjamini_hochberg, holm, rank_correlation


def correlations_table(config: StudyConfig, summary: pl.DataFrame) -> pl.DataFrame:
    """All correlations that the study declares; empty when it declares none.

    Args:
        config: the study.
        summary: its collected summary, one row per arm.
    """
    rows: list[dict[str, Any]] = []
    if config.correlate is not None:
        for (dataset,), arms in summary.group_by("dataset", maintain_order=True):
            found = [
                {
                    "dataset": dataset,
                    "predictor": predictor,
                    "outcome": outcome,
                    **_correlation(arms, predictor, outcome),
                }
                for predictor in config.correlate.predictors
                for outcome in config.correlate.outcomes
            ]
            rows += _corrected(found)
    return pl.DataFrame(rows, infer_schema_length=None)


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
