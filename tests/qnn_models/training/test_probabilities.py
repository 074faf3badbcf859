"""Where probabilities count: a start at the rate of the labels, log loss beside AUC, a warning where they are worth nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn

from qnn_models.data.planted import Planted, planted_dataset
from qnn_models.models import registry
from qnn_models.training.batches import Batches
from qnn_models.training.config import TrainConfig, TrainResult, warnings_of
from qnn_models.training.loop import train
from qnn_models.training.prior import output_biases, start_at_log_odds


@pytest.fixture(scope="module")
def planted() -> Planted:
    return planted_dataset(rows=(600, 200, 200), seed=1)


@pytest.mark.parametrize("name", registry.model_names())
def test_every_model_starts_at_the_rate_of_the_labels(planted: Planted, name: str) -> None:
    model = registry.build(name, planted.dataset.layout, seed=3).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    start_at_log_odds(model, Batches(planted.dataset, TrainConfig(), torch.device("cpu")))
    split = planted.dataset.split("train")
    with torch.no_grad():
        mean = float(model(split.ids[:64]).mean())
    rate = float(split.labels.mean())
    assert mean == pytest.approx(math.log(rate / (1 - rate)), abs=1e-3)
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed
    assert all(before[key].numel() == 1 for key in changed)


def test_a_model_without_a_bias_at_the_output_is_refused() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.scale * ids.sum(1)

    with pytest.raises(ValueError, match=r"needs a bias at the output, however: Sum has none; set prior_bias = false"):
        output_biases(Sum(), torch.arange(6).view(3, 2))


def test_log_loss_counts_where_it_is_monitored(planted: Planted) -> None:
    model = registry.build("fm", planted.dataset.layout, seed=0)
    config = TrainConfig(batch_size=128, learning_rate=0.05, patience=4, learning_rate_decay=1.0, monitor="auc-logloss")
    result = train(model, planted.dataset, config, device="cpu")
    worth = [epoch.valid_auc - epoch.valid_logloss for epoch in result.history]
    assert result.best_epoch == worth.index(max(worth)) + 1
    assert worth.index(max(worth)) != max(
        range(len(worth)), key=lambda i: result.history[i].valid_auc
    )  # else it shows nothing


@pytest.mark.parametrize(
    ("rows", "expected"), [(1, 128), (1_000, 128), (20_000, 128), (80_000, 512), (327_346, 2048), (10**8, 4096)]
)
def test_steps_suit_the_rows(rows: int, expected: int) -> None:
    assert TrainConfig(batch_size=None).rows_per_step(rows) == expected
    assert TrainConfig(batch_size=77).rows_per_step(rows) == 77


def test_a_batch_size_by_rows_trains_as_the_same_one_given(planted: Planted) -> None:
    def run(batch_size: int | None) -> TrainResult:
        model = registry.build("lr", planted.dataset.layout, seed=0)
        return train(model, planted.dataset, TrainConfig(batch_size=batch_size, max_epochs=2), device="cpu")

    by_rows, given = run(None), run(128)
    assert [epoch.train_loss for epoch in by_rows.history] == [epoch.train_loss for epoch in given.history]
    assert by_rows.updates == given.updates == 2 * math.ceil(planted.dataset.num_rows("train") / 128)


def test_probabilities_worse_than_none_are_said_to_be(planted: Planted) -> None:
    def result(**given: float) -> TrainResult:
        config = TrainConfig(max_epochs=1)
        made = train(registry.build("lr", planted.dataset.layout, seed=0), planted.dataset, config, device="cpu")
        return replace(made, **given)  # type: ignore[arg-type]

    config = TrainConfig(batch_size=None)
    fine = result(valid_logloss=0.5, constant_logloss=0.6, updates=200)
    assert warnings_of(fine, config, train_rows=600) == []
    worse = replace(fine, valid_logloss=0.6)
    assert "not below that of predicting the share of clicks" in warnings_of(worse, config, train_rows=600)[0]
    assert "nan" in warnings_of(replace(fine, valid_logloss=math.nan), config, train_rows=600)[0]
    few = warnings_of(replace(fine, updates=36), config, train_rows=600)
    assert "after 36 updates" in few[0]
    assert "lower batch_size (128)" in few[0]


def test_the_outcome_tells_how_far_probabilities_are_off(planted: Planted) -> None:
    model = registry.build("lr", planted.dataset.layout, seed=0)
    result = train(model, planted.dataset, TrainConfig(prior_bias=True, max_epochs=1, learning_rate=1e-6), device="cpu")
    rate = float(planted.dataset.split("valid").labels.mean())
    assert result.constant_logloss == pytest.approx(-rate * math.log(rate) - (1 - rate) * math.log(1 - rate))
    trained_on = float(planted.dataset.split("train").labels.mean())
    assert result.test_mean_prediction == pytest.approx(trained_on, abs=0.01)
    assert result.test_mean_label == pytest.approx(float(planted.dataset.split("test").labels.mean()))
    assert abs(result.test_mean_prediction - result.test_mean_label) <= result.test_calibration_error + 1e-9
    assert all(earlier.epoch + 1 == later.epoch for earlier, later in pairwise(result.history))
