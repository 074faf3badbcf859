"""The settings of a training and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qnn_models.training.losses import LossName, check_loss_name

__all__ = ["EpochRecord", "TrainConfig", "TrainResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Everything that decides the outcome of a training besides model and data. Defaults are the published protocol's.

    Attributes:
        seed: root of the seeds of shuffling and dropout.
        loss: see `qnn_models.training.losses`.
        batch_size: rows per step, of all processes together.
        learning_rate: Adam's, at the start.
        learning_rate_decay: factor at each epoch that does not improve the validation AUC.
        min_learning_rate: floor of the learning rate.
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
    batch_size: int = 4096
    learning_rate: float = 1e-3
    learning_rate_decay: float = 0.1
    min_learning_rate: float = 1e-6
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
        if not 0 < self.learning_rate_decay <= 1:
            raise ValueError(f"learning_rate_decay is in (0, 1], however: {self.learning_rate_decay}.")
        if self.precision not in ("float32", "tf32", "bfloat16"):
            raise ValueError(f"precision is float32, tf32 or bfloat16, however: {self.precision!r}.")


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
    """Outcome of a training. The metrics are those of the epoch with the highest validation AUC.

    Attributes:
        history: one record per epoch.
        best_epoch: number of the chosen epoch, from 1.
        valid_auc: validation AUC of the chosen epoch.
        valid_logloss: its validation log loss in nats.
        test_auc: its test AUC, computed once.
        test_logloss: its test log loss in nats.
        train_seconds_per_epoch: median over the epochs, without evaluation.
        inference_us_per_row: microseconds per row of the test split's forward passes, in batches of the training's size.
        num_parameters: learned numbers, embedding tables included.
        device: where it ran.
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    valid_auc: float
    valid_logloss: float
    test_auc: float
    test_logloss: float
    train_seconds_per_epoch: float
    inference_us_per_row: float
    num_parameters: int
    device: str
