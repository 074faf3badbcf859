"""What the theory says of an arm's format, to stand beside what was measured. Computed exactly, when results are collected.

========================================  ============================================================================
``theory_format``                         id of the format, its post-activation included
``theory_dim``                            width d of the layers
``theory_support``                        monomials of one layer at this d (with an activation: where all gates are active)
``theory_degree``                         degree of the whole stack in its input
``theory_support_stack_d8``               monomials of the whole stack at d = 8, where stacks of all formats can be compared;
                                          empty for a degree above 64, whose count takes minutes
``theory_layer_parameters``               parameters of one layer at this d
``theory_effective_d8``                   effective dimension of one layer at d = 8
``theory_redundant_share_d8``             redundant directions of one layer at d = 8, as a share of its parameters
``theory_rank_d8``                        largest rank of the quadratic form in an output of one layer at d = 8
``theory_smoothness``                     class of the whole stack: ``C0``, ``C1``, … or ``analytic``
========================================  ============================================================================

Where a format has no polynomial piece (a smooth activation such as GELU) the columns that count monomials are empty.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias, TypeVar

from qnn_theory.costs import D, cost
from qnn_theory.dimension.effective_dimension import effective_dimension
from qnn_theory.feature_spaces.closed_forms import dimension_formula
from qnn_theory.feature_spaces.degrees import input_degree
from qnn_theory.feature_spaces.feature_space import feature_space
from qnn_theory.feature_spaces.quadratic_form import quadratic_forms
from qnn_theory.grammar.expr import Activation
from qnn_theory.grammar.format import Format
from qnn_theory.smoothness_classes.smoothness import ANALYTIC, smoothness
from studies.tasks.arm_format import arm_format
from studies.tasks.spec import RunSpec
from studies.tasks.task import task_module

STACK_DIM = 8
LARGEST_DEGREE = 64
"""Of a stack whose monomials are counted at `STACK_DIM`: eight quadratic layers have degree 256 and take minutes."""
_DEGREE_DIM = 2
PREDICTORS = (
    "theory_dim",
    "theory_support",
    "theory_degree",
    "theory_support_stack_d8",
    "theory_layer_parameters",
    "theory_effective_d8",
    "theory_redundant_share_d8",
    "theory_rank_d8",
    "theory_smoothness",
)
"""The columns whose values have an order."""

Value: TypeAlias = str | int | float | None
T = TypeVar("T")


def theory_columns(spec: RunSpec) -> dict[str, Value]:
    """The columns of a run's arm; empty for a model that is no stack of one format."""
    format, layers = arm_format(spec), spec.option("layers")
    if format is None or not isinstance(layers, int):
        return {}
    return dict(_columns(format, task_module(spec.task).layer_width(spec), layers))


@cache
def _columns(format: Format, dim: int, layers: int) -> tuple[tuple[str, Value], ...]:
    order = smoothness(format, depth=layers).order
    layer = where_defined(lambda: effective_dimension(format, dim=STACK_DIM))
    forms = where_defined(lambda: quadratic_forms(format, dim=STACK_DIM))
    piece = _active_piece(format)
    support = where_defined(lambda: dimension_formula(piece))
    degree, stack_support = _stack(piece, layers)
    return (
        ("theory_format", format.id),
        ("theory_dim", dim),
        ("theory_support", int(support.subs(D, dim)) if support is not None else None),
        ("theory_degree", degree),
        ("theory_support_stack_d8", stack_support),
        ("theory_layer_parameters", int(cost(format).parameters.subs(D, dim))),
        ("theory_effective_d8", layer.dimension if layer else None),
        ("theory_redundant_share_d8", layer.redundant / layer.parameters if layer else None),
        ("theory_rank_d8", max(forms.ranks) if forms else None),
        ("theory_smoothness", "analytic" if order is ANALYTIC else f"C{order}"),
    )


@cache
def _stack(piece: Format, layers: int) -> tuple[int | None, int | None]:
    """Degree and monomials of a stack; post-activations share their piece's. The degree is the same at every width."""
    degree = where_defined(lambda: input_degree(piece, dim=_DEGREE_DIM, depth=layers))
    if degree is None or degree > LARGEST_DEGREE:
        return degree, None
    return degree, where_defined(lambda: feature_space(piece, dim=STACK_DIM, depth=layers).dimension)


def _active_piece(format: Format) -> Format:
    """The format where its post-activation is open, which is the format without it: counted once for both."""
    match format.expr:
        case Activation(kind="relu" | "relu6" | "prelu", of=inner):
            return Format(format.id.rpartition("+")[0] or format.id, inner)
        case expr:  # without source and note, so that both are one key of the cache
            return Format(format.id, expr)


def where_defined(compute: Callable[[], T]) -> T | None:
    """The result, or None where the theory says that the format has none: it raises ValueError then."""
    try:
        return compute()
    except ValueError:
        return None
