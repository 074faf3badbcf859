"""Rank correlations over chosen arms: by setting, of the best arm of several, and corrected over what was asked."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from scipy import stats

from studies.declaring.config import Correlate, StudyConfig
from studies.judging.correlations import correlations_table
from studies.judging.statistics import holm

SUMMARY = pl.DataFrame(
    [
        {
            "dataset": dataset,
            "label": f"T{format}",
            "model": "quadratic" if format < 8 else "lr",
            "training_optimizer": optimizer,
            "training_learning_rate": rate,
            "theory_support": float(format),
            "theory_degree": float((format * 7) % 5),
            # Adam's updates fall with the support. SGD's rise with it at the rate 1, and are useless at the rate 2 but for T3.
            "updates_to_half_mean": (
                100.0 - format if optimizer == "adam" else 50.0 + format if rate == 1 else 1.0 if format == 3 else 999.0
            ),
        }
        for dataset in ("order-1", "order-2")
        for format in range(10)
        for optimizer, rate in (("adam", 1), ("sgd", 1), ("sgd", 2))
    ]
)  # fmt: skip
CONFIG = StudyConfig(
    name="a",
    title="",
    task="interaction",
    datasets=("order-1", "order-2"),
    correlate=Correlate(
        predictors=("theory_support", "theory_degree"),
        outcomes=("updates_to_half_mean",),
        by=("training_optimizer",),
        best_of=("training_learning_rate",),
    ),
)
assert CONFIG.correlate is not None


def told(table: pl.DataFrame, **where: str) -> dict[str, object]:
    rows = table.filter(*(pl.col(name) == value for name, value in where.items()))
    assert len(rows) == 1
    return rows.row(0, named=True)


def test_each_value_of_a_setting_has_correlations_of_its_own() -> None:
    table = correlations_table(CONFIG, SUMMARY)
    assert len(table) == 2 * 2 * 2
    adam = told(table, dataset="order-1", training_optimizer="adam", predictor="theory_support")
    assert (adam["n"], adam["rho"]) == (10, pytest.approx(-1))


def test_of_several_rates_each_format_has_its_best() -> None:
    sgd = told(
        correlations_table(CONFIG, SUMMARY), dataset="order-2", training_optimizer="sgd", predictor="theory_support"
    )
    best = [1.0 if format == 3 else 50.0 + format for format in range(10)]
    assert (sgd["n"], sgd["rho"]) == (10, pytest.approx(stats.spearmanr(range(10), best).statistic))


def test_only_the_arms_that_are_asked_for_take_part() -> None:
    correlate = replace(CONFIG.correlate, where={"model": "lr"})
    table = correlations_table(replace(CONFIG, correlate=correlate), SUMMARY)
    assert set(table["n"]) == {2}
    assert table["rho"].null_count() == len(table)


@pytest.mark.parametrize("family", ["dataset", "study"])
def test_p_values_are_corrected_over_the_family(family: str) -> None:
    correlate = replace(CONFIG.correlate, family=family)
    table = correlations_table(replace(CONFIG, correlate=correlate), SUMMARY)
    expected: list[float] = []
    for _, group in table.group_by("dataset" if family == "dataset" else pl.lit(1), maintain_order=True):
        expected += holm(group["p"].to_list())
    assert table["p_holm"].to_list() == pytest.approx(expected)
    assert (max(table["p_holm"] / table["p"].clip(1e-300)) > 4) or family == "dataset"


def test_without_any_asked_there_is_none() -> None:
    assert correlations_table(replace(CONFIG, correlate=None), SUMMARY).is_empty()
