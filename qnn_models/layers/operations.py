"""Operations of the lowered code that torch has no one name for, and what gives a module any leading dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn_theory.grammar.expr import ActivationKind

__all__ = ["ACTIVATIONS", "affine_by_row", "as_rows", "item"]

ACTIVATIONS: dict[ActivationKind, Callable[..., Any]] = {
    "relu": torch.relu,
    "relu6": F.relu6,
    "prelu": F.prelu,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


def as_rows(function: Callable[..., Any], *inputs: Tensor) -> Any:
    """Call a function of rows, ``(batch, width)``, with inputs of any leading dimensions, which its results get back.

    Args:
        function: to a tensor of shape ``(batch, ...)`` or a tuple of such.
        inputs: of equal leading dimensions; one without any is one row.

    Raises:
        ValueError: an input is a single number.
    """
    if not inputs[0].dim():
        raise ValueError("Rows have a width, however: the input is a single number; give it a dimension.")
    leading = inputs[0].shape[:-1]
    results = function(*(x.flatten(0, -2) if x.dim() > 1 else x.unsqueeze(0) for x in inputs))
    if isinstance(results, tuple):
        return tuple(result.reshape((*leading, *result.shape[1:])) for result in results)
    return results.reshape((*leading, *results.shape[1:]))


def item(parts: tuple[Tensor, ...], index: int) -> Tensor:
    """One of several results."""
    return parts[index]


def affine_by_row(v: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(batch, rows, in) and (rows, out, in) -> (batch, rows, out)."""
    out = torch.einsum("bmi,moi->bmo", v, weight)
    return out if bias is None else out + bias
