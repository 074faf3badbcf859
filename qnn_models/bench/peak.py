"""Peak memory of one training stretch in a fresh process: ``python -m qnn_models.bench.peak ours|plain SHAPE DEVICE``.

Prints MiB above what the process held with the data and the model in place, optimizer state included.
"""

from __future__ import annotations

import sys

import torch

from qnn_models.bench.baseline import PlainTrainer
from qnn_models.bench.shapes import SHAPES, MadeUpDataset
from qnn_models.peak_memory import PeakMemory
from qnn_models.training import TrainConfig, train


def main(side: str, shape_name: str, device: str) -> None:
    """Train two steps' worth and print the peak."""
    shape = SHAPES[shape_name]
    dataset = MadeUpDataset(shape)
    split = dataset.split("train")
    if side == "ours":
        model = shape.ours()
        config = TrainConfig(
            loss="self_ensemble", batch_size=shape.batch_size, embedding_l2=shape.embedding_l2, max_epochs=1
        )
        with PeakMemory() as memory:
            train(model, dataset, config, device=device)
    else:
        trainer = PlainTrainer(shape.plain().to(device), embedding_l2=shape.embedding_l2)
        ids, labels = split.ids.to(device), split.labels.to(device)
        with PeakMemory() as memory:
            for batch in torch.arange(len(labels), device=device).split(shape.batch_size):
                trainer.step(ids[batch], labels[batch])
    print(memory.mib)


if __name__ == "__main__":
    main(*sys.argv[1:])
