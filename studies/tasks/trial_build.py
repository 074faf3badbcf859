"""Whether a model can be built with its options, tried on a few small fields before any data are read."""

from __future__ import annotations

from functools import cache

from qnn_models.data.layout import RESERVED_IDS, FieldLayout
from qnn_models.models import registry
from studies.tasks.spec import Settings

_FIELDS = 4
_FORMAT = "Linear"


def try_build(model: str, options: Settings) -> None:
    """Reject options that the model's own constructor rejects: no layers, a drop probability of 2.

    The width is not the data set's, so what a width must be is checked elsewhere; and a format is tried as the cheapest one,
    because a full bilinear map would need gigabytes.

    Raises:
        ValueError: an option is out of range; says which.
    """
    _build(model, tuple((key, _FORMAT if key == "format" else value) for key, value in options))


@cache
def _build(model: str, options: Settings) -> None:
    layout = FieldLayout(
        names=tuple(f"f{number}" for number in range(_FIELDS)),
        vocabulary_sizes=(RESERVED_IDS + 1,) * _FIELDS,
        lengths=(1,) * _FIELDS,
    )
    registry.build(model, layout, **dict(options), seed=0)
