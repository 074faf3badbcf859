"""Stacks: layer l reads the output of layer l - 1, ``x0`` is the input of the stack, each layer has its own parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qnn_theory.grammar.expr import Expr, FirstInput, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.widths import check_dim, parameters, width

DEPTH_LIMIT = 1000
"""The largest number of layers that anything is computed for."""


def layer_widths(format: Format, *, dim: int, depth: int) -> tuple[int, ...]:
    """The widths along a stack: entry 0 is d, entry l the output width of layer l (T18-paper doubles it in every layer).

    Args:
        format: the format of every layer.
        dim: the input width d of the first layer.
        depth: the number of layers, at least 1.

    Raises:
        ValueError: depth is not a positive integer up to `DEPTH_LIMIT`, a layer cannot have its width, or the format adds the
            first input of the stack to outputs of another width.
    """
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise ValueError(f"The depth is a positive integer, however: depth={depth!r}.")
    if depth > DEPTH_LIMIT:
        raise ValueError(f"A stack has at most {DEPTH_LIMIT} layers, however: depth={depth}; use fewer layers.")
    widths = [dim]
    for _ in range(depth):
        check_dim(format.expr, widths[-1], label=format.id)
        widths.append(int(width(format.expr) * widths[-1]))
    if depth > 1 and widths[1] != dim and any(isinstance(node, FirstInput) for node in walk(format.expr)):
        raise ValueError(
            f"{format.id} reads the first input in every layer, so its layers must keep the width of {dim}, however: "
            f"a layer's output has width {widths[1]}; use depth=1."
        )
    return tuple(widths)


def parameter_count(expr: Expr, widths: Sequence[int]) -> int:
    """The number of parameter entries of a stack of the given widths, as `layer_widths` gives them; counted, never listed."""
    own = parameters(expr)
    return sum(math.prod(parameter.shape(dim)) for dim in widths[:-1] for parameter in own)


def fill_parameters(expr: Expr, *, dim: int, entry: Callable[[str, tuple[int, ...]], Any]) -> dict[str, Any]:
    """A value for every parameter of a layer, as the nested lists that `evaluate` reads.

    Args:
        expr: the layer.
        dim: its input width.
        entry: called with the parameter's name and the index of one entry (from 0; the row of a `RowSum` comes first).
    """

    def nested(name: str, shape: tuple[int, ...], index: tuple[int, ...]) -> Any:
        if not shape:
            return entry(name, index)
        return [nested(name, shape[1:], (*index, i)) for i in range(shape[0])]

    return {parameter.name: nested(parameter.name, parameter.shape(dim), ()) for parameter in parameters(expr)}


def mapped_values(value: Any, change: Callable[[Any], Any]) -> Any:
    """Parameter values, or a part of them, with each number changed; nested lists stay nested lists."""
    if isinstance(value, Mapping):
        return {name: mapped_values(part, change) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [mapped_values(part, change) for part in value]
    return change(value)
