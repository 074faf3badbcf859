"""Several seeds become one mark with an interval; a single seed stays a mark without one."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from scipy import stats

from figures.names import printed


def over_seeds(runs: pl.DataFrame, *, by: Sequence[str], value: str) -> pl.DataFrame:
    """Mean over runs and its 95 % interval from Student's t distribution.

    Args:
        runs: one row a run; rows without the value are left out.
        by: columns that name a setting, in any order of rows.
        value: column to average.

    Returns:
        Columns ``by``, ``mean``, ``half`` (half the interval's width; null for one run) and ``n``, sorted by ``by``.
    """
    grouped = (
        runs.filter(pl.col(value).is_not_null() & pl.col(value).is_finite())
        .group_by(*by)
        .agg(pl.col(value).mean().alias("mean"), pl.col(value).std().alias("std"), pl.len().alias("n"))
        .sort(*by, nulls_last=True)
    )
    halves = [
        float(stats.t.ppf(0.975, n - 1)) * std / n**0.5 if n > 1 else None
        for std, n in zip(grouped["std"], grouped["n"], strict=True)
    ]
    return grouped.drop("std").with_columns(pl.Series("half", halves, dtype=pl.Float64))


def ours_title(runs: pl.DataFrame, counts: Sequence[int], *, separator: str = ", ") -> str:
    """What stands above a panel of our runs of one data set: where from, how many seeds, and whether cut short."""
    quick = ", shortened runs" if runs["quick"].any() else ""
    return f"ours, {printed(runs['dataset'][0])}{quick}{separator}{count_text(counts)}"


def count_text(counts: Sequence[int]) -> str:
    """How many seeds stand behind a picture: ``1 seed``, ``5 seeds, 95 % intervals`` or ``3-5 seeds, ...``."""
    low, high = min(counts), max(counts)
    if high == 1:
        return "1 seed"
    return f"{low} seeds, 95 % intervals" if low == high else f"{low}–{high} seeds, 95 % intervals"
