"""Where a training step's time goes: self time per operation, ours beside the baseline."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

from qnn_models.bench.baseline import PlainTrainer
from qnn_models.bench.shapes import SHAPES, MadeUpDataset
from qnn_models.training import TrainConfig, train

_SHOWN = 14


def shares(shape_name: str, *, device: str = "cpu") -> str:
    """A table of the largest shares of self time in a training step of each side."""
    shape = SHAPES[shape_name]
    dataset = MadeUpDataset(shape)
    model, trainer = shape.ours(), PlainTrainer(shape.plain().to(device), embedding_l2=shape.embedding_l2)
    config = TrainConfig(
        loss="self_ensemble", batch_size=shape.batch_size, embedding_l2=shape.embedding_l2, max_epochs=1
    )
    split = dataset.split("train")
    ids, labels = split.ids.to(device), split.labels.to(device)

    def plain() -> None:
        for start in range(0, len(labels), shape.batch_size):
            trainer.step(ids[start : start + shape.batch_size], labels[start : start + shape.batch_size])

    sides: dict[str, Callable[[], object]] = {
        "ours": lambda: train(model, dataset, config, device=device),
        "baseline": plain,
    }
    return "\n\n".join(f"{shape_name}, {name}\n{_profiled(work, device)}" for name, work in sides.items())


def _profiled(work: Callable[[], object], device: str) -> str:
    work()
    cuda = device.startswith("cuda")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities) as recorded:
        work()
        if cuda:
            torch.cuda.synchronize()
    times = {
        event.key: float(event.self_device_time_total if cuda else event.self_cpu_time_total)
        for event in recorded.key_averages()
    }
    total = sum(times.values()) or 1.0
    largest = sorted(times.items(), key=lambda item: -item[1])[:_SHOWN]
    return "\n".join(f"{100 * time / total:5.1f} %  {name}" for name, time in largest)
