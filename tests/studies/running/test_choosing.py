"""Arms choose by validation alone, when all their trials are done, and then the runs that follow are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from studies.declaring.choosing import Alternatives, alternatives, trials
from studies.declaring.config import Arm, Choose, StudyConfig
from studies.declaring.plan import plan
from studies.running.choosing import chosen, known_runs
from studies.running.record import Record, Store

CONFIG = StudyConfig(
    name="tiny",
    title="Tiny",
    task="train",
    datasets=("planted",),
    seeds=(0, 1, 2),
    arms=(Arm(model="quadratic", label="T9", options={"format": "T9", "layers": 1, "embedding_dim": 2}),),
    choose=Choose(options={"dropout": (0.1, 0.2, 0.3, 0.4)}, seeds=2),
)


def _stored(store: Store, arm: Alternatives, scores: list[tuple[float | None, ...]], metric: str = "valid_auc") -> None:
    """One record for each score; None is a failure. The test metrics would choose otherwise."""
    for candidate, values in zip(arm.candidates, scores, strict=True):
        for spec, value in zip(candidate.trials, values, strict=False):
            metrics = {
                "valid_auc": 0.5,
                "valid_logloss": 0.5,
                "test_auc": -(value or 0.0),
                "test_logloss": -(value or 0.0),
            }
            done = value is not None
            store.write(
                Record(spec=spec, status="done", metrics=metrics | {metric: value})
                if done
                else Record(spec=spec, status="failed", reason="ValueError: planned")
            )  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "scores", "expected"),
    [
        ("valid_auc", [(0.7, 0.7), (0.6, 0.9), (0.8, 0.6), (0.1, 0.1)], 0.2),  # the mean, not the best run
        ("valid_logloss", [(0.7, 0.7), (0.6, 0.9), (0.8, 0.6), (0.6, 0.6)], 0.4),  # less is better
        ("valid_auc", [(0.7, 0.7), (0.7, 0.7), (0.7, 0.7), (0.7, 0.7)], 0.1),  # the first of what is alike
        ("valid_auc", [(0.7, 0.7), (0.99, None), (0.8, 0.8), (None, None)], 0.3),  # half of its trials is no trial
        ("valid_auc", [(-0.2, 0.0), (0.0, 0.0), (0.0, 0.0), (-1.0, 0.0)], 0.2),  # zero is a score
        ("valid_auc", [(None, None)] * 4, None),
    ],
)
def test_the_best_by_validation_is_chosen(
    tmp_path: Path, metric: str, scores: list[tuple[float | None, ...]], expected: float | None
) -> None:
    config = replace(CONFIG, choose=replace(CONFIG.choose, metric=metric))
    store = Store(tmp_path)
    (arm,) = alternatives(config)
    _stored(store, arm, scores, metric)
    taken = chosen(config, arm, store)
    assert (None if taken is None else taken.given["dropout"]) == expected


def test_nothing_is_chosen_before_all_trials_are_done(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (arm,) = alternatives(CONFIG)
    _stored(store, arm, [(0.7, 0.7), (0.6, 0.9), (0.8, 0.6), (0.1,)])
    assert chosen(CONFIG, arm, store) is None
    before = known_runs(CONFIG, store)
    assert {spec.id for spec in before} == {spec.id for spec in (*plan(CONFIG), *trials(CONFIG))}
    assert len(before) == 3 + 3 * 2  # the first point of the grid is the fixed setting
    _stored(store, arm, [(0.7, 0.7), (0.6, 0.9), (0.8, 0.6), (0.1, 0.1)])
    after = known_runs(CONFIG, store)
    assert [spec.id for spec in after[: len(before)]] == [spec.id for spec in before]
    assert [(spec.seed, spec.option("dropout")) for spec in after[len(before) :]] == [(2, 0.2)]


def test_a_study_that_chooses_nothing_is_its_plan(tmp_path: Path) -> None:
    assert known_runs(replace(CONFIG, choose=None), Store(tmp_path)) == plan(CONFIG)
