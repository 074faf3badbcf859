"""One trained run: repeatable, on the rows it says, with the model it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qnn_models.data.registry import load
from studies.declaring.config import Arm, StudyConfig
from studies.declaring.plan import plan
from studies.tasks import train_task
from studies.tasks.spec import RunSpec, settings
from studies.tasks.task import Measured

TIMINGS = {"train_seconds", "epoch_seconds", "inference_us", "latency_us", "latency_100_us", "peak_mib"}


def spec(**changes: object) -> RunSpec:
    config = StudyConfig(
        name="one", title="one", task="train", datasets=("planted",), training={"max_epochs": 2, "batch_size": 512},
        arms=(Arm(model="quadratic", options={"format": "T19", "layers": 2, "embedding_dim": 4}),),
    )  # fmt: skip
    return replace(plan(config)[0], train_rows=2000, **changes)  # type: ignore[arg-type]


def results(run: RunSpec) -> dict[str, float]:
    return {name: value for name, value in train_task.run(run).metrics.items() if name not in TIMINGS}


def test_a_run_is_repeatable_and_depends_on_its_seed() -> None:
    assert results(spec()) == results(spec())
    assert results(spec()) != results(spec(seed=1))


def test_fewer_rows_are_a_sample_of_the_training_split_alone() -> None:
    whole = load("planted")
    part = train_task._dataset("planted", 0, 2000)
    assert part.num_rows("train") == len(part.split("train")) == 2000
    for split in ("valid", "test"):
        assert part.num_rows(split) == whole.num_rows(split)
    rows = {tuple(row) for row in whole.split("train").ids.tolist()}
    assert all(tuple(row) in rows for row in part.split("train").ids.tolist())
    assert part.content_hash != whole.content_hash


def test_counts_are_those_of_the_theory() -> None:
    counts = results(spec())
    width = 6 * 4
    assert counts["parameters"] - counts["embedding_parameters"] == 2 * (width**2 + width) + width + 1
    assert train_task.layer_width(spec()) == width


def test_the_history_has_a_row_per_epoch() -> None:
    measured = train_task.run(spec())
    history = measured.series["history"]
    assert history["epoch"] == [1, 2]
    assert max(history["valid_auc"]) == measured.metrics["valid_auc"]


def test_seeds_and_weights_that_are_trained_together_end_as_alone() -> None:
    weighted = replace(spec(), training=settings({**dict(spec().training), "embedding_l2": 0.1}))
    specs = [spec(seed=0), spec(seed=1), weighted]
    assert len({train_task.together_key(one) for one in specs}) == 1
    for one, measured in zip(specs, train_task.run_together(specs), strict=True):
        assert isinstance(measured, Measured)
        alone = train_task.run(one)
        for name in ("test_auc", "test_logloss", "valid_auc"):
            assert measured.metrics[name] == pytest.approx(alone.metrics[name], abs=1e-4)
        assert measured.metrics["best_epoch"] == alone.metrics["best_epoch"]


def test_what_cannot_be_stacked_is_trained_alone() -> None:
    config = StudyConfig(name="c", title="c", task="train", datasets=("planted",), arms=(Arm(model="lr"),))
    assert train_task.together_key(plan(config)[0]) is None
    assert train_task.together_key(spec()) != train_task.together_key(spec(split_seed=1))
    dropped = replace(spec(), options=settings({**dict(spec().options), "dropout": 0.5}))
    assert train_task.together_key(spec()) != train_task.together_key(dropped)


def test_the_slow_formats_are_expected_to_be_slow() -> None:
    def cost(**options: object) -> float:
        arm = Arm(model="quadratic", options={"layers": 3, **options})  # type: ignore[dict-item]
        return train_task.relative_cost(
            plan(StudyConfig(name="c", title="c", task="train", datasets=("planted",), arms=(arm,)))[0]
        )

    assert cost(format="T1") > 5 * cost(format="T9")
    assert cost(format="T8") > cost(format="T9")
    assert cost(format="T1", projection=16) < cost(format="T1")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"format": "T99"}, "the nearest is"),
        ({"format": "T13", "projection": 15}, "T13 joins two half-width parts"),
    ],
)
def test_impossible_runs_are_rejected_before_any_is_started(options: dict[str, object], complaint: str) -> None:
    config = StudyConfig(
        name="c", title="c", task="train", datasets=("planted",),
        arms=(Arm(model="quadratic", options=options),),  # type: ignore[arg-type]
    )  # fmt: skip
    with pytest.raises((ValueError, KeyError), match=complaint):
        train_task.check(plan(config)[0])
