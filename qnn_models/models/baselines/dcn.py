"""DCNv1: the cross network with one vector per layer beside an MLP (wang2017deep)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qnn_models.models.baselines.parts import MLP, Drawn, ShallowAndDeep, start_values
from qnn_models.models.network import Layout


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
        layout: the data set's fields.
        embedding_dim: width e of each embedding.
        cross_layers: number of cross layers.
        hidden_units: width of the hidden layers.
        hidden_layers: their number.
        dropout: dropout probability after each hidden layer.
        batch_norm: BatchNorm before each ReLU.
        seed: seed of the start values.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        embedding_dim: int = 16,
        cross_layers: int = 3,
        hidden_units: int = 400,
        hidden_layers: int = 3,
        dropout: float = 0.1,
        batch_norm: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__(layout, embedding_dim=embedding_dim, seed=seed)
        self.cross = VectorCross(self.embedded_dim, layers=cross_layers)
        self.cross_head = nn.Linear(self.embedded_dim, 1, bias=False)
        self.deep = MLP(
            self.embedded_dim,
            hidden_units=hidden_units,
            hidden_layers=hidden_layers,
            dropout=dropout,
            batch_norm=batch_norm,
        )
        start_values(self, seed)

    def shallow(self, embedded: Tensor) -> Tensor:
        """Logits of the cross network."""
        return self.cross_head(self.cross(embedded.flatten(1))).squeeze(-1)
