"""Callbacks hear of every step, epoch and the end, with the figures of the result, and change nothing unless they say so."""

from __future__ import annotations

import csv
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

import qnn_models as qm
from qnn_models.data.planted import Planted
from qnn_models.training.config import EpochRecord, TrainConfig, TrainResult

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = TrainConfig(batch_size=128, max_epochs=3, learning_rate=1e-2, patience=3)


class Heard(qm.Callback):
    def __init__(self) -> None:
        self.steps: list[Any] = []
        self.epochs: list[EpochRecord] = []
        self.results: list[TrainResult] = []

    def step(self, record: Any) -> None:
        self.steps.append(record)

    def epoch(self, record: EpochRecord) -> None:
        self.epochs.append(record)

    def end(self, result: TrainResult) -> None:
        self.results.append(result)


class Stopping(qm.Callback):
    def epoch(self, record: EpochRecord) -> bool:
        return record.epoch == 2


class Failing(qm.Callback):
    def epoch(self, record: EpochRecord) -> None:
        if record.epoch == 2:
            raise RuntimeError("no more")


def model(planted: Planted) -> qm.CTRModel:
    return qm.build("fm", planted.dataset.layout, seed=0)


def test_all_is_heard_and_nothing_changed(planted: Planted) -> None:
    heard, first, second = Heard(), model(planted), model(planted)
    result = qm.train(first, planted.dataset, CONFIG, device="cpu", callbacks=[heard])
    qm.train(second, planted.dataset, CONFIG, device="cpu")
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert heard.results == [result]
    assert tuple(heard.epochs) == result.history
    assert [(r.epoch, r.step, r.update) for r in heard.steps] == [
        (epoch, step, 5 * (epoch - 1) + step) for epoch in (1, 2, 3) for step in range(1, 6)
    ]
    sizes = [128, 128, 128, 128, 88]
    for record in result.history:
        losses = [step.loss for step in heard.steps if step.epoch == record.epoch]
        mean = sum(size * loss for size, loss in zip(sizes, losses, strict=True)) / 600
        assert mean == pytest.approx(record.train_loss, rel=1e-6)


def test_one_may_end_the_training(planted: Planted, tmp_path: Path) -> None:
    heard = Heard()
    result = qm.train(
        model(planted), planted.dataset, CONFIG, device="cpu", checkpoint=str(tmp_path), callbacks=[Stopping(), heard]
    )
    assert len(result.history) == 2
    assert len(heard.epochs) == 2
    again = qm.train(model(planted), planted.dataset, CONFIG, device="cpu", checkpoint=tmp_path, callbacks=[heard])
    assert again.history == result.history
    assert len(heard.epochs) == 2


def test_what_one_raises_ends_it_and_the_training_goes_on_from_the_epoch_before(
    planted: Planted, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match="no more"):
        qm.train(model(planted), planted.dataset, CONFIG, device="cpu", checkpoint=tmp_path, callbacks=[Failing()])
    heard, whole = Heard(), model(planted)
    resumed = model(planted)
    result = qm.train(resumed, planted.dataset, CONFIG, device="cpu", checkpoint=tmp_path, callbacks=[heard])
    qm.train(whole, planted.dataset, CONFIG, device="cpu")
    assert [record.epoch for record in heard.epochs] == [2, 3]
    assert tuple(heard.epochs) == result.history[1:]
    assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), whole.parameters(), strict=True))


def test_the_history_is_a_table(planted: Planted, tmp_path: Path) -> None:
    result = qm.train(model(planted), planted.dataset, CONFIG, device="cpu", checkpoint=tmp_path)
    with (tmp_path / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{key: float(value) for key, value in row.items()} for row in rows] == [asdict(r) for r in result.history]


@pytest.mark.parametrize("callback", [print, qm.Callback, "print", None])
def test_what_is_no_callback_is_named(planted: Planted, callback: Any) -> None:
    with pytest.raises(TypeError, match=r"A callback is a qnn_models\.Callback"):
        qm.train(model(planted), planted.dataset, replace(CONFIG, max_epochs=1), device="cpu", callbacks=[callback])


def test_a_models_rows_are_evaluated_and_predicted(planted: Planted) -> None:
    trained = model(planted)
    result = qm.train(trained, planted.dataset, CONFIG, device="cpu")
    test = planted.dataset.split("test")
    found = qm.evaluate(trained, test)
    assert found.auc == pytest.approx(result.test_auc, rel=1e-6)
    assert found.logloss == pytest.approx(result.test_logloss, rel=1e-6)
    predicted = qm.predict(trained, test)
    assert float(predicted.mean()) == pytest.approx(result.test_mean_prediction, rel=1e-6)
    torch.testing.assert_close(qm.predict(trained, test.ids, batch_size=7), predicted)
    assert not predicted.requires_grad
