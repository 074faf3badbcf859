"""Degrees of a stack's outputs, in its inputs and its parameters, without expanding anything."""

from __future__ import annotations

from collections.abc import Sequence

from qnn_theory.grammar.evaluate import ParameterValues, Scalar, evaluate
from qnn_theory.grammar.expr import PIECEWISE, Activation, Expr
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.stacking import fill_parameters, layer_widths
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import get_format


def input_degree(format: str | Format, *, dim: int, depth: int = 1) -> int:
    """The largest total degree in the inputs that a stack can have, all gates active.

    Raises:
        KeyError: unknown id.
        ValueError: a width or depth the format cannot have.
    """
    return degree_in(get_format(format), dim=dim, depth=depth, input_degree=1, parameter_degree=0)


def total_degree(format: str | Format, *, dim: int, depth: int = 1) -> int:
    """The largest degree of an output in the inputs and the parameters together, all gates active.

    Raises:
        KeyError: unknown id.
        ValueError: a width or depth the format cannot have.
    """
    return degree_in(get_format(format), dim=dim, depth=depth, input_degree=1, parameter_degree=1)


def term_bound(expr: Expr, *, dim: int, parameter_terms: int = 1) -> int:
    """At most how many terms an output has when it is multiplied out in the inputs and the parameters of one layer.

    Args:
        expr: the layer.
        dim: its input width d.
        parameter_terms: how many terms stand for one parameter.
    """
    outputs = evaluate(
        expr,
        [_Terms(1)] * dim,
        fill_parameters(expr, dim=dim, entry=lambda name, index: _Terms(parameter_terms)),
        activation=lambda node, value, values: value,
        constant=lambda number: _Terms(1),
    )
    counts: list[int] = [output.count for output in outputs]
    return max(counts)


def degree_in(format: Format, *, dim: int, depth: int, input_degree: int, parameter_degree: int) -> int:
    """The largest degree of an output where an input and a parameter count with the given degrees."""
    widths = layer_widths(format, dim=dim, depth=depth)
    first = [_MaxPlus(input_degree)] * dim
    values: Sequence[_MaxPlus] = first
    for layer in range(depth):
        weights = fill_parameters(format.expr, dim=widths[layer], entry=lambda name, index: _MaxPlus(parameter_degree))
        values = evaluate(
            format.expr, values, weights, x0=first, activation=identity_on_pieces, constant=lambda factor: _MaxPlus(0)
        )
    return max(value.degree for value in values)


def degree_bound(expr: Expr, *, depth: int) -> int:
    """The largest degree that a stack of layers can have, all gates active: exact where nothing cancels, and at any depth."""
    step = divisor(expr)
    degree = 1
    for _ in range(depth):
        outputs = evaluate(
            expr,
            [_MaxPlus(degree)] * step,
            fill_parameters(expr, dim=step, entry=lambda name, index: _MaxPlus(0)),
            x0=[_MaxPlus(1)] * step,
            activation=lambda node, value, values: value,
            constant=lambda number: _MaxPlus(0),
        )
        degree = max(output.degree for output in outputs)
    return degree


def identity_on_pieces(node: Activation, value: Scalar, parameters: ParameterValues) -> Scalar:
    """The activation rule where every gate is active.

    Raises:
        ValueError: a smooth activation, which has no piece.
    """
    if node.kind not in PIECEWISE:
        raise ValueError(
            f"Only piecewise polynomial activations ({', '.join(PIECEWISE)}) can be expanded, however: {node.kind}, which is a "
            f"polynomial on no region; use with_mid_activation or drop the activation."
        )
    return value


class _Terms:
    """A number of terms as a scalar."""

    __slots__ = ("count",)

    def __init__(self, count: int) -> None:
        self.count = count

    def __add__(self, other: _Terms) -> _Terms:
        return _Terms(self.count + other.count)

    def __mul__(self, other: _Terms) -> _Terms:
        return _Terms(self.count * other.count)


class _MaxPlus:
    """A degree as a scalar: the degree of a sum is the larger one, that of a product the sum."""

    __slots__ = ("degree",)

    def __init__(self, degree: int) -> None:
        self.degree = degree

    def __add__(self, other: _MaxPlus) -> _MaxPlus:
        return self if self.degree >= other.degree else other

    def __mul__(self, other: _MaxPlus) -> _MaxPlus:
        return _MaxPlus(self.degree + other.degree)
