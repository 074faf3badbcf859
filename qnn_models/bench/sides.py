"""One stretch of training, ours and the baseline's: what is timed, profiled and whose memory is measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

import torch

from qnn_models.bench.baseline import PlainTrainer, row_loader
from qnn_models.bench.shapes import MadeUpDataset, Shape
from qnn_models.training.config import TrainConfig
from qnn_models.training.loop import train

Stretch: TypeAlias = Callable[[], float]


def seconds(work: Callable[[], object], device: str) -> float:
    """Wall-clock time of some work, until the device has done it."""
    start = time.perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start


def ours(shape: Shape, device: str) -> Stretch:
    """`shape.steps` steps of our training; a call does them and gives their seconds."""
    import qnn_models.kernels.numba_loops  # noqa: F401  a library's own memory is no part of a training's, on either side

    dataset, model = MadeUpDataset(shape), shape.ours()
    config = TrainConfig(
        loss="self_ensemble", batch_size=shape.batch_size, embedding_l2=shape.embedding_l2, max_epochs=1
    )
    return lambda: train(model, dataset, config, device=device).history[0].train_seconds


def plain(shape: Shape, device: str) -> Stretch:
    """The same steps of the baseline."""
    trainer = PlainTrainer(shape.plain().to(device), embedding_l2=shape.embedding_l2)
    split = MadeUpDataset(shape).split("train")
    loader = row_loader(split, shape.layout.lengths, batch_size=shape.batch_size, shuffle=True)

    def epoch() -> None:
        for batch, labels in loader:
            trainer.step({name: column.to(device) for name, column in batch.items()}, labels.to(device))

    return lambda: seconds(epoch, device)


SIDES: dict[str, Callable[[Shape, str], Stretch]] = {"ours": ours, "baseline": plain}
