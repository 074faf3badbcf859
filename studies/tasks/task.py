"""What a run may do. Each task is one module that names its data sets, models and settings, and carries a run out.

`TaskModule` states the functions that such a module has.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from studies.tasks.spec import RunSpec, Scalar, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a task returns: numbers by name, units in the names, and series of numbers."""

    metrics: Mapping[str, float]
    series: Mapping[str, Any] = field(default_factory=dict)


class TaskModule(Protocol):
    """The functions of a task's module."""

    def dataset_names(self) -> tuple[str, ...]:
        """Names of the data sets that it runs on."""

    def model_names(self) -> tuple[str, ...]:
        """Names of its models."""

    def option_parameters(self, model: str) -> Mapping[str, inspect.Parameter]:
        """The model's settings with their types and defaults."""

    def training_parameters(self) -> Mapping[str, inspect.Parameter]:
        """The settings of a training with their types and defaults."""

    def protocol_options(self, dataset: str) -> Mapping[str, Scalar]:
        """Settings of any model that the data set asks for; a study may replace them."""

    def protocol_training(self, dataset: str, model: str) -> Mapping[str, Scalar]:
        """Settings of the training that data set and model ask for; a study may replace them."""

    def layer_width(self, spec: RunSpec) -> int:
        """Width d of the layers of a run whose model is a stack of one format."""

    def check(self, spec: RunSpec) -> None:
        """Reject a run that cannot be, before anything is computed. Raises ValueError."""

    def relative_cost(self, spec: RunSpec) -> float:
        """Expected time of a run, in any unit that is the same for all runs of the task."""

    def prepare(self, spec: RunSpec) -> None:
        """Do once, before workers start, what all runs share: fetch and encode the data."""

    def together_key(self, spec: RunSpec) -> str | None:
        """Runs with the same key can be trained together; None: by itself only."""

    def default_together(self, *, on_gpu: bool) -> int:
        """How many runs are trained together where the user does not say."""

    def run_together(self, specs: Sequence[RunSpec]) -> Sequence[Measured | Exception]:
        """Carry out runs of one `together_key`; a task that has no keys has no such function."""

    def run(self, spec: RunSpec) -> Measured:
        """Carry out one run."""


def task_module(task: Task) -> TaskModule:
    """The module of a task; imported here, because torch is heavy and a listing of studies does not need it."""
    return cast(TaskModule, importlib.import_module(f"studies.tasks.{task}_task"))
