"""Start values of named parameters, as in the released runs (li2025qnn-code).

Affine weights are Xavier-normal, their biases zero; a bilinear map keeps torch's default for `nn.Bilinear`; scales start
at their declared value and prelu slopes at 0.25. Each parameter is drawn from a generator of its own, whose seed is a hash
of the layer's seed and the parameter's name: the draw depends neither on the order of parameters nor on how maps are
fused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from qnn_models.runtime.seeds import derive
from qnn_theory.grammar.widths import Parameter


def start_std(role: Literal["affine", "bilinear"], shape: Sequence[int]) -> float:
    """Standard deviation of the entries of a map's weight at its start; its shape may have leading axes."""
    return math.sqrt(2 / (shape[-2] + shape[-1])) if role == "affine" else 1 / math.sqrt(3 * shape[-1])


@torch.no_grad()
def initialize(tensor: Tensor, parameter: Parameter, *, fan_in: int, seed: int) -> None:
    """Fill one parameter in place.

    Args:
        tensor: the parameter, a leading axis of rows included.
        parameter: its declaration.
        fan_in: input width of the map that it belongs to; bilinear weights and biases read it.
        seed: the layer's seed.
    """
    if tensor.is_meta:
        return
    generator = torch.Generator("cpu").manual_seed(derive(seed, parameter.name))
    match parameter.role:
        case "affine":
            drawn = torch.randn(tensor.shape, generator=generator, device="cpu") * start_std("affine", tensor.shape)
        case "bilinear" | "bilinear_bias":
            bound = 1 / math.sqrt(fan_in)
            drawn = (torch.rand(tensor.shape, generator=generator, device="cpu") * 2 - 1) * bound
        case "bias":
            drawn = torch.zeros(tensor.shape)
        case "scale":
            drawn = torch.full(tensor.shape, float(parameter.initial or 0.0))
        case "slope":
            drawn = torch.full(tensor.shape, 0.25)
    tensor.copy_(drawn)
