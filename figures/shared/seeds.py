"""Several seeds become one mark with an interval; a single seed stays a mark without one."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from figures.shared.names import printed
from studies.judging.statistics import mean_interval


def over_seeds(runs: pl.DataFrame, *, by: Sequence[str], value: str) -> pl.DataFrame:
    """Mean over runs and its 95 % Student interval.

    Args:
        runs: one row a run; rows without the value are left out.
        by: columns that name a setting, in any order of rows.
        value: column to average.

    Returns:
        Columns ``by``, ``mean``, ``half`` (half the interval's width; null for one run) and ``n``, sorted by ``by``.
    """
    rows = []
    known = runs.filter(pl.col(value).is_not_null() & pl.col(value).is_finite())
    for key, group in known.sort(*by, nulls_last=True).group_by(*by, maintain_order=True):
        interval = mean_interval(group[value].to_list())
        half = None if interval.high is None else interval.high - interval.mean
        rows.append((*key, interval.mean, half, interval.n))
    measured = {"mean": pl.Float64, "half": pl.Float64, "n": pl.Int64}
    return pl.DataFrame(rows, schema={**{key: runs.schema[key] for key in by}, **measured}, orient="row")


def ours_title(runs: pl.DataFrame, counts: Sequence[int], *, separator: str = ", ", intervals: bool = True) -> str:
    """What stands above a panel of our runs of one data set: where from, how many seeds, and whether cut short.

    Args:
        runs: the runs of the panel.
        counts: seeds behind each mark.
        separator: what stands before the number of seeds.
        intervals: whether the panel shows intervals; without them the title speaks of means.
    """
    quick = ", shortened runs" if runs["quick"].any() else ""
    return f"ours, {printed(runs['dataset'][0])}{quick}{separator}{count_text(counts, intervals=intervals)}"


def count_text(counts: Sequence[int], *, intervals: bool = True) -> str:
    """How many seeds stand behind a picture: ``1 seed``, ``5 seeds, 95 % intervals`` or, without them, ``mean of 5 seeds``."""
    if max(counts) == 1:
        return "1 seed"
    return f"{seeds_text(counts)}, 95 % intervals" if intervals else f"mean of {seeds_text(counts)}"


def seeds_text(counts: Sequence[int]) -> str:
    """How many seeds: ``1 seed``, ``5 seeds`` or ``3–5 seeds``."""
    low, high = min(counts), max(counts)
    if high == 1:
        return "1 seed"
    return f"{low} seeds" if low == high else f"{low}–{high} seeds"
