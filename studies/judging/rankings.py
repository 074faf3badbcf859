"""What a study's arms chose on validation data, and the two rankings: at the study's fixed setting, and at the chosen ones.

``NAME_choices.csv``, one row per arm and point of the grid:

=========================================  ================================================================================
``dataset label arm``                      the arm, by its id at the fixed setting
one column per setting of the grid         its value (``training_…`` for those of the training); empty where the model has none
``n metric value``                         trials that ended well; the validation metric, its mean (empty if one did not)
``chosen``                                 whether the arm chose it
=========================================  ================================================================================

``NAME_rankings.csv``, one row per arm that has chosen, by its rank at the chosen settings:

=========================================  ================================================================================
``dataset label setting``                  the arm; the settings in which arms of one label differ
``fixed_arm tuned_arm``                    its ids at both settings (columns ``arm`` of ``NAME.csv``, ``NAME_tuned.csv``)
``chosen_…``                               what it chose
``fixed_METRIC_mean _low _high``           mean test AUC and log loss at the fixed setting, 95 % interval; ``tuned_…`` at the
                                           chosen one
``fixed_rank tuned_rank``                  1 is the highest mean test AUC
``n gain low high p p_holm``               paired difference of test AUC, chosen - fixed, over the seeds; corrected over the
                                           arms of the data set
``verdict``                                whether choosing made it ``better``, by Holm at 5 %; see `judging.comparisons`
=========================================  ================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from studies.declaring.choosing import Alternatives, Candidate
from studies.judging.statistics import (
    PAIRS_FOR_A_VERDICT,
    PairedDifference,
    holm,
    mean_interval,
    paired_difference,
    verdict,
)
from studies.running.choosing import trial_mean
from studies.running.record import Record
from studies.tasks.spec import RunSpec, as_text

METRICS = ("test_auc", "test_logloss")
_RANKED_BY = "test_auc"

Chosen = Sequence[tuple[Alternatives, Candidate | None]]
"""Each arm with what it chose; None where it has not (yet)."""

Records = Mapping[str, Record | None]


def choices_table(chosen: Chosen, records: Records, *, metric: str) -> list[dict[str, Any]]:
    """The points of the grid that each arm was tried at."""
    rows = []
    for arm, taken in chosen:
        for candidate in arm.candidates:
            here = [records[spec.id] for spec in candidate.trials]
            rows.append(
                {
                    "dataset": arm.fixed[0].dataset,
                    "label": arm.fixed[0].label,
                    "arm": arm.fixed[0].arm,
                    **{name: "none" if value is None else value for name, value in candidate.given.items()},
                    "n": sum(record is not None and record.status == "done" for record in here),
                    "metric": metric,
                    "value": trial_mean(here, metric),
                    "chosen": candidate is taken,
                }
            )
    return rows


def rankings_table(chosen: Chosen, records: Records) -> list[dict[str, Any]]:
    """Both rankings side by side, of the arms that have chosen and have results at both settings."""
    rows: list[dict[str, Any]] = []
    for dataset in dict.fromkeys(arm.fixed[0].dataset for arm, _ in chosen):
        arms = [(arm, taken) for arm, taken in chosen if arm.fixed[0].dataset == dataset and taken is not None]
        distinct = _distinct([arm.fixed[0] for arm, _ in arms])
        here = []
        for arm, taken in arms:
            fixed, tuned = _by_seed(arm.fixed, records), _by_seed(taken.specs, records)
            if not fixed or not tuned:
                continue
            failed = any(
                record is not None and record.status == "failed"
                for spec in (*arm.fixed, *taken.specs)
                for record in (records[spec.id],)
            )
            here.append(
                {
                    "dataset": dataset,
                    "label": arm.fixed[0].label,
                    "setting": distinct[arm.fixed[0].arm],
                    "fixed_arm": arm.fixed[0].arm,
                    "tuned_arm": taken.specs[0].arm,
                    **{f"chosen_{name}": "none" if v is None else v for name, v in taken.given.items()},
                    **_means("fixed", fixed),
                    **_means("tuned", tuned),
                    "difference": _difference(fixed, tuned),
                    "failed": failed,
                }
            )
        _rank(here)
        rows += _with_gain(here)
    return rows


def _by_seed(specs: Sequence[RunSpec], records: Records) -> dict[tuple[int, int], Record]:
    return {
        (spec.seed, spec.split_seed): record
        for spec in specs
        if (record := records[spec.id]) is not None and record.status == "done"
    }


def _means(which: str, done: Mapping[Any, Record]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for metric in METRICS:
        interval = mean_interval([record.metrics[metric] for record in done.values()])
        found |= {f"{which}_{metric}_mean": interval.mean}
        found |= {f"{which}_{metric}_low": interval.low, f"{which}_{metric}_high": interval.high}
    return found


def _difference(fixed: Mapping[Any, Record], tuned: Mapping[Any, Record]) -> PairedDifference | None:
    common = sorted(fixed.keys() & tuned.keys())
    if not common:
        return None
    a, b = ([records[key].metrics[_RANKED_BY] for key in common] for records in (tuned, fixed))
    return paired_difference(a, b)


def _rank(rows: list[dict[str, Any]]) -> None:
    """Give each row its ranks, and order them by the one at the chosen settings."""
    for which in ("fixed", "tuned"):
        rows.sort(key=lambda row: -row[f"{which}_{_RANKED_BY}_mean"])
        for number, row in enumerate(rows, 1):
            row[f"{which}_rank"] = number


def _with_gain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    tested = [
        index
        for index, row in enumerate(rows)
        if not row["failed"]
        and (found := row["difference"]) is not None
        and found.p is not None
        and found.n >= PAIRS_FOR_A_VERDICT
    ]
    corrected = dict(zip(tested, holm([rows[index]["difference"].p for index in tested]), strict=True))
    made = []
    for index, row in enumerate(rows):
        difference: PairedDifference | None = row.pop("difference")
        del row["failed"]
        made.append(
            row
            | {
                "n": difference.n if difference else 0,
                "gain": difference.mean if difference else None,
                "low": difference.low if difference else None,
                "high": difference.high if difference else None,
                "p": difference.p if difference else None,
                "p_holm": corrected.get(index),
                "verdict": verdict(difference, corrected.get(index), higher_is_better=True),
            }
        )
    return made


def _distinct(specs: Sequence[RunSpec]) -> dict[str, str]:
    """Arm -> the settings in which the arms of its label differ, as ``post_activation=relu``."""
    by_label: dict[str, list[RunSpec]] = {}
    for spec in specs:
        by_label.setdefault(spec.label, []).append(spec)
    found = {}
    for alike in by_label.values():
        values = [dict((*spec.options, *((f"training_{name}", v) for name, v in spec.training))) for spec in alike]
        names = [name for name in values[0] if len({as_text(value.get(name)) for value in values}) > 1]
        for spec, value in zip(alike, values, strict=True):
            found[spec.arm] = ", ".join(f"{name}={as_text(value.get(name))}" for name in names)
    return found
