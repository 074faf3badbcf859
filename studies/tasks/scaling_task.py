"""The task ``scaling``: time and memory of one training epoch on random data of a given shape, in fresh processes.

Its metrics:

=====================================  ========================================================================================
``step_ms epoch_seconds``              one update, and one epoch; the slowest of the processes
``rows_per_second``                    rows trained per second, all processes together
``inference_us``                       µs per row of the forward passes, in batches of the training's size
``peak_mib``                           memory that data, model and training take at most in one process, MiB
``parameters embedding_parameters``    learned numbers, and how many of them are embeddings
=====================================  ========================================================================================

With more than one process each trains its own copy at the same time, as the runs of a study do.
"""

from __future__ import annotations

import inspect
import multiprocessing
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, cast

import torch

from qnn_models.data.layout import RESERVED_IDS, Split
from qnn_models.models import registry
from qnn_models.runtime.peak_memory import PeakMemory
from qnn_models.runtime.seeds import derive
from qnn_models.training.config import TrainConfig
from qnn_models.training.loop import train
from qnn_models.training.losses import LossName
from qnn_theory.costs import network_cost
from studies.tasks.arm_format import arm_format
from studies.tasks.ctr_model import check_model, model_parameters, parameter_metrics, stack_width, uniform_layout
from studies.tasks.plain_task import default_together, prepare, protocol_options, protocol_training, together_key
from studies.tasks.signatures import dataclass_parameters
from studies.tasks.spec import RunSpec, Settings
from studies.tasks.task import Measured

__all__ = ["default_together", "prepare", "protocol_options", "protocol_training", "together_key"]

Counted = Literal["step_operations", "epoch_operations", "row_operations", "bytes", "processes"]

METRICS: Mapping[str, Counted] = {
    "step_ms": "step_operations",
    "epoch_seconds": "epoch_operations",
    "inference_us": "row_operations",
    "peak_mib": "bytes",
    "rows_per_second": "processes",
}
"""Metric -> the count of `theory_cost` that it should follow."""

TEST_ROWS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The data, and how it is trained on.

    Attributes:
        fields: number of fields f.
        vocabulary: ids per field, padding and out of vocabulary not counted.
        data_rows: rows of the training split.
        batch_size: rows per update.
        loss: see `qnn_models.training.losses`.
        processes: copies that are trained at the same time.
    """

    fields: int = 16
    vocabulary: int = 1000
    data_rows: int = 8192
    batch_size: int = 1024
    loss: LossName = "bce"
    processes: int = 1


def dataset_names() -> tuple[str, ...]:
    """The data is random."""
    return ("random",)


def model_names() -> tuple[str, ...]:
    """Models that are a stack of one format, which the theory's formulas count."""
    return ("quadratic", "qnn-alpha")


@cache
def option_parameters(model: str) -> Mapping[str, inspect.Parameter]:
    """The model's own settings and those of the `Shape`."""
    return {**model_parameters(model), **dataclass_parameters(Shape)}


def training_parameters() -> Mapping[str, inspect.Parameter]:
    """None: what is trained on belongs to the `Shape`, so that it can be an axis."""
    return {}


def layer_width(spec: RunSpec) -> int:
    """Width d of the layers: the projection's, else fields × embedding_dim."""
    return stack_width(spec, fields=shape(spec).fields)


def shape(spec: RunSpec) -> Shape:
    """The run's `Shape`; shortened runs have at most ``train_rows`` rows."""
    known = dataclass_parameters(Shape)
    found = Shape(**{key: value for key, value in spec.options if key in known})  # type: ignore[arg-type]
    return found if spec.train_rows is None else replace(found, data_rows=min(found.data_rows, spec.train_rows))


def _own(spec: RunSpec) -> Settings:
    """The model's own settings, without those of the `Shape`."""
    known = dataclass_parameters(Shape)
    return tuple((key, value) for key, value in spec.options if key not in known)


def check(spec: RunSpec) -> None:
    """Reject a width that the format cannot have, options out of range, and a label that is no axis.

    Raises:
        ValueError: something does not fit.
        KeyError: there is no such format.
    """
    axis = spec.option(spec.label)
    if isinstance(axis, bool) or not isinstance(axis, int | float) or axis <= 0:
        raise ValueError(
            f"The label of an arm is the option that it varies, a positive number, however: {spec.label!r} is {axis!r}."
        )
    given = shape(spec)
    for key in ("fields", "vocabulary", "data_rows", "batch_size", "processes"):
        if getattr(given, key) < 1:
            raise ValueError(f"A shape has at least 1 of {key}, however: {getattr(given, key)}.")
    check_model(spec, _own(spec), width=layer_width(spec))


def theory_cost(spec: RunSpec) -> Mapping[Counted, float]:
    """What the formulas of `qnn_theory.cost` count for a run."""
    format, given = arm_format(spec), shape(spec)
    if format is None:
        raise ValueError(f"The theory counts stacks of one format, however: {spec.model}.")
    cost = network_cost(
        format,
        layers=cast(int, spec.option("layers")),
        fields=given.fields,
        embedding_dim=cast(int, spec.option("embedding_dim")),
        batch=given.batch_size,
        vocabulary=given.fields * (given.vocabulary + RESERVED_IDS),
        projection=spec.option("projection"),
    )
    passes = 1 if given.loss == "bce" else 2
    steps = given.data_rows / given.batch_size
    return {
        "step_operations": passes * float(cost.training_flops),
        "epoch_operations": passes * steps * float(cost.training_flops),
        "row_operations": float(cost.flops) / given.batch_size,
        "bytes": float(passes * cost.activation_bytes + cost.optimizer_bytes + cost.lookup_bytes),
        "processes": float(given.processes),
    }


def relative_cost(spec: RunSpec) -> float:
    """Operations of the epoch in all processes, with a constant for starting them."""
    return 5e10 + theory_cost(spec)["epoch_operations"] * shape(spec).processes


def run(spec: RunSpec) -> Measured:
    """Train one epoch in each of the fresh processes, all starting together."""
    processes = shape(spec).processes
    context = multiprocessing.get_context("spawn")
    threads = torch.get_num_threads()
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=_start, initargs=(context.Barrier(processes), threads)
    ) as pool:
        found = list(pool.map(_one_epoch, [spec] * processes, range(processes)))
    slowest = max(one["epoch_seconds"] for one in found)
    rows = shape(spec).data_rows
    return Measured(
        metrics={
            **found[0],
            "epoch_seconds": slowest,
            "step_ms": 1000 * slowest / -(-rows // shape(spec).batch_size),
            "rows_per_second": sum(rows / one["epoch_seconds"] for one in found),
            "inference_us": max(one["inference_us"] for one in found),
            "peak_mib": max(one["peak_mib"] for one in found),
        }
    )


class RandomData:
    """Uniform ids and fair labels of a shape; what `qnn_models.training.loop.train` reads."""

    def __init__(self, given: Shape, *, rows: int, seed: int) -> None:
        self.layout = uniform_layout(given.fields, vocabulary=given.vocabulary)
        self.content_hash = f"random-{seed}"
        generator = torch.Generator().manual_seed(seed)
        self._splits = {
            name: Split(
                ids=torch.randint(
                    RESERVED_IDS, given.vocabulary + RESERVED_IDS, (count, given.fields), generator=generator
                ).int(),
                labels=(torch.arange(count) % 2).float(),
            )
            for name, count in (("train", rows), ("valid", TEST_ROWS), ("test", TEST_ROWS))
        }

    def num_rows(self, split: str) -> int:
        """Rows of a split."""
        return len(self._splits[split])

    def split(self, split: str) -> Split:
        """All rows of a split."""
        return self._splits[split]

    def batches(self, split: str, *, batch_size: int, generator: torch.Generator | None = None) -> Iterator[Split]:
        """Rows of a split in their order; random rows need no shuffling."""
        rows = self._splits[split]
        for start in range(0, len(rows), batch_size):
            yield Split(rows.ids[start : start + batch_size], rows.labels[start : start + batch_size])


_barrier: threading.Barrier | None = None


def _start(barrier: threading.Barrier, threads: int) -> None:
    global _barrier
    _barrier = barrier
    torch.set_num_threads(threads)


def _one_epoch(spec: RunSpec, index: int) -> dict[str, float]:
    given = shape(spec)
    own = dict(_own(spec))
    seed = derive(spec.root_seed, "scaling", index)
    config = TrainConfig(loss=given.loss, batch_size=given.batch_size, max_epochs=1, seed=seed)

    def epoch(rows: int) -> dict[str, float]:
        data = RandomData(given, rows=rows, seed=derive(seed, "data"))
        model = registry.build(spec.model, data.layout, **own, seed=derive(seed, "start"))
        result = train(model, data, config)
        return {
            "epoch_seconds": result.train_seconds_per_epoch,
            "inference_us": result.inference_us_per_row,
            **parameter_metrics(model),
        }

    with PeakMemory() as memory:
        epoch(min(given.data_rows, 2 * given.batch_size))  # what is loaded or compiled once is no time of the epoch
        if _barrier is not None:
            _barrier.wait()
        found = epoch(given.data_rows)
    return found | {"peak_mib": memory.mib}
