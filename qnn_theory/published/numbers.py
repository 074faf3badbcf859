"""The published numbers as rows: what the paper prints (li2025qnn) and what its released logs hold (li2025qnn-code)."""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources


@cache
def printed() -> tuple[dict[str, str], ...]:
    """Every number of the paper's tables and figures: source, dataset, model, setting, metric, value."""
    return _rows("paper_results.csv")


@cache
def logged_runs() -> tuple[dict[str, str], ...]:
    """The training runs of the released logs, one row a run."""
    return _rows("published_runs.csv")


@cache
def vocabulary_sizes() -> tuple[dict[str, str], ...]:
    """Fields of the data sets with their vocabulary sizes."""
    return _rows("vocabulary_sizes.csv")


def printed_value(source: str, dataset: str, model: str, metric: str, *, setting: str = "") -> float:
    """One printed number.

    Raises:
        KeyError: the paper prints no such number.
    """
    for row in printed():
        if (row["source"], row["dataset"], row["model"], row["metric"], row["setting"]) == (
            source,
            dataset,
            model,
            metric,
            setting,
        ):
            return float(row["value"])
    raise KeyError(f"No published number: {source}, {dataset}, {model}, {metric}, {setting!r}.")


def _rows(name: str) -> tuple[dict[str, str], ...]:
    text = (resources.files("qnn_theory") / "published" / name).read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))
