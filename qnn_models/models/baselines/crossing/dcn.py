"""DCN: the cross network beside a deep part, with one vector per layer (wang2017deep) or a full matrix (wang2021dcnv2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qnn_models.layers.stack import QuadraticStack
from qnn_models.models.baselines.parts.baseline import ShallowAndDeep
from qnn_models.models.baselines.parts.options import WithDeep, WithNormedMLP
from qnn_models.models.baselines.parts.start import Drawn
from qnn_models.runtime.seeds import derive_optional


class VectorCross(Drawn):
    """``x_(l+1) = x_0 <w_l, x_l> + b_l + x_l``, l = 1..layers; 2 d parameters a layer.

    **Shape:** ``(batch, dim) -> (batch, dim)``.
    """

    def __init__(self, dim: int, *, layers: int) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"A cross network has at least 1 layer, however: cross_layers={layers}.")
        self.weights = nn.Parameter(torch.empty(layers, dim))
        self.biases = nn.Parameter(torch.zeros(layers, dim))

    def draw(self, generator: torch.Generator) -> None:
        """Xavier-normal for a map from d numbers to one."""
        self.weights.normal_(0, (2 / (self.weights.shape[1] + 1)) ** 0.5, generator=generator)

    def forward(self, x0: Tensor) -> Tensor:
        """Apply all layers."""
        x = x0
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x = cross(x0, x, weight, bias)
        return x


def cross(x0: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """One layer of it: ``x0 <weight, x> + bias + x``."""
    return torch.addcmul(x + bias, x0, (x @ weight).unsqueeze(1))


class DCN(ShallowAndDeep):
    """Cross network beside an MLP: ``logit = <w, x_L> + MLP(x_0)``.

    Cost: ``2 d · cross_layers + d`` parameters beside table and MLP.

    Args:
        cross_layers: number of cross layers.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(WithNormedMLP):
        cross_layers: int = 3

    options: Options

    def _make(self, seed: int | None) -> None:
        self.cross = self._cross_network(seed)
        self.cross_head = nn.Linear(self.embedded_dim, 1, bias=False)
        super()._make(seed)

    def _cross_network(self, seed: int | None) -> nn.Module:
        """The cross network, ``(batch, d) -> (batch, d)``."""
        return VectorCross(self.embedded_dim, layers=self.options.cross_layers)

    def _shallow(self, embedded: Tensor) -> Tensor:
        return self.cross_head(self.cross(embedded.flatten(1))).squeeze(-1)


class DCNv2(DCN):
    """``x_(l+1) = x_0 ⊙ (W_l x_l + b_l) + x_l`` beside an MLP; ``logit = <w, x_L> + deep(x_0)`` (wang2021dcnv2).

    The cross layers are the registry's format CrossNetV2. Without the deep part it is
    ``QuadraticNetwork(layout, "CrossNetV2")``.

    Cost: ``cross_layers · (d² + d) + d`` parameters beside table and deep part, about ``2 · cross_layers · d²`` operations.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(DCN.Options, WithDeep):
        pass

    options: Options

    def _cross_network(self, seed: int | None) -> nn.Module:
        return QuadraticStack(
            "CrossNetV2",
            dim=self.embedded_dim,
            layers=self.options.cross_layers,
            seed=derive_optional(seed, "cross"),
        )
