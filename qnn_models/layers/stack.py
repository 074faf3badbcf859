"""A stack of quadratic layers of one format, each followed by dropout."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from qnn_models.layers.layer import QuadraticLayer
from qnn_models.layers.unit_gain import OPERATING_STD, Init, check_init, unit_gain_scale
from qnn_models.runtime.seeds import derive_optional
from qnn_theory.grammar.expr import ActivationKind
from qnn_theory.grammar.format import Format, with_post_activation
from qnn_theory.registry import get_format


class QuadraticStack(nn.Module):
    """``layers`` quadratic layers; layer l reads the output of layer l - 1, and the stack's input where its format does.

    **Shape:** ``(*, dim) -> (*, out_dim)``.

    Args:
        format: id of a registered format, or a `Format`.
        dim: input width d.
        layers: number of layers L, at least 1.
        post_activation: activation after each layer, or None.
        dropout: dropout probability after each layer.
        gate_dropout: dropout probability after each mid-activation.
        gate_norm: BatchNorm before each mid-activation.
        post_norm: BatchNorm before each post-activation.
        init: start values of the maps: ``paper``, or ``unit-gain``, at which the gain of all layers together is 1
            (`qnn_models.layers.unit_gain`).
        operating_std: standard deviation of the inputs at which it is 1.
        seed: seed of the start values; layer l uses a hash of it and l.

    Raises:
        KeyError: unknown format.
        ValueError: the format cannot have this width, or no gain of 1, or there is no layer.
    """

    def __init__(
        self,
        format: str | Format,
        *,
        dim: int,
        layers: int,
        post_activation: ActivationKind | None = None,
        dropout: float = 0.0,
        gate_dropout: float = 0.0,
        gate_norm: bool = False,
        post_norm: bool = False,
        init: Init = "paper",
        operating_std: float = OPERATING_STD,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"A stack has at least 1 layer, however: layers={layers}.")
        check_init(init, norms=gate_norm or post_norm)
        scale = 1.0
        if init == "unit-gain":
            whole = with_post_activation(get_format(format), post_activation)
            scale = unit_gain_scale(whole, dim=dim, layers=layers, operating_std=operating_std)
        self.layers = nn.ModuleList()
        width = dim
        for index in range(layers):
            layer = QuadraticLayer(
                format,
                dim=width,
                post_activation=post_activation,
                gate_norm=gate_norm,
                gate_dropout=gate_dropout,
                post_norm=post_norm,
                dropout=dropout,
                map_scale=scale,
                seed=derive_optional(seed, "layer", index),
            )
            self.layers.append(layer)
            width = layer.out_dim
        self.dim, self.out_dim = dim, width

    def forward(self, x: Tensor) -> Tensor:
        """Apply all layers; ``(*, dim) -> (*, out_dim)``."""
        y = x
        for layer in self.layers:
            y = layer(y, x)
        return y

    def forward_pair(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Two stochastic passes; what the first dropout does not reach is computed once."""
        head, *rest = self.layers
        first, second = cast(QuadraticLayer, head).forward_pair(x, x)
        for layer in rest:
            first, second = layer(first, x), layer(second, x)
        return first, second
