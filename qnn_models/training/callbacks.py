"""What a training tells while it goes on: to a caller's own code at each step, epoch and at the end, and to `history.csv`."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from qnn_models.runtime.distributed import Processes
from qnn_models.runtime.whole_file import appearing
from qnn_models.training.config import EpochRecord, TrainResult

__all__ = ["HISTORY_FILE", "Callback", "Callbacks", "StepRecord", "write_history"]

HISTORY_FILE = "history.csv"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One update: its epoch (from 1), its number within it (from 1) and in all, the batch's mean loss and its learning rate."""

    epoch: int
    step: int
    update: int
    loss: float
    learning_rate: float


class Callback:
    """Code that a training calls; override what you want to hear of. What it raises ends the training.

    Of a training that was interrupted and goes on, it hears what is new. Among several processes, the first one calls it.

    Example:
        >>> class Shown(Callback):
        ...     def epoch(self, record):
        ...         print(record.epoch, record.valid_auc)
    """

    def step(self, record: StepRecord) -> None:
        """After each update. On a GPU each call waits for the step to end."""

    def epoch(self, record: EpochRecord) -> bool | None:
        """After each epoch; True ends the training with it."""

    def end(self, result: TrainResult) -> None:
        """After the last epoch, with the figures of all splits."""


class Callbacks:
    """Several of them, called by the first process.

    Args:
        callbacks: in the order of the calls; those without a `step` of their own cost a step nothing.
        processes: who trains.

    Raises:
        TypeError: one is no `Callback`.
    """

    def __init__(self, callbacks: Sequence[Callback], processes: Processes) -> None:
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"A callback is a qnn_models.Callback with a method step, epoch or end, however: {callback!r}; derive it."
                )
        self._processes, self._given = processes, bool(callbacks)
        self._all = tuple(callbacks) if processes.first else ()
        self._of_steps = [callback for callback in self._all if type(callback).step is not Callback.step]
        self.hear_steps = bool(self._of_steps)

    def step(self, record: StepRecord) -> None:
        """Tell of an update."""
        for callback in self._of_steps:
            callback.step(record)

    def epoch(self, record: EpochRecord) -> bool:
        """Tell of an epoch; True, in all processes, when one wants the training to end."""
        if not self._given:
            return False
        wanted = [bool(callback.epoch(record)) for callback in self._all]
        return bool(self._processes.gather_json(any(wanted))[0])

    def end(self, result: TrainResult) -> None:
        """Tell of the end."""
        for callback in self._all:
            callback.end(result)


def write_history(folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write the epochs' records as `history.csv`, which appears whole or not at all.

    Args:
        folder: where.
        history: as `dataclasses.asdict` makes them of `EpochRecord`.
    """
    with appearing(folder / HISTORY_FILE) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(EpochRecord)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
