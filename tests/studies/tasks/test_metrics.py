"""Each task measures what is said of it, and only what has a better side can be won by."""

from __future__ import annotations

from typing import get_args

import pytest

from studies.declaring.config import Arm, StudyConfig
from studies.declaring.plan import plan
from studies.declaring.theory_columns import PREDICTORS, theory_columns
from studies.tasks.metrics import METRICS, compared_metrics, higher_is_better
from studies.tasks.spec import Task
from studies.tasks.task import task_module

ARMS: dict[Task, tuple[str, Arm, dict[str, int]]] = {
    "train": ("planted", Arm(model="quadratic", options={"layers": 1, "embedding_dim": 1}), {"max_epochs": 1}),
    "boundary": ("moons", Arm(model="quadratic", options={"format": "T9", "hidden": 2}), {"epochs": 1}),
    "scaling": ("random", Arm(model="qnn-alpha", label="rows", options={"data_rows": 64, "fields": 2}), {}),
    "data": ("planted", Arm(model="encoded"), {}),
    "interaction": (
        "mixture",
        Arm(model="quadratic", options={"format": "T9", "layers": 1, "embedding_dim": 2}),
        {"max_updates": 2, "batch_size": 16},
    ),
}


@pytest.mark.parametrize("task", ARMS)
def test_a_task_measures_what_is_listed(task: Task) -> None:
    dataset, arm, training = ARMS[task]
    config = StudyConfig(name="c", title="c", task=task, datasets=(dataset,), arms=(arm,), training=training)
    (spec,) = plan(config)
    assert task_module(task).run(spec).metrics.keys() == METRICS[task].keys()


def test_every_task_is_listed() -> None:
    assert METRICS.keys() == ARMS.keys() == set(get_args(Task))


def test_times_memory_and_losses_are_better_when_they_are_lower() -> None:
    assert not higher_is_better("scaling", "step_ms")
    assert higher_is_better("scaling", "rows_per_second")
    for task, metrics in METRICS.items():
        for metric in compared_metrics(task):
            cost = metric.endswith(("logloss", "_seconds", "_us", "_ms", "_mib")) or metric.startswith(
                ("updates_", "rows_to_", "diverged")
            )
            assert higher_is_better(task, metric) != cost
        assert not {"parameters", "epochs", "jump_order"} & set(compared_metrics(task)), metrics
    with pytest.raises(ValueError, match=r"better side, one of .*however: 'parameters'"):
        higher_is_better("train", "parameters")


def test_predictors_are_the_theorys_ordered_columns() -> None:
    config = StudyConfig(name="c", title="c", task="train", datasets=("planted",), arms=(Arm(model="quadratic"),))
    (spec,) = plan(config)
    assert set(PREDICTORS) == theory_columns(spec).keys() - {"theory_format"}
