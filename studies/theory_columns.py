"""What the theory says of an arm's format, to stand beside what was measured. Computed exactly, when results are collected.

========================================  ============================================================================
``theory_format``                         id of the format, its post-activation included
``theory_dim``                            width d of the layers
``theory_support``                        monomials of one layer at this d (with an activation: where all gates are active)
``theory_degree``                         degree of the whole stack in its input
``theory_support_stack_d8``               monomials of the whole stack at d = 8, where stacks of all formats can be compared
``theory_layer_parameters``               parameters of one layer at this d
========================================  ============================================================================

Where a format has no polynomial piece (a smooth activation such as GELU) the monomial columns are empty.
"""

from __future__ import annotations

from functools import cache

from qnn_theory.cost import D, cost
from qnn_theory.feature_space import feature_space
from qnn_theory.formats import Format
from studies.arm_format import arm_format
from studies.spec import RunSpec

STACK_DIM = 8


def theory_columns(spec: RunSpec) -> dict[str, str | int | float | None]:
    """The columns of a run's arm; empty for a model that is no stack of one format."""
    format = arm_format(spec)
    dim = _width(spec)
    layers = spec.option("layers")
    if format is None or dim is None or not isinstance(layers, int):
        return {}
    return {
        "theory_format": format.id,
        "theory_dim": dim,
        "theory_support": _support(format, dim, 1),
        "theory_degree": _degree(format, layers),
        "theory_support_stack_d8": _support(format, STACK_DIM, layers),
        "theory_layer_parameters": int(cost(format).parameters.subs(D, dim)),
    }


def _width(spec: RunSpec) -> int | None:
    match spec.task:
        case "train":
            from studies.train_task import layer_width

            return layer_width(spec)
        case _:
            hidden = spec.option("hidden")
            return hidden if isinstance(hidden, int) else None


@cache
def _support(format: Format, dim: int, depth: int) -> int | None:
    try:
        return feature_space(format, dim=dim, depth=depth).dimension
    except ValueError:
        return None


@cache
def _degree(format: Format, depth: int) -> int | None:
    try:
        return feature_space(format, dim=STACK_DIM, depth=depth).degree
    except ValueError:
        return None
