"""Which neuron format a run's model is made of, if any: what the theory can say of an arm."""

from __future__ import annotations

from typing import cast

from qnn_theory.grammar.expr import ActivationKind
from qnn_theory.grammar.format import Format, with_post_activation
from qnn_theory.registry import HeadLayout, get_format, qnn_alpha
from studies.tasks.spec import RunSpec


def arm_format(spec: RunSpec) -> Format | None:
    """The format of the model's layers, its post-activation included; None for a model that is no stack of one format.

    Raises:
        KeyError: there is no such format.
        ValueError: the settings of QNN-α do not fit each other.
    """
    options = dict(spec.options)
    if options.get("deep"):
        return None
    if "format" in options:
        post = cast("ActivationKind | None", options.get("post_activation"))
        return with_post_activation(get_format(str(options["format"])), post)
    if {"rows", "heads", "head_layout", "mid_activation", "residual"} <= options.keys():
        return qnn_alpha(
            rows=cast(int, options["rows"]),
            heads=cast(int, options["heads"]),
            head_layout=cast(HeadLayout, options["head_layout"]),
            embedding_dim=cast(int, options["embedding_dim"]),
            mid_activation=cast("ActivationKind | None", options["mid_activation"]),
            residual=cast(bool, options["residual"]),
        )
    return None
