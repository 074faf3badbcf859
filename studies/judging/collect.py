"""From records to CSV files: what figures, tables and people read. Reads the store, trains nothing.

For the study ``NAME`` the results folder (``results/``, or ``results/quick/`` for ``--quick``) gets

``NAME.csv``, one row per planned run, in the plan's order:

====================================  ===================================================================================
``study label model dataset``         what was run; ``label`` is how tables and figures call the arm
``seed split_seed``                   the repetition, and the split of the data it saw
``quick``                             whether it is a shortened run
``status reason``                     ``done``, ``failed`` (with the reason) or ``missing``
``run arm``                           id of the run (its record's file name), id of the arm (the run without its seeds)
one column per model option           ``format post_activation layers rows heads …``; "none" where the option is off, empty
                                      where the model has no such option
``training_…``                        one column per setting of the training (``training_loss``, …)
``train_rows``                        rows of the training split that were used; empty for all
the metrics                           of the task: see `tasks.train_task`, `tasks.boundary_task`, `tasks.scaling_task`
``theory_…``                          of the arm's format, computed and not measured; see `studies.declaring.theory_columns`, and
                                      `studies.declaring.kernel_columns` for those that a study asks for
``published_source _model _setting``  the keys of the published numbers of this arm (empty where the study has none)
``published_dataset``                 the data set of the published numbers: the run's own, else the study's reference
``published_METRIC``                  one column per published metric: ``published_auc`` (a fraction), ``published_logloss``, …
``commit torch processor threads``    where it was computed
====================================  ===================================================================================

``NAME_summary.csv``, one row per data set and arm: the columns that do not differ between its runs, ``n`` (runs that ended
well) and ``failed`` (runs that did not), and for every metric ``METRIC_mean``, ``METRIC_std`` and the 95 % interval of the mean
``METRIC_low``, ``METRIC_high`` (empty for one run).

``NAME_comparisons.csv``, one row per tested pair of arms; see `judging.comparisons`.

``NAME_correlations.csv``, one row per predictor and outcome; see `judging.correlations`. ``NAME_exponents.csv`` of the task
``scaling``, one row per axis and metric; see `judging.exponents`.

``NAME_grid.csv`` (``dataset label seed x1 x2 probability``) and ``NAME_points.csv`` (``dataset split x1 x2 label``) of the task
``boundary``; ``NAME_history.csv`` (``run dataset label seed epoch`` and what was measured in each epoch) of the task ``train``.

Where arms choose settings on validation data, all of these are of the fixed settings (``tuning_gain`` in the summary is the mean
difference of test AUC, chosen - fixed, over the seeds), and beside them there are
``NAME_tuned.csv``, ``NAME_tuned_summary.csv``, ``NAME_tuned_comparisons.csv`` and ``NAME_tuned_correlations.csv`` with the same
columns for the runs at the chosen ones; ``NAME_choices.csv`` and ``NAME_rankings.csv``, see `judging.rankings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from studies.declaring.choosing import alternatives
from studies.declaring.config import StudyConfig
from studies.declaring.kernel_columns import kernel_columns
from studies.declaring.plan import plan
from studies.declaring.published import published_columns
from studies.declaring.references import TUNING_GAIN
from studies.declaring.theory_columns import theory_columns
from studies.judging.comparisons import comparisons_table
from studies.judging.correlations import correlations_table
from studies.judging.exponents import exponents_table
from studies.judging.rankings import choices_table, rankings_table
from studies.judging.statistics import mean_interval
from studies.running.choosing import chosen
from studies.running.record import Record, Store, write_whole
from studies.tasks.spec import RunSpec

_ENVIRONMENT = ("commit", "torch", "processor", "threads")
_IDENTITY = ("run", "seed", "split_seed", "status", "reason", *_ENVIRONMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The tables of a study.

    Attributes:
        runs: one row per run.
        summary: one row per arm and data set.
        comparisons: one row per tested pair.
        correlations: one row per predictor and outcome; empty where the study asks for none.
        exponents: one row per axis and metric of a scaling study; empty for others.
        rankings: one row per arm that has chosen settings, fixed and tuned beside each other; empty where none chooses.
        tuned_comparisons: as comparisons, at the chosen settings.
        metrics: names of the measured columns.
        paths: the files that were written.
    """

    runs: pl.DataFrame
    summary: pl.DataFrame
    comparisons: pl.DataFrame
    correlations: pl.DataFrame
    exponents: pl.DataFrame
    rankings: pl.DataFrame
    tuned_comparisons: pl.DataFrame
    metrics: tuple[str, ...]
    paths: tuple[Path, ...]


def collect(config: StudyConfig, store: Store, folder: Path, *, quick: bool = False) -> Collected:
    """Read a study's records and write its CSV files, each whole or not at all.

    Args:
        config: the study.
        store: where the records are.
        folder: where the files go.
        quick: whether its shortened runs are meant.

    Raises:
        ValueError: a record is damaged.
    """
    specs = plan(config, quick=quick)
    records = {spec.id: store.read(spec.id) for spec in specs}
    runs = runs_table(config, specs, records)
    metrics = metric_names(records)
    summary = summary_table(runs, metrics)
    tuned = _tuned_tables(config, store, quick=quick)
    summary = _with_gain(summary, tuned.get("_rankings"))
    comparisons = comparisons_table(config, runs)
    correlations = correlations_table(config, summary)
    exponents = exponents_table(config, specs, records)
    files = {
        "": runs,
        "_summary": summary,
        "_comparisons": comparisons,
        "_correlations": correlations,
        "_exponents": exponents,
        **_series_tables(specs, records),
        **tuned,
    }
    paths = []
    for suffix, table in files.items():
        if not table.is_empty():
            path = folder / f"{config.name}{suffix}.csv"
            write_whole(path, table.write_csv())
            paths.append(path)
    return Collected(
        runs=runs,
        summary=summary,
        comparisons=comparisons,
        correlations=correlations,
        exponents=exponents,
        rankings=tuned.get("_rankings", pl.DataFrame()),
        tuned_comparisons=tuned.get("_tuned_comparisons", pl.DataFrame()),
        metrics=metrics,
        paths=tuple(paths),
    )


def _tuned_tables(config: StudyConfig, store: Store, *, quick: bool) -> dict[str, pl.DataFrame]:
    """What arms chose, both rankings, and the tables of the runs at the chosen settings; none where nothing is chosen."""
    if config.choose is None:
        return {}
    arms = [(arm, chosen(config, arm, store)) for arm in alternatives(config, quick=quick)]
    specs = tuple(spec for _, taken in arms if taken is not None for spec in taken.specs)
    known = (*(spec for arm, _ in arms for spec in (*arm.fixed, *arm.trials)), *specs)
    records = {spec.id: store.read(spec.id) for spec in known}
    tables = {
        "_choices": _frame(choices_table(arms, records, metric=config.choose.metric)),
        "_rankings": _frame(rankings_table(arms, records)),
    }
    if specs:
        runs = runs_table(config, specs, records)
        # Arms are compared though they chose differently: that is the comparison.
        free = (*config.choose.options, *(f"training_{name}" for name in config.choose.training))
        compare = tuple(replace(one, apart_from=(*one.apart_from, *free)) for one in config.compare)
        summary = summary_table(runs, metric_names(records))
        tables |= {
            "_tuned": runs,
            "_tuned_summary": summary,
            "_tuned_comparisons": comparisons_table(replace(config, compare=compare), runs),
            "_tuned_correlations": correlations_table(config, summary),
        }
    return tables


def _with_gain(summary: pl.DataFrame, rankings: pl.DataFrame | None) -> pl.DataFrame:
    """The summary with what each arm gained by choosing, for the studies where some have chosen."""
    if rankings is None or rankings.is_empty():
        return summary
    gain = rankings.select("dataset", "label", arm="fixed_arm", **{TUNING_GAIN: "gain"})
    return summary.join(gain, on=("dataset", "label", "arm"), how="left", maintain_order="left")


def runs_table(config: StudyConfig, specs: tuple[RunSpec, ...], records: Mapping[str, Record | None]) -> pl.DataFrame:
    """One row per planned run, with everything that is known of it."""
    return _frame([_row(config, spec, records[spec.id]) for spec in specs])


def metric_names(records: Mapping[str, Record | None]) -> tuple[str, ...]:
    """Names of all metrics that some record has, in the order of their first appearance."""
    return tuple(dict.fromkeys(name for record in records.values() if record is not None for name in record.metrics))


def summary_table(runs: pl.DataFrame, metrics: tuple[str, ...]) -> pl.DataFrame:
    """One row per data set and arm: what its runs have in common, and mean, spread and interval of each metric."""
    rows = []
    for (_, _, _), group in runs.group_by("dataset", "label", "arm", maintain_order=True):
        row = {
            name: group[name][0]
            for name in group.columns
            if name not in metrics and name not in _IDENTITY and not name.startswith("published_")
        }
        done = group.filter(pl.col("status") == "done")
        row["n"] = len(done)
        row["failed"] = len(group.filter(pl.col("status") == "failed"))
        for metric in metrics:
            values = [value for value in done[metric].to_list() if value is not None]
            if not values:
                continue
            interval = mean_interval(values)
            row |= {
                f"{metric}_mean": interval.mean,
                f"{metric}_std": interval.std,
                f"{metric}_low": interval.low,
                f"{metric}_high": interval.high,
            }
        row |= {name: group[name][0] for name in group.columns if name.startswith("published_")}
        rows.append(row)
    return _frame(rows)


def _row(config: StudyConfig, spec: RunSpec, record: Record | None) -> dict[str, Any]:
    done = record is not None and record.status == "done"
    environment = record.environment if record is not None else {}
    return {
        "study": config.name,
        "label": spec.label,
        "model": spec.model,
        "dataset": spec.dataset,
        "seed": spec.seed,
        "split_seed": spec.split_seed,
        "quick": spec.quick,
        "status": record.status if record is not None else "missing",
        "reason": record.reason if record is not None else "",
        "run": spec.id,
        "arm": spec.arm,
        **{name: _shown(value) for name, value in spec.options},
        **{f"training_{name}": _shown(value) for name, value in spec.training},
        "train_rows": spec.train_rows,
        **(dict(record.metrics) if record is not None and done else {}),
        **theory_columns(spec),
        **(kernel_columns(spec, config.correlate.predictors) if config.correlate else {}),
        **published_columns(config, spec),
        **{name: environment.get(name) for name in _ENVIRONMENT},
    }


def _shown(value: Any) -> Any:
    """An option that is off is told apart from one that a model does not have."""
    return "none" if value is None else value


def _series_tables(specs: tuple[RunSpec, ...], records: Mapping[str, Record | None]) -> dict[str, pl.DataFrame]:
    grids: list[dict[str, Any]] = []
    points: dict[tuple[str, int], list[dict[str, Any]]] = {}
    history: list[dict[str, Any]] = []
    for spec in specs:
        record = records[spec.id]
        if record is None or record.status != "done":
            continue
        keys = {"dataset": spec.dataset, "label": spec.label, "seed": spec.seed}
        if "probability" in record.series:
            grids += [{**keys, **point} for point in _grid_points(record.series)]
            points.setdefault((spec.dataset, spec.split_seed), _labelled_points(spec.dataset, record.series))
        if "history" in record.series:
            columns = record.series["history"]
            history += [
                {"run": spec.id, **keys, **dict(zip(columns, values, strict=True))}
                for values in zip(*columns.values(), strict=True)
            ]
    return {
        "_grid": _frame(grids),
        "_points": _frame([point for some in points.values() for point in some]),
        "_history": _frame(history),
    }


def _grid_points(series: Mapping[str, Any]) -> list[dict[str, float]]:
    surface = series["probability"]
    (low1, low2), (high1, high2) = series["low"], series["high"]
    last1, last2 = len(surface[0]) - 1, len(surface) - 1
    return [
        {
            "x1": round(low1 + (high1 - low1) * column / last1, 5),
            "x2": round(low2 + (high2 - low2) * row / last2, 5),
            "probability": probability,
        }
        for row, values in enumerate(surface)
        for column, probability in enumerate(values)
    ]


def _labelled_points(dataset: str, series: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"dataset": dataset, "split": "test", "x1": x1, "x2": x2, "label": label}
        for (x1, x2), label in zip(series["test_points"], series["test_labels"], strict=True)
    ]


def _frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """A table with the union of the rows' columns, in the order of a row that has them; what a row lacks is empty."""
    columns = _merged([list(row) for row in rows])
    series = []
    for name in columns:
        values = [row.get(name) for row in rows]
        kinds = {type(value) for value in values if value is not None}
        if kinds <= {int, float} and kinds != {int}:
            values = [None if value is None else float(value) for value in values]
        elif len(kinds) > 1:
            values = [None if value is None else str(value).lower() for value in values]
        series.append(pl.Series(name, values, dtype=pl.String if not kinds else None, strict=False))
    return pl.DataFrame(series)


def _merged(orders: list[list[str]]) -> list[str]:
    """All names, each new one after the name that it follows in its own row."""
    merged: list[str] = []
    for order in orders:
        position = 0
        for name in order:
            if name in merged:
                position = max(position, merged.index(name) + 1)
            else:
                merged.insert(position, name)
                position += 1
    return merged
