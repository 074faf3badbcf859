"""What the tasks that train click-through-rate models ask of them: their settings, and whether one can be built and counted."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache

from qnn_models.data.layout import RESERVED_IDS, FieldLayout
from qnn_models.models import registry
from qnn_models.models.network import CTRModel, count_parameters
from qnn_theory.grammar.widths import check_dim
from studies.tasks.arm_format import arm_format
from studies.tasks.signatures import function_parameters
from studies.tasks.spec import RunSpec, Settings

_FIELDS = 4
_FORMAT = "Linear"


@cache
def model_parameters(model: str) -> Mapping[str, inspect.Parameter]:
    """The settings of a registered model."""
    return function_parameters(registry.model_class(model), without=("layout", "seed"))


def stack_width(spec: RunSpec, *, fields: int) -> int:
    """Width d of the layers: the projection's, else fields × embedding_dim."""
    projection = spec.option("projection")
    return int(projection) if projection is not None else fields * int(spec.option("embedding_dim") or 0)


def uniform_layout(fields: int, *, vocabulary: int) -> FieldLayout:
    """Fields of one value each that all have as many ids, padding and out of vocabulary not counted."""
    return FieldLayout(
        names=tuple(f"f{number}" for number in range(fields)),
        vocabulary_sizes=(vocabulary + RESERVED_IDS,) * fields,
        lengths=(1,) * fields,
    )


def check_model(spec: RunSpec, options: Settings, *, width: int) -> None:
    """Reject a model that cannot be: a width that its format cannot have, no layers, a drop probability of 2.

    Its constructor is tried on a few small fields before any data are read. The width is not the data set's there, so it is
    checked by itself; and a format is tried as the cheapest one, because a full bilinear map would need gigabytes.

    Args:
        spec: the run.
        options: the model's own options.
        width: width d of its layers on its data.

    Raises:
        ValueError: an option is out of range or does not fit; says which.
        KeyError: there is no such format.
    """
    format = arm_format(spec)
    if format is not None:
        check_dim(format.expr, width, label=format.id)
    _build(spec.model, tuple((key, _FORMAT if key == "format" else value) for key, value in options))


@cache
def _build(model: str, options: Settings) -> None:
    registry.build(model, uniform_layout(_FIELDS, vocabulary=1), **dict(options), seed=0)


def parameter_metrics(model: CTRModel) -> dict[str, float]:
    """How many numbers the model learns, and how many of them are embeddings."""
    counts = count_parameters(model)
    return {"parameters": counts["total"], "embedding_parameters": counts["embedding"]}
