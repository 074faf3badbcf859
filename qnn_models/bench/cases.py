"""What `qnn bench` measures: each case does the same work in our way and in the baseline's, once per call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from qnn_models.bench.baseline import columns, row_loader
from qnn_models.bench.scoring import frame_of_rows, one_row
from qnn_models.bench.shapes import CRITEO, ML_100K, SHAPES, Shape
from qnn_models.bench.sides import seconds
from qnn_models.bench.worker import Worker
from qnn_models.evaluation.evaluate import evaluate, slices
from qnn_models.evaluation.metrics import auc
from qnn_models.serving.inference import WeightType, for_inference


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison.

    Attributes:
        name: what is compared.
        unit: of the figures; ``samples/s`` is better when larger, the others when smaller.
        prepare: sets up and returns the two measurements, ours and the baseline's, each giving one figure per call.
        target: the ratio the project promises on 2 CPU cores, or None.
        repeats: paired repetitions.
    """

    name: str
    unit: str
    prepare: Callable[[str], tuple[Callable[[], float], Callable[[], float]]]
    target: float | None
    repeats: int = 7


def _training(shape: Shape, device: str) -> tuple[Callable[[], float], Callable[[], float]]:
    rows = shape.steps * shape.batch_size

    def speed(worker: Worker) -> float:
        return rows / worker().seconds

    return partial(speed, Worker("ours", shape.name, device)), partial(speed, Worker("baseline", shape.name, device))


def _peak_memory(shape: Shape, device: str) -> tuple[Callable[[], float], Callable[[], float]]:
    def peak(side: str) -> float:
        return Worker(side, shape.name, device)().mib

    return partial(peak, "ours"), partial(peak, "baseline")


def _latency(
    shape: Shape, batch: int, weights: WeightType, device: str
) -> tuple[Callable[[], float], Callable[[], float]]:
    served = for_inference(shape.ours().eval(), weights=weights).to(device)
    network = shape.plain().eval().to(device)
    ids = shape.split(batch).ids.to(device)
    calls = max(1, 256 // batch)

    def timed(work: Callable[[], Tensor]) -> float:
        with torch.inference_mode():
            return seconds(lambda: [work() for _ in range(calls)], device) / calls * 1e6

    def plain_once() -> Tensor:
        return network(columns(ids, shape.layout.lengths))

    return partial(timed, lambda: served(ids).sigmoid()), partial(timed, plain_once)


def _evaluation(shape: Shape, device: str) -> tuple[Callable[[], float], Callable[[], float]]:
    from sklearn.metrics import log_loss, roc_auc_score

    rows = 20 * shape.batch_size if shape is ML_100K else 2 * shape.batch_size
    split = shape.split(rows, "evaluation")
    model, network = shape.ours().to(device), shape.plain().eval().to(device)
    loader = row_loader(split, shape.layout.lengths, batch_size=shape.batch_size, shuffle=False)

    def our_speed() -> float:
        return rows / seconds(lambda: evaluate(model, slices(split, shape.batch_size)), device)

    def plain_speed() -> float:
        def work() -> None:
            parts, labels = [], []
            with torch.no_grad():
                for batch, truth in loader:
                    predicted = network({name: column.to(device) for name, column in batch.items()})
                    parts.append(predicted.cpu().numpy().reshape(-1))
                    labels.append(truth.numpy())
            scores, truth = np.concatenate(parts, dtype=np.float64), np.concatenate(labels, dtype=np.float64)
            roc_auc_score(truth, scores)
            log_loss(truth, scores)

        return rows / seconds(work, device)

    return our_speed, plain_speed


def _auc(device: str) -> tuple[Callable[[], float], Callable[[], float]]:
    from sklearn.metrics import roc_auc_score

    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(4_600_000, generator=generator)
    labels = (torch.rand(4_600_000, generator=generator) < torch.sigmoid(scores)).float()
    arrays = labels.numpy(), scores.numpy()
    return (
        lambda: seconds(lambda: auc(labels, scores), "cpu") * 1e3,
        lambda: seconds(lambda: roc_auc_score(*arrays), "cpu") * 1e3,
    )


def _request(shape: Shape, threads: int, share: float, device: str) -> tuple[Callable[[], float], Callable[[], float]]:
    return one_row(shape, threads=threads, share=share)


def _rows(shape: Shape, rows: int, device: str) -> tuple[Callable[[], float], Callable[[], float]]:
    return frame_of_rows(shape, rows)


def all_cases() -> tuple[Case, ...]:
    """The cases, in the order of the report."""
    training = [
        Case("training, ml-100k", "samples/s", partial(_training, ML_100K), 3.0, repeats=7),
        Case("training, criteo", "samples/s", partial(_training, CRITEO), 1.7, repeats=3),
        Case("peak memory, ml-100k", "MiB", partial(_peak_memory, ML_100K), None, repeats=1),
        Case("peak memory, criteo", "MiB", partial(_peak_memory, CRITEO), 3.0, repeats=1),
    ]
    targets: dict[tuple[str, int, WeightType], float] = {
        ("ml-100k", 1, "float32"): 4.0,
        ("criteo", 10_000, "bfloat16"): 1.5,
        ("criteo", 1, "int8"): 2.5,
    }
    kinds: tuple[WeightType, ...] = ("float32", "bfloat16", "int8")
    latency = [
        Case(
            f"inference, {shape.name}, batch {batch}, {weights}",
            "µs",
            partial(_latency, shape, batch, weights),
            targets.get((shape.name, batch, weights)),
            repeats=3 if batch == 10_000 else 15,
        )
        for shape in SHAPES.values()
        for batch in (1, 256, 10_000)
        for weights in kinds
        if weights == "float32" or batch == 1 or (weights == "bfloat16" and shape is CRITEO)
    ]
    scoring = [
        Case("evaluation, ml-100k", "samples/s", partial(_evaluation, ML_100K), 3.0, repeats=5),
        Case("evaluation, criteo", "samples/s", partial(_evaluation, CRITEO), None, repeats=3),
        Case("AUC of 4.6 M scores (against scikit-learn)", "ms", _auc, 5.0, repeats=5),
    ]
    requests = [
        Case("request, ml-100k, one row", "µs", partial(_request, ML_100K, 1, 0.5), 4.0, repeats=5),
        Case("request, ml-100k, one row, p99 of 4 threads", "µs", partial(_request, ML_100K, 4, 0.99), None, repeats=5),
        Case(
            "request, ml-100k, 50 000 rows (against the bare model)",
            "µs",
            partial(_rows, ML_100K, 50_000),
            0.8,
            repeats=5,
        ),
    ]
    return (*training, *latency, *scoring, *requests)
