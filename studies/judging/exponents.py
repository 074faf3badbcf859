"""How time and memory grow along each axis of a scaling study, fitted, beside what the theory's formulas say.

One table row per axis and metric: ``axis metric n exponent low high theory_exponent``: the slope of ``log metric`` over
``log value`` by least squares with its 95 % interval, over the values of the axis; ``theory_exponent`` is the same slope of the
formula that counts the metric (training operations for times, bytes for memory) at the same settings. Both are local: what is
constant along an axis, as a table of embeddings along the layers, flattens a slope.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import polars as pl
from scipy import stats

from studies.declaring.config import StudyConfig
from studies.judging.statistics import CONFIDENCE
from studies.running.record import Record
from studies.tasks.spec import RunSpec


def exponents_table(
    config: StudyConfig, specs: Sequence[RunSpec], records: Mapping[str, Record | None]
) -> pl.DataFrame:
    """The fitted exponents of a study of the task ``scaling``; empty for other tasks.

    Args:
        config: the study; each of its arms varies the one option that its label names.
        specs: its runs.
        records: their records.
    """
    rows: list[dict[str, Any]] = []
    if config.task == "scaling":
        from studies.tasks.scaling_task import METRICS, theory_cost

        for axis in dict.fromkeys(spec.label for spec in specs):
            for metric, counted in METRICS.items():
                points = _points([spec for spec in specs if spec.label == axis], records, axis, metric)
                if len(points) >= 3:
                    theory = (
                        [(value, theory_cost(spec)[counted]) for value, (_, spec) in points.items()] if counted else []
                    )
                    rows.append({"axis": axis, "metric": metric, **_fit(points, theory)})
    return pl.DataFrame(rows, infer_schema_length=None)


def slope(points: Sequence[tuple[float, float]]) -> tuple[float, float | None, float | None]:
    """Slope of log y over log x with its 95 % interval (None for two points), for positive x and y."""
    fit = stats.linregress([math.log(x) for x, _ in points], [math.log(y) for _, y in points])
    if len(points) < 3:
        return float(fit.slope), None, None
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(points) - 2)) * float(fit.stderr)
    return float(fit.slope), float(fit.slope) - half, float(fit.slope) + half


def _points(
    specs: Sequence[RunSpec], records: Mapping[str, Record | None], axis: str, metric: str
) -> dict[float, tuple[float, RunSpec]]:
    """Value of the axis -> the median of the metric over the repetitions, and one of the runs."""
    found: dict[float, list[tuple[float, RunSpec]]] = {}
    for spec in specs:
        record = records[spec.id]
        measured = record.metrics.get(metric) if record is not None and record.status == "done" else None
        if measured is not None and measured > 0:
            found.setdefault(float(spec.option(axis) or 0), []).append((measured, spec))
    return {value: (median(number for number, _ in some), some[0][1]) for value, some in sorted(found.items())}


def _fit(points: dict[float, tuple[float, RunSpec]], theory: Sequence[tuple[float, float]]) -> dict[str, Any]:
    exponent, low, high = slope([(value, number) for value, (number, _) in points.items()])
    return {
        "n": len(points),
        "exponent": exponent,
        "low": low,
        "high": high,
        "theory_exponent": slope(theory)[0] if theory else None,
    }
