"""The task `interaction`: networks side by side are the networks alone, and what is known to be found or not is."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from qnn_models.data.planted import expected_auc
from qnn_models.data.pure_interactions import pure_interactions, random_term
from studies.declaring.config import Arm, StudyConfig
from studies.declaring.load import load_config
from studies.declaring.plan import plan
from studies.tasks import interaction_task
from studies.tasks.interaction_training import (
    InteractionTraining,
    _auc,
    crossing,
    evaluation_points,
    train_side_by_side,
)
from studies.tasks.spec import RunSpec


def a_run(dataset: str = "order-2", *, training: dict[str, object] | None = None, **options: object) -> RunSpec:
    arm = Arm(model="quadratic", label="{format}", options={"format": "T5", "vocabulary": 4, **options})  # type: ignore[dict-item]
    config = StudyConfig(
        name="a",
        title="",
        task="interaction",
        datasets=(dataset,),
        arms=(arm,),
        training={"max_updates": 150, "batch_size": 128, "learning_rate": 1e-2, **(training or {})},  # type: ignore[dict-item]
    )
    (spec,) = plan(config)
    interaction_task.check(spec)
    return spec


def test_together_is_as_alone() -> None:
    specs = [
        replace(a_run(dataset, embedding_std=std, training={"max_updates": 24}), seed=seed)
        for dataset, std, seed in (("order-1", 0.3, 0), ("order-4", 0.1, 1), ("mixture", 0.3, 0))
    ]
    assert len({interaction_task.together_key(spec) for spec in specs}) == 1
    together = interaction_task.run_together(specs)
    assert [measured.metrics["reached"] for measured in together[:2]] == [1, 0], (
        "one leaves the stack before the others"
    )
    for spec, measured in zip(specs, together, strict=True):
        alone = interaction_task.run(spec)
        assert measured.series["history"]["updates"] == alone.series["history"]["updates"]
        assert measured.series["history"]["test_auc"] == pytest.approx(alone.series["history"]["test_auc"], abs=2e-3)


@pytest.mark.parametrize("change", ["format", "layers", "optimizer", "learning_rate", "max_updates"])
def test_what_cannot_be_stacked_has_another_key(change: str) -> None:
    other = {
        "format": a_run(format="T4"),
        "layers": a_run(layers=3),
        "optimizer": a_run(training={"optimizer": "sgd"}),
        "learning_rate": a_run(training={"learning_rate": 1e-3}),
        "max_updates": a_run(training={"max_updates": 100}),
    }[change]
    assert interaction_task.together_key(a_run()) != interaction_task.together_key(other)


def test_a_product_finds_a_pair_and_a_linear_map_never_does() -> None:
    product, linear = (interaction_task.run(a_run(format=format)).metrics for format in ("T5", "Linear"))
    assert product["reached"] == 1
    assert 0 < product["updates_to_half"] < 150
    assert product["rows_to_half"] == product["updates_to_half"] * 128
    assert product["gain_share"] >= 0.8
    assert product["diverged"] == 0
    assert linear["reached"] == 0
    assert linear["updates_to_half"] == 150
    assert abs(linear["gain_share"]) < 0.2


def test_of_a_mixture_a_linear_map_finds_the_first_order_alone() -> None:
    metrics = interaction_task.run(a_run("mixture", format="Linear")).metrics
    assert metrics["updates_to_half_order_1"] < 150
    assert [metrics[f"updates_to_half_order_{order}"] for order in (2, 3, 4)] == [150] * 3


def test_a_rate_that_is_too_large_is_a_result() -> None:
    metrics = interaction_task.run(a_run(format="T16", training={"optimizer": "sgd", "learning_rate": 1e6})).metrics
    assert metrics["diverged"] == 1
    assert metrics["reached"] == 0
    assert metrics["test_auc"] == 0.5
    assert metrics["updates_to_half"] == 150


def test_all_formats_of_a_repetition_see_the_same_rows() -> None:
    first, second = a_run(format="T5"), a_run(format="T9", embedding_std=0.01)
    assert torch.equal(interaction_task.law(first).signs, interaction_task.law(second).signs)
    assert interaction_task.law(first).terms == interaction_task.law(second).terms
    other = replace(first, split_seed=5)
    assert not torch.equal(interaction_task.law(first).signs, interaction_task.law(other).signs)


def test_start_values_have_the_deviation_that_is_asked_for() -> None:
    spec = a_run(embedding_std=0.25, vocabulary=64)
    weight = interaction_task._build(spec, interaction_task.law(spec)).embedding.weight.detach()
    assert float(weight[weight.abs().sum(1) > 0].std()) == pytest.approx(0.25, rel=0.05)


@pytest.mark.parametrize(
    ("dataset", "options", "training", "complaint"),
    [
        ("order-2", {"embedding_std": 0.0}, {}, "embedding_std is positive"),
        ("order-2", {"embedding_std": -1.0}, {}, "embedding_std is positive"),
        ("order-2", {"strength": 0.0}, {}, "strength is positive"),
        ("order-2", {"vocabulary": 5}, {}, "even"),
        ("order-4", {"fields": 3}, {}, "1 to 3 fields"),
        ("mixture", {"fields": 3}, {}, "1 to 3 fields"),
        ("order-2", {"layers": 0}, {}, "layers"),
        ("order-2", {"format": "T13", "embedding_dim": 3, "fields": 3}, {}, "even"),
        ("order-2", {}, {"batch_size": 0}, "batch_size"),
        ("order-2", {}, {"max_updates": 0}, "max_updates"),
        ("order-2", {}, {"learning_rate": 0.0}, "learning_rate"),
        ("order-2", {}, {"stop_at": 0.3}, "stop_at"),
        ("order-5", {}, {}, "one of order-1"),
    ],
)
def test_runs_that_cannot_be(
    dataset: str, options: dict[str, object], training: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        a_run(dataset, training=training, **options)


def test_auc_of_true_probabilities_is_the_expected_one_ties_and_all() -> None:
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(300, generator=generator, dtype=torch.float64)
    assert _auc(p.float(), p) == pytest.approx(expected_auc(p.numpy()), abs=1e-6)
    assert _auc(torch.zeros(300), p) == pytest.approx(0.5)
    assert _auc(-p.float(), p) == pytest.approx(1 - expected_auc(p.numpy()), abs=1e-6)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5, 0.6, 0.7], None),
        ([0.9, 0.6, 0.7], 0.0),
        ([0.5, 0.8, 0.9], 8.0),
        ([0.5, 0.7, 0.9], math.expm1((math.log1p(8) + math.log1p(16)) / 2)),
        ([0.5, 0.9, 0.5], math.expm1(0.75 * math.log1p(8))),
    ],
)
def test_the_crossing_lies_between_evaluations(values: list[float], expected: float | None) -> None:
    found = crossing([0, 8, 16], values, 0.8)
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("most", [1, 2, 8, 9, 100, 2048])
def test_evaluations_grow_apart_and_end_with_the_last_update(most: int) -> None:
    points = evaluation_points(most)
    assert points[0] == 0
    assert points[-1] == most
    assert points == sorted(set(points))
    assert len(points) < 40


def test_models_of_other_architectures_are_refused_by_torch_not_mixed() -> None:
    law = pure_interactions([random_term(1)])
    with pytest.raises(RuntimeError):
        train_side_by_side(
            [nn.Linear(6, 1), nn.Linear(6, 2)], [law, law], InteractionTraining(max_updates=1), stream_seeds=[0, 0]
        )


def test_the_committed_study_has_25_formats_and_all_orders() -> None:
    specs = plan(load_config("interaction_order"))
    adam = [spec for spec in specs if dict(spec.training)["optimizer"] == "adam" and spec.dataset != "mixture"]
    assert {spec.dataset for spec in adam} == {f"order-{order}" for order in (1, 2, 3, 4)}
    for dataset in {spec.dataset for spec in adam}:
        assert len({spec.label for spec in adam if spec.dataset == dataset}) >= 25
    assert {spec.option("embedding_std") for spec in specs} == {0.3, 0.01}
