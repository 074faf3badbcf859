"""Logits and metrics of a model over the rows of a split."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qnn_models.data.layout import Split
from qnn_models.evaluation.metrics import auc, calibration_error, log_loss
from qnn_models.runtime.distributed import ALONE, Processes

__all__ = ["Evaluation", "evaluate", "evaluation_mode", "predict_logits", "resolve_device", "slices"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model is worth on a split.

    Attributes:
        auc: area under the ROC curve, in [0, 1].
        logloss: log loss in nats.
        rows: rows scored.
        us_per_row: wall-clock microseconds of the forward passes per row.
        mean_label: share of rows with label 1.
        mean_prediction: mean predicted probability.
        calibration_error: see `qnn_models.evaluation.metrics.calibration_error`; None where it was not asked for.
    """

    auc: float
    logloss: float
    rows: int
    us_per_row: float
    mean_label: float
    mean_prediction: float
    calibration_error: float | None = None


def resolve_device(name: str) -> torch.device:
    """The device of this name; ``auto`` is the first CUDA device where there is one, else the CPU.

    Raises:
        ValueError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"A device is auto, cpu, cuda or cuda:N, however: {name!r}.") from None
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise ValueError(f"This machine has {count} CUDA devices, however: device={name!r}; use auto or cpu.")
        return torch.device("cuda", device.index or 0)
    if device.type != "cpu":
        raise ValueError(f"A device is auto, cpu, cuda or cuda:N, however: {name!r}.")
    return device


def slices(split: Split, batch_size: int) -> Iterator[Split]:
    """The rows of a split in their order, `batch_size` at a time; views, no copies."""
    for start in range(0, len(split), batch_size):
        yield split.part(slice(start, start + batch_size))


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """The model without dropout, batch statistics and gradients; its mode comes back afterwards."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)


def predict_logits(model: nn.Module, batches: Iterable[Split], *, device: torch.device | None = None) -> Tensor:
    """Logits of all rows, single precision, on the CPU.

    Args:
        model: ids ``(batch, columns)`` -> logits ``(batch,)``.
        batches: rows to score.
        device: where the model is; taken from its parameters when left out.

    Returns:
        shape (rows,).
    """
    device = device or next(model.parameters()).device
    with evaluation_mode(model):
        # Kept on the device until the end, as a copy per batch would wait for each; and in one block, as small ones that stay
        # break up the memory that each batch frees, which then grows by a batch's activations a batch.
        kept, rows = torch.empty(0, device=device), 0
        for batch in batches:
            logits = model(batch.ids.to(device, non_blocking=True))
            stop = rows + len(logits)
            if stop > len(kept):
                kept = torch.cat([kept[:rows], kept.new_empty(max(rows, len(logits)))])
            kept[rows:stop] = logits
            rows = stop
        return kept[:rows].cpu()


def evaluate(
    model: nn.Module, batches: Iterable[Split], *, processes: Processes = ALONE, calibration: bool = False
) -> Evaluation:
    """AUC, log loss and speed of a model over the rows of a split, each row counting by its weight where they have weights.

    Among several processes, each scores its share of every batch, and all have the metrics of all rows; the speed is the own.

    Args:
        model: ids ``(batch, columns)`` -> logits ``(batch,)``.
        batches: all rows of the split, the same for each process.
        processes: who scores them.
        calibration: whether to compute the calibration error too, which sorts the rows.

    Raises:
        ValueError: no rows, only one class, or a logit is NaN.
    """
    labels: list[Tensor] = []
    weights: list[Tensor] = []

    def scored() -> Iterator[Split]:
        for whole in batches:
            batch = whole.part(processes.share(len(whole)))
            labels.append(batch.labels)
            if batch.weights is not None:
                weights.append(batch.weights)
            yield batch

    start = time.perf_counter()
    logits = predict_logits(model, scored())
    seconds = time.perf_counter() - start
    own_rows = len(logits)
    truth = processes.gather_rows(torch.cat(labels).cpu() if labels else torch.empty(0))
    logits = processes.gather_rows(logits)
    counts = processes.gather_rows(torch.cat(weights).cpu()) if weights else None
    parts = torch.ones_like(truth, dtype=torch.float64) if counts is None else counts.double()
    return Evaluation(
        auc=auc(truth, logits, counts),
        logloss=log_loss(truth, logits, counts),
        rows=len(truth),
        us_per_row=1e6 * seconds / max(1, own_rows),
        mean_label=float((truth.double() * parts).sum() / parts.sum()),
        mean_prediction=float((logits.double().sigmoid() * parts).sum() / parts.sum()),
        calibration_error=calibration_error(truth, logits, counts) if calibration else None,
    )
