"""What each task measures, and which side of a metric is the better one.

A metric without a better side (a count of parameters, a number of epochs) is collected and correlated, but no arm can win by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from studies.tasks.spec import Task

Side: TypeAlias = Literal["higher", "lower"] | None

METRICS: Mapping[Task, Mapping[str, Side]] = {
    "train": {
        "test_auc": "higher",
        "test_logloss": "lower",
        "valid_auc": "higher",
        "valid_logloss": "lower",
        "best_epoch": None,
        "epochs": None,
        "train_seconds": "lower",
        "epoch_seconds": "lower",
        "inference_us": "lower",
        "latency_us": "lower",
        "latency_100_us": "lower",
        "peak_mib": "lower",
        "parameters": None,
        "embedding_parameters": None,
    },
    "boundary": {
        "train_accuracy": "higher",
        "test_accuracy": "higher",
        "test_auc": "higher",
        "test_logloss": "lower",
        "parameters": None,
        "train_seconds": "lower",
        "gradient_variation": None,
        "largest_jump": None,
        "jump_order": None,
    },
    "scaling": {
        "step_ms": "lower",
        "epoch_seconds": "lower",
        "rows_per_second": "higher",
        "inference_us": "lower",
        "peak_mib": "lower",
        "parameters": None,
        "embedding_parameters": None,
    },
    "interaction": {
        "updates_to_half": "lower",
        "rows_to_half": "lower",
        "reached": "higher",
        "diverged": "lower",
        "test_auc": "higher",
        "gain_share": "higher",
        "bayes_auc": None,
        **{f"updates_to_half_order_{order}": "lower" for order in (1, 2, 3, 4)},
        "parameters": None,
        "embedding_parameters": None,
    },
    "data": {
        "instances": None,
        "train_rows_share": None,
        "valid_rows_share": None,
        "fields": None,
        "features": None,
        "click_share": None,
    },
}
"""Task -> metric -> its better side; the meaning of each is in the task's module."""

VALIDATION_METRICS = ("valid_auc", "valid_logloss")
"""What a choice may be made by: anything else of a training saw the test rows, or is no measure of quality."""


def compared_metrics(task: Task) -> tuple[str, ...]:
    """The metrics of a task by which one arm can be better than another."""
    return tuple(metric for metric, side in METRICS[task].items() if side is not None)


def is_time(metric: str) -> bool:
    """Whether it is a time, or a pace, which another run on the same machine changes."""
    return metric.endswith(("_seconds", "_us", "_ms", "_per_second"))


def higher_is_better(task: Task, metric: str) -> bool:
    """Whether a larger value is the better one.

    Raises:
        ValueError: the task has no such metric, or it has no better side.
    """
    side = METRICS[task].get(metric)
    if side is None:
        raise ValueError(
            f"Arms are compared by a metric with a better side, one of {', '.join(compared_metrics(task))}, "
            f"however: {metric!r}."
        )
    return side == "higher"
