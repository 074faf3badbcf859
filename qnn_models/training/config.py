"""The settings of a training and what comes out of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from qnn_models.training.losses import LossName, check_loss_name

__all__ = ["EpochRecord", "TrainConfig", "TrainResult", "warnings_of"]

UPDATES_PER_EPOCH = 200
FEWEST_UPDATES = 200
"""A training of fewer updates has most likely not learned what the data hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Everything that decides the outcome of a training besides model and data. Defaults are the published protocol's.

    Attributes:
        seed: root of the seeds of shuffling and dropout.
        loss: see `qnn_models.training.losses`.
        batch_size: rows per step, of all processes together; None takes them by the rows of the training split, so that an
            epoch has about 200 updates: the power of two nearest to a 200th of the rows, within 128 and 4096.
        learning_rate: Adam's, at the start.
        learning_rate_decay: factor at each epoch that does not improve what is monitored.
        min_learning_rate: floor of the learning rate.
        monitor: what an epoch must improve on the validation split: ``auc``, or ``auc-logloss``, which is AUC minus log loss,
            so that probabilities count beside the order of the rows.
        prior_bias: start the output's bias at the training split's log odds, as gradient boosting libraries do.
        patience: epochs in a row without improvement after which training ends.
        max_epochs: epochs after which it ends in any case.
        embedding_l2: λ of the term ``λ/2 ‖E‖²`` over the whole table of each embedding.
        gradient_clip: largest norm of all gradients together.
        chunk_rows: rows that go through the model at once in one process; the gradients of a batch's chunks are summed to
            the batch's own. Smaller chunks take less memory and stay in cache. None is the whole batch.
        precision: ``float32``; ``tf32`` for matrix products on CUDA; ``bfloat16`` autocast.
        compile: whether the forward pass is compiled with `torch.compile`.
        memory_gib: a split that takes more than this is streamed from disk, shuffled within a window.

    Raises:
        ValueError: a setting is out of its range.
    """

    seed: int = 0
    loss: LossName = "bce"
    batch_size: int | None = 4096
    learning_rate: float = 1e-3
    learning_rate_decay: float = 0.1
    min_learning_rate: float = 1e-6
    monitor: Literal["auc", "auc-logloss"] = "auc"
    prior_bias: bool = False
    patience: int = 2
    max_epochs: int = 100
    embedding_l2: float = 0.0
    gradient_clip: float = 10.0
    chunk_rows: int | None = None
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    compile: bool = False
    memory_gib: float = 4.0

    def __post_init__(self) -> None:
        check_loss_name(self.loss)
        for name in ("batch_size", "patience", "max_epochs", "chunk_rows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is at least 1, however: {name}={value}.")
        for name in ("learning_rate", "gradient_clip", "memory_gib"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is positive, however: {name}={getattr(self, name)}.")
        for name in ("embedding_l2", "min_learning_rate"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is not negative, however: {name}={getattr(self, name)}.")
        if self.monitor not in ("auc", "auc-logloss"):
            raise ValueError(f"monitor is auc or auc-logloss, however: {self.monitor!r}.")
        if not 0 < self.learning_rate_decay <= 1:
            raise ValueError(f"learning_rate_decay is in (0, 1], however: {self.learning_rate_decay}.")
        if self.precision not in ("float32", "tf32", "bfloat16"):
            raise ValueError(f"precision is float32, tf32 or bfloat16, however: {self.precision!r}.")

    def rows_per_step(self, rows: int) -> int:
        """The batch size for so many training rows."""
        if self.batch_size is not None:
            return self.batch_size
        nearest = round(math.log2(max(rows, 1) / UPDATES_PER_EPOCH))
        return int(2 ** min(max(nearest, 7), 12))


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch: its number (from 1), mean loss (without the L2 term), validation metrics, learning rate and wall-clock time."""

    epoch: int
    train_loss: float
    valid_auc: float
    valid_logloss: float
    learning_rate: float
    train_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """Outcome of a training. The metrics are those of the epoch that is best in what was monitored.

    Attributes:
        history: one record per epoch.
        best_epoch: number of the chosen epoch, from 1.
        valid_auc: validation AUC of the chosen epoch.
        valid_logloss: its validation log loss in nats.
        constant_logloss: log loss of the best constant on the validation split.
        test_auc: its test AUC, computed once.
        test_logloss: its test log loss in nats.
        test_calibration_error: expected calibration error on the test split, in [0, 1].
        test_mean_label: share of clicks in the test split.
        test_mean_prediction: mean predicted probability there.
        train_seconds_per_epoch: median over the epochs, without evaluation.
        inference_us_per_row: microseconds per row of the test split's forward passes, in batches of the training's size.
        num_parameters: learned numbers, embedding tables included.
        device: where it ran.
        updates: steps of the optimizer, of all epochs.
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    valid_auc: float
    valid_logloss: float
    constant_logloss: float
    test_auc: float
    test_logloss: float
    test_calibration_error: float
    test_mean_label: float
    test_mean_prediction: float
    train_seconds_per_epoch: float
    inference_us_per_row: float
    num_parameters: int
    device: str
    updates: int


def warnings_of(result: TrainResult, config: TrainConfig, *, train_rows: int) -> list[str]:
    """What a user must know of a training beside its figures: probabilities worth nothing, or too few updates."""
    found = []
    if not result.valid_logloss < result.constant_logloss:
        found.append(
            f"the validation log loss, {result.valid_logloss:.4f}, is not below that of predicting the share of clicks for every "
            f"row, {result.constant_logloss:.4f}: the probabilities are worse than none; train with prior_bias = true and "
            "monitor = 'auc-logloss', a larger embedding_l2 or dropout, or more rows"
        )
    if result.updates < FEWEST_UPDATES:
        found.append(
            f"the training ended after {result.updates} updates, and a model needs some {FEWEST_UPDATES}; lower batch_size "
            f"({config.rows_per_step(train_rows)}) or raise patience ({config.patience})"
        )
    return found
