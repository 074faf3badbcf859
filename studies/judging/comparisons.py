"""Which of two arms is better: paired on the same seeds and splits, corrected for how many pairs are compared.

One table row per pair, metric and data set:

=========================================  ================================================================================
``comparison dataset metric``              number of the study's comparison; where, and by what
``label against_label``                    the two arms
``option value against_value``             the setting in which they differ, when the comparison is by a setting
``arm against_arm``                        ids of the two arms
``n mean_difference std``                  pairs of runs, and the mean of (arm - the arm it is compared with)
``low high``                               95 % Student interval of it
``bootstrap_low bootstrap_high``           95 % percentile bootstrap interval of it
``p p_holm p_bh``                          paired t test; corrected over all pairs of the same comparison, metric and data set
                                           with enough seeds for a verdict and no failed run; else empty
``verdict``                                ``better``, ``worse``, ``no difference shown`` (by Holm at 5 %),
                                           ``too few seeds: no verdict`` (fewer than five pairs), ``runs failed: no verdict``
                                           (of either arm; the rest is no fair sample), ``no pairs``
=========================================  ================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from studies.declaring.config import Comparison, StudyConfig
from studies.judging.statistics import (
    PAIRS_FOR_A_VERDICT,
    PairedDifference,
    benjamini_hochberg,
    holm,
    paired_difference,
    sign_test,
    verdict,
)
from studies.tasks.metrics import higher_is_better
from studies.tasks.spec import Task, as_text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    label: str
    against_label: str
    value: str
    against_value: str
    arm: str
    against_arm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictTally:
    """How the pairs of one comparison fell, by one metric on one data set.

    Attributes:
        dataset: the data set.
        metric: what was compared.
        against: the arm, or ``setting=value``, that the others were compared with.
        verdicts: verdict -> number of pairs, the most frequent first.
        pairs: pairs with a difference.
        ahead: how many of them are better on average, shown or not.
        sign_test_p: two-sided p value of so many, where every pair has a reference of its own, so that the pairs are separate
            trials; None elsewhere and for one seed.
    """

    dataset: str
    metric: str
    against: str
    verdicts: Mapping[str, int]
    pairs: int
    ahead: int
    sign_test_p: float | None


def verdict_tallies(task: Task, comparisons: pl.DataFrame) -> list[VerdictTally]:
    """One tally per comparison, data set and metric of a `comparisons_table`."""
    if comparisons.is_empty():
        return []
    tallies = []
    for _, group in comparisons.group_by("comparison", "dataset", "metric", maintain_order=True):
        first = group.row(0, named=True)
        better = 1 if higher_is_better(task, first["metric"]) else -1
        differences = group["mean_difference"].drop_nulls().to_list()
        separate = max(group["n"]) > 1 and group["against_arm"].n_unique() == len(group) > 1
        tallies.append(
            VerdictTally(
                dataset=first["dataset"],
                metric=first["metric"],
                against=f"{first['option']}={first['against_value']}" if first["option"] else first["against_label"],
                verdicts=dict(group["verdict"].value_counts(sort=True).iter_rows()),
                pairs=len(differences),
                ahead=sum(better * difference > 0 for difference in differences),
                sign_test_p=sign_test(differences) if separate else None,
            )
        )
    return tallies


def comparisons_table(config: StudyConfig, runs: pl.DataFrame) -> pl.DataFrame:
    """All comparisons that the study declares; see the module for the columns.

    Args:
        config: the study.
        runs: its collected runs.
    """
    rows: list[dict[str, Any]] = []
    for number, comparison in enumerate(config.compare):
        for (dataset,), here in runs.group_by("dataset", maintain_order=True):
            pairs = list(_pairs(comparison, here))
            for metric in comparison.metrics:
                if metric in here.columns:
                    keys = {"comparison": number, "dataset": dataset, "metric": metric}
                    rows += [keys | row for row in _tested(config.task, comparison, metric, pairs, here)]
    return pl.DataFrame(rows, infer_schema_length=None)


def _pairs(comparison: Comparison, runs: pl.DataFrame) -> Iterator[_Pair]:
    arms = list(runs.unique("arm", keep="first", maintain_order=True).iter_rows(named=True))
    if not comparison.option:
        for against in (arm for arm in arms if arm["label"] == comparison.against):
            for arm in arms:
                if arm["label"] != comparison.against:
                    yield _pair(arm, against, "")
        return
    option = comparison.option
    fixed = [name for name in _settings(runs) if name != option and name not in comparison.apart_from]
    references = {
        tuple(arm[name] for name in fixed): arm for arm in arms if as_text(arm.get(option)) == comparison.against
    }
    for arm in arms:
        reference = references.get(tuple(arm[name] for name in fixed))
        if reference is not None and arm.get(option) is not None and as_text(arm[option]) != comparison.against:
            yield _pair(arm, reference, option)


def _settings(runs: pl.DataFrame) -> list[str]:
    """Columns that say what an arm is: the model, its options and its training."""
    names = runs.columns
    return ["model", *names[names.index("arm") + 1 : names.index("train_rows")]]


def _pair(arm: dict[str, Any], against: dict[str, Any], option: str) -> _Pair:
    return _Pair(
        label=arm["label"],
        against_label=against["label"],
        value=as_text(arm[option]) if option else "",
        against_value=as_text(against[option]) if option else "",
        arm=arm["arm"],
        against_arm=against["arm"],
    )


def _tested(
    task: Task, comparison: Comparison, metric: str, pairs: list[_Pair], runs: pl.DataFrame
) -> list[dict[str, Any]]:
    done = runs.filter((pl.col("status") == "done") & pl.col(metric).is_not_null())
    values: dict[str, dict[tuple[int, int], float]] = {}
    for row in done.iter_rows(named=True):
        values.setdefault(row["arm"], {})[row["seed"], row["split_seed"]] = row[metric]
    differences = [_difference(values.get(pair.arm, {}), values.get(pair.against_arm, {})) for pair in pairs]
    failing = set(runs.filter(pl.col("status") == "failed")["arm"])
    failed = [bool({pair.arm, pair.against_arm} & failing) for pair in pairs]
    p_values = {
        index: difference.p
        for index, difference in enumerate(differences)
        if difference and difference.p is not None and difference.n >= PAIRS_FOR_A_VERDICT and not failed[index]
    }
    by_holm = dict(zip(p_values, holm([*p_values.values()]), strict=True))
    by_bh = dict(zip(p_values, benjamini_hochberg([*p_values.values()]), strict=True))
    return [
        {
            "label": pair.label,
            "against_label": pair.against_label,
            "option": comparison.option,
            "value": pair.value,
            "against_value": pair.against_value,
            "arm": pair.arm,
            "against_arm": pair.against_arm,
            "n": difference.n if difference else 0,
            "mean_difference": difference.mean if difference else None,
            "std": difference.std if difference else None,
            "low": difference.low if difference else None,
            "high": difference.high if difference else None,
            "bootstrap_low": difference.bootstrap_low if difference else None,
            "bootstrap_high": difference.bootstrap_high if difference else None,
            "p": difference.p if difference else None,
            "p_holm": by_holm.get(index),
            "p_bh": by_bh.get(index),
            "verdict": verdict(difference, by_holm.get(index), higher_is_better=higher_is_better(task, metric)),
        }
        for index, (pair, difference) in enumerate(zip(pairs, differences, strict=True))
    ]


def _difference(a: dict[tuple[int, int], float], b: dict[tuple[int, int], float]) -> PairedDifference | None:
    """Over the seeds and splits on which both arms have a result."""
    common = sorted(a.keys() & b.keys())
    return paired_difference([a[key] for key in common], [b[key] for key in common]) if common else None
