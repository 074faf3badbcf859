"""Fitted exponents: exact on exact powers, and beside the slope of the theory's own formula."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from studies.declaring.config import Arm, StudyConfig
from studies.declaring.plan import plan
from studies.judging.exponents import exponents_table, slope
from studies.running.record import Record
from studies.tasks.scaling_task import run, theory_cost

CONFIG = StudyConfig(
    name="growth",
    title="growth",
    task="scaling",
    datasets=("random",),
    arms=(
        Arm(model="quadratic", label="batch_size", options={"batch_size": (64, 128, 256, 512), "format": "T9"}),
        Arm(model="quadratic", label="layers", options={"layers": (1, 2, 4, 8), "format": "T9"}),
    ),
)


def test_a_power_is_found() -> None:
    exponent, low, high = slope([(x, 3 * x**1.5) for x in (1, 2, 4, 8, 16)])
    assert exponent == pytest.approx(1.5)
    assert low == pytest.approx(1.5)
    assert high == pytest.approx(1.5)


def test_the_interval_is_scipys() -> None:
    points = [(1, 1.0), (2, 2.3), (4, 3.6), (8, 8.8)]
    exponent, low, high = slope(points)
    fit = stats.linregress([math.log(x) for x, _ in points], [math.log(y) for _, y in points])
    half = stats.t.ppf(0.975, 2) * fit.stderr
    assert (exponent, low, high) == pytest.approx((fit.slope, fit.slope - half, fit.slope + half))


def test_what_follows_the_formula_has_its_exponent() -> None:
    specs = plan(CONFIG)
    records = {
        spec.id: Record(spec=spec, status="done", metrics={"step_ms": 1e-9 * theory_cost(spec)["step_operations"]})
        for spec in specs
    }
    table = exponents_table(CONFIG, specs, records)
    assert table["axis"].to_list() == ["batch_size", "layers"]
    assert table["exponent"].to_list() == pytest.approx(table["theory_exponent"].to_list())
    by_axis = dict(table.select("axis", "theory_exponent").iter_rows())
    assert by_axis["batch_size"] == pytest.approx(1.0)
    assert 0.9 < by_axis["layers"] < 1.0, "the last linear map does not grow with the layers"


def test_a_run_is_measured_in_fresh_processes() -> None:
    spec = plan(
        StudyConfig(
            name="one", title="one", task="scaling", datasets=("random",),
            arms=(Arm(model="quadratic", label="x", options={"fields": 2, "embedding_dim": 2, "vocabulary": 5, "data_rows": 64,
                                                            "batch_size": 32, "layers": 1, "processes": 2}),),
        )
    )[0]  # fmt: skip
    metrics = run(spec).metrics
    assert metrics["embedding_parameters"] == 2 * (5 + 2) * 2
    assert metrics["parameters"] == 28 + (4 * 4 + 4) + (4 + 1)
    assert metrics["step_ms"] == pytest.approx(1000 * metrics["epoch_seconds"] / 2)
    assert metrics["rows_per_second"] >= 2 * 64 / metrics["epoch_seconds"] * 0.999
