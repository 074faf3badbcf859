"""What each process of `test_distributed` does; ``torchrun`` runs this file, and the tests read what it leaves in a folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch

from qnn_models.data.layout import Split
from qnn_models.data.planted import Planted, planted_dataset
from qnn_models.models.baselines.perceptrons.cl4ctr import CL4CTR
from qnn_models.models.network import CTRModel, QNNAlphaNetwork
from qnn_models.runtime.distributed import ALONE, Processes, launched
from qnn_models.training import loop as training
from qnn_models.training.checkpoint import write_checkpoint
from qnn_models.training.config import TrainConfig, TrainResult
from qnn_models.training.loop import train

CONFIG = TrainConfig(batch_size=128, max_epochs=3, loss="self_ensemble", embedding_l2=1e-3, learning_rate=1e-2)
# 299 rows leave, of 300 to score, one that all processes but one have no share of.
CASES: dict[str, tuple[float, bool, TrainConfig]] = {
    "plain": (0.0, False, replace(CONFIG, batch_size=299)),
    "bce": (0.0, False, replace(CONFIG, loss="bce", gradient_clip=0.05)),
    "chunks": (0.0, False, replace(CONFIG, chunk_rows=20)),
    "batch_norm": (0.0, True, CONFIG),
    "streamed": (0.0, False, replace(CONFIG, memory_gib=1e-9)),
    "streamed_norm": (0.0, True, replace(CONFIG, memory_gib=1e-9)),
    "stalls": (0.0, False, replace(CONFIG, learning_rate=0.3, max_epochs=12)),
    "own_term": (0.0, False, replace(CONFIG, batch_size=299, chunk_rows=100)),
    "dropout": (0.2, True, CONFIG),
}


class Killed(BaseException):
    """Stands for the end of the processes."""


class UnevenBatches:
    """A data set whose batches have 2 rows now and then, so that one of three processes has none."""

    def __init__(self, planted: Planted) -> None:
        self.layout, self.content_hash = planted.dataset.layout, planted.dataset.content_hash
        self.num_rows, self.split = planted.dataset.num_rows, planted.dataset.split

    def batches(self, split: str, *, batch_size: int, generator: torch.Generator | None = None) -> Iterator[Split]:
        rows = self.split(split)
        for start in range(0, len(rows), batch_size):
            for first, last in ((start, start + 2), (start + 2, min(start + batch_size, len(rows)))):
                yield Split(rows.ids[first:last], rows.labels[first:last])


def planted() -> Planted:
    return planted_dataset(rows=(600, 300, 300), vocabulary_sizes=(5, 5, 5), pairs=[(0, 1)])


def model(case: str, *, seed: int = 0) -> CTRModel:
    dropout, batch_norm, _ = CASES[case]
    layout = planted().dataset.layout
    if case == "own_term":
        options = {"embedding_dim": 4, "hidden_units": 8, "hidden_layers": 1, "encoder_layers": 1, "encoder_units": 4}
        return CL4CTR(layout, **options, mask=0.0, dropout=dropout, seed=seed).double()  # type: ignore[arg-type]
    return QNNAlphaNetwork(
        layout, embedding_dim=4, layers=2, rows=2, dropout=dropout, batch_norm=batch_norm, seed=seed
    ).double()


def run(case: str, *, processes: Processes = ALONE, seed: int = 0) -> tuple[TrainResult, CTRModel]:
    trained = model(case, seed=seed)
    data = UnevenBatches(planted()) if case.startswith("streamed") else planted().dataset
    return train(trained, data, CASES[case][2], device="cpu", processes=processes), trained


def interrupt(case: str, folder: Path, *, processes: Processes) -> None:
    """Stop a training in its second epoch, two steps after it was kept."""
    real, steps = training._Loop._step, iter(range(100))

    def step(*arguments: object) -> object:
        if next(steps) == 8:
            raise Killed
        return real(*arguments)  # type: ignore[arg-type]

    training._Loop._step = step  # type: ignore[assignment, method-assign]
    try:
        settings = {"device": "cpu", "checkpoint": folder, "checkpoint_steps": 3, "processes": processes}
        train(model(case), planted().dataset, CASES[case][2], **settings)  # type: ignore[arg-type]
    except Killed:
        pass
    finally:
        training._Loop._step = real  # type: ignore[method-assign]


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    with launched() as processes:

        def keep(name: str, result: TrainResult, trained: CTRModel) -> None:
            path = folder / f"{name}-{processes.rank}.safetensors"
            write_checkpoint(path, trained.state_dict(), json.loads(json.dumps(asdict(result))))

        for case in CASES:
            # Each process starts from values of its own, of which process 0's must count.
            keep(case, *run(case, processes=processes, seed=processes.rank))
        for case in ("dropout", "batch_norm"):
            interrupt(case, folder / case, processes=processes)
        resumed = model("dropout", seed=7 + processes.rank)
        # Only process 0 sees the files, as on machines that share none.
        checkpoint = folder / "dropout" if processes.first else folder / "nowhere"
        settings = {"device": "cpu", "checkpoint": checkpoint, "processes": processes}
        keep("resumed", train(resumed, planted().dataset, CASES["dropout"][2], **settings), resumed)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
