"""What most tasks have: data sets that ask for no settings of their own, nothing to do first, and runs each by itself."""

from __future__ import annotations

from collections.abc import Mapping

from studies.tasks.spec import RunSpec, Scalar


def protocol_options(dataset: str) -> Mapping[str, Scalar]:
    """None."""
    return {}


def protocol_training(dataset: str, model: str) -> Mapping[str, Scalar]:
    """None."""
    return {}


def prepare(spec: RunSpec) -> None:
    """Nothing is shared between runs."""


def together_key(spec: RunSpec) -> str | None:
    """Every run is by itself."""
    return None


def default_together(*, on_gpu: bool) -> int:
    """Every run is by itself."""
    return 1
