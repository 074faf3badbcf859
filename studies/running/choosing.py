"""What the arms of a study chose on validation data, by the records that there are, and which runs follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from studies.declaring.choosing import Alternatives, Candidate, alternatives
from studies.declaring.config import StudyConfig
from studies.declaring.plan import plan
from studies.running.record import Record, Store
from studies.tasks.metrics import higher_is_better
from studies.tasks.spec import RunSpec


def known_runs(config: StudyConfig, store: Store, *, quick: bool = False) -> tuple[RunSpec, ...]:
    """The runs of a study that are known by now: its plan, the trials of what arms choose from, and the runs at what they chose.

    An arm's choice is known when all its trials are done, so a study that chooses is known whole after these were carried out.
    """
    arms = alternatives(config, quick=quick)
    specs = [*plan(config, quick=quick), *(spec for arm in arms for spec in arm.trials)]
    for arm in arms:
        if (candidate := chosen(config, arm, store)) is not None:
            specs += candidate.specs
    return tuple({spec.id: spec for spec in specs}.values())


def chosen(config: StudyConfig, arm: Alternatives, store: Store) -> Candidate | None:
    """The candidate with the best mean validation metric, the earlier one of two that are alike.

    Returns:
        None while a trial has no record, and where no candidate's trials all ended well.

    Raises:
        ValueError: a record is damaged.
    """
    assert config.choose is not None
    metric = config.choose.metric
    records = [[store.read(spec.id) for spec in candidate.trials] for candidate in arm.candidates]
    if any(record is None for some in records for record in some):
        return None
    means = {number: mean for number, some in enumerate(records) if (mean := trial_mean(some, metric)) is not None}
    if not means:
        return None
    side = 1 if higher_is_better(config.task, metric) else -1
    return arm.candidates[max(means, key=lambda number: side * means[number])]


def trial_mean(records: Sequence[Record | None], metric: str) -> float | None:
    """The mean of a metric over a candidate's trials; None unless all of them ended well."""
    done = [record for record in records if record is not None and record.status == "done"]
    return fmean(record.metrics[metric] for record in done) if len(done) == len(records) else None
