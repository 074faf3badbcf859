"""The task ``train``: train one click-through-rate model on one data set by the published protocol.

Its metrics:

=====================================  ========================================================================================
``test_auc test_logloss``              of the epoch that validation chose, computed once; AUC as a fraction, log loss in nats
``valid_auc valid_logloss``            the same on the validation split
``best_epoch epochs``                  the chosen epoch, and how many were trained
``train_seconds epoch_seconds``        all epochs together, and the median epoch; without evaluation
``inference_us``                       µs per row of the forward passes over the test split, in batches of the training's size
``latency_us latency_100_us``          µs of one forward pass over one row, and over 100 rows (median of 100 passes)
``peak_mib``                           memory that the training takes at most, MiB; empty where the system does not tell
``parameters embedding_parameters``    learned numbers, and how many of them are embeddings
=====================================  ========================================================================================
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache, lru_cache
from typing import Any

import torch

from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.layout import Split
from qnn_models.data.registry import PLANTED, dataset_names, get_schema, load
from qnn_models.data.schema import SPLITS
from qnn_models.models import registry
from qnn_models.models.network import CTRModel
from qnn_models.runtime.peak_memory import PeakMemory
from qnn_models.runtime.seeds import derive
from qnn_models.training.batched import OWN_SETTINGS, train_many
from qnn_models.training.config import TrainConfig, TrainResult
from qnn_models.training.loop import train
from qnn_theory.costs import D, cost
from studies.tasks.arm_format import arm_format
from studies.tasks.ctr_model import check_model, model_parameters, parameter_metrics, stack_width
from studies.tasks.protocol import default_options, default_training
from studies.tasks.signatures import dataclass_parameters
from studies.tasks.spec import RunSpec, Scalar, digest
from studies.tasks.task import Measured

__all__ = [
    "check",
    "dataset_names",
    "default_together",
    "layer_width",
    "model_names",
    "option_parameters",
    "prepare",
    "protocol_options",
    "protocol_training",
    "relative_cost",
    "run",
    "run_together",
    "together_key",
    "training_parameters",
]

LATENCY_REPEATS = 100
_OVERHEAD_FLOPS = 4e5
"""What a row costs besides the layers' matrix products, as the operations that take as long."""


def model_names() -> tuple[str, ...]:
    """Names of the models."""
    return registry.model_names()


def option_parameters(model: str) -> Mapping[str, inspect.Parameter]:
    """The settings of a model."""
    return model_parameters(model)


def training_parameters() -> Mapping[str, inspect.Parameter]:
    """The settings of `qnn_models.training.config.TrainConfig`; its seed is the run's."""
    return dataclass_parameters(TrainConfig, without=("seed",))


def protocol_options(dataset: str) -> Mapping[str, Scalar]:
    """Model options that the data set asks for; see `studies.tasks.protocol`."""
    return default_options(dataset)


def protocol_training(dataset: str, model: str) -> Mapping[str, Scalar]:
    """Training settings that data set and model ask for; see `studies.tasks.protocol`."""
    return default_training(dataset, model)


def check(spec: RunSpec) -> None:
    """Reject an unknown format, a width that a format cannot have, and settings of model or training out of range.

    Raises:
        ValueError: a width or a setting does not fit.
        KeyError: there is no such format.
    """
    TrainConfig(**dict(spec.training))  # type: ignore[arg-type]
    check_model(spec, spec.options, width=layer_width(spec))


def layer_width(spec: RunSpec) -> int:
    """Width d of the layers: the projection's, else fields × embedding_dim."""
    return stack_width(spec, fields=num_fields(spec.dataset))


@cache
def num_fields(dataset: str) -> int:
    """Number of fields of a data set, from its schema."""
    return load(PLANTED).layout.num_fields if dataset == PLANTED else len(get_schema(dataset).fields)


def relative_cost(spec: RunSpec) -> float:
    """Operations per training row: the layers' matrix products, twice for a loss of two passes, and what comes besides."""
    format = arm_format(spec)
    if format is None:
        layers = 2.0 * _OVERHEAD_FLOPS
    else:
        per_layer = float(cost(format).training_flops.subs(D, layer_width(spec)))
        layers = per_layer * float(spec.option("layers") or 1)
    return (_OVERHEAD_FLOPS + layers) * (1.0 if dict(spec.training)["loss"] == "bce" else 2.0)


def prepare(spec: RunSpec) -> None:
    """Fetch and encode the data set, unless that has been done."""
    load(spec.dataset, split_seed=spec.split_seed)


@lru_cache(maxsize=2)
def _dataset(name: str, split_seed: int, train_rows: int | None) -> EncodedDataset:
    """The data set, kept between the runs of one process; with fewer training rows where that is asked for."""
    whole = load(name, split_seed=split_seed, progress=False)
    if train_rows is None or train_rows >= whole.num_rows("train"):
        return whole
    splits = {split: whole.split(split) for split in SPLITS}
    # The rows of a split come in random order only where the schema splits at random, so they are drawn.
    order = torch.randperm(whole.num_rows("train"), generator=torch.Generator().manual_seed(derive(split_seed, "rows")))
    rows = order[:train_rows].sort().values
    splits["train"] = Split(splits["train"].ids[rows], splits["train"].labels[rows])
    return EncodedDataset(
        whole.name,
        encoder=whole.encoder,
        content_hash=f"{whole.content_hash}:{train_rows}",
        rows={split: len(part) for split, part in splits.items()},
        splits=splits,
    )


def build(spec: RunSpec, dataset: EncodedDataset) -> CTRModel:
    """The run's model with its start values."""
    return registry.build(spec.model, dataset.layout, **dict(spec.options), seed=derive(spec.root_seed, "start"))


def together_key(spec: RunSpec) -> str | None:
    """Runs of one network on one split go together, for the models that `qnn_models.training.batched` can stack.

    They differ in what it lets each model have of its own: the seed, and settings such as the L2 weight that arms choose.
    """
    if spec.model not in ("quadratic", "qnn-alpha") or dict(spec.training)["compile"]:
        return None
    content = spec.content()
    del content["seed"]
    common = {name: value for name, value in spec.training if name not in OWN_SETTINGS}
    return digest(content | {"training": common})


def default_together(*, on_gpu: bool) -> int:
    """Eight on a GPU, where a stack costs little more than one; by themselves on the CPU."""
    return 8 if on_gpu else 1


def run(spec: RunSpec) -> Measured:
    """Train one model and score it."""
    dataset, model = _loaded(spec)
    with PeakMemory() as memory:
        result = train(model, dataset, _config(spec))
    return _measured(model, dataset, result, peak_mib=memory.mib)


def run_together(specs: Sequence[RunSpec]) -> list[Measured | Exception]:
    """Train models of one `together_key` as one stack; each gives what it gives by itself, within rounding.

    The memory is that of all of them together.
    """
    loaded = [_loaded(spec) for spec in specs]
    with PeakMemory() as memory:
        results = train_many([model for _, model in loaded], loaded[0][0], [_config(spec) for spec in specs])
    return [
        result if isinstance(result, Exception) else _measured(model, dataset, result, peak_mib=memory.mib)
        for (dataset, model), result in zip(loaded, results, strict=True)
    ]


def _loaded(spec: RunSpec) -> tuple[EncodedDataset, CTRModel]:
    dataset = _dataset(spec.dataset, spec.split_seed, spec.train_rows)
    return dataset, build(spec, dataset)


def _config(spec: RunSpec) -> TrainConfig:
    return TrainConfig(**dict(spec.training), seed=derive(spec.root_seed, "training"))  # type: ignore[arg-type]


def _measured(model: CTRModel, dataset: EncodedDataset, result: TrainResult, *, peak_mib: float) -> Measured:
    device = torch.device(result.device)
    test = dataset.split("test")
    history = [asdict(epoch) for epoch in result.history]
    return Measured(
        metrics={
            "test_auc": result.test_auc,
            "test_logloss": result.test_logloss,
            "valid_auc": result.valid_auc,
            "valid_logloss": result.valid_logloss,
            "best_epoch": result.best_epoch,
            "epochs": len(history),
            "train_seconds": sum(epoch["train_seconds"] for epoch in history),
            "epoch_seconds": result.train_seconds_per_epoch,
            "inference_us": result.inference_us_per_row,
            "latency_us": _latency_us(model, test.ids[:1].to(device)),
            "latency_100_us": _latency_us(model, test.ids[:100].to(device)),
            "peak_mib": peak_mib,
            **parameter_metrics(model),
        },
        series={
            "history": {key: [epoch[key] for epoch in history] for key in history[0]},
            "content_hash": dataset.content_hash,
        },
    )


def _latency_us(model: CTRModel, ids: torch.Tensor) -> float:
    """Median wall-clock time of one forward pass over these rows, in microseconds."""
    model.eval()
    wait: Callable[[], Any] = torch.cuda.synchronize if ids.is_cuda else lambda: None
    times = []
    with torch.inference_mode():
        for _ in range(LATENCY_REPEATS):
            wait()
            start = time.perf_counter()
            model(ids)
            wait()
            times.append(time.perf_counter() - start)
    return 1e6 * sorted(times)[len(times) // 2]
