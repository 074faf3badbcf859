"""EDCN: cross and deep layers that meet after each layer, and gates that share the embeddings out (chen2021enhancing)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from qnn_models.layers.dropout import Dropout
from qnn_models.models.baselines.crossing.dcn import cross
from qnn_models.models.baselines.parts.baseline import Baseline
from qnn_models.models.baselines.parts.options import WithDropout, require
from qnn_models.models.baselines.parts.start import Drawn


class Regulation(nn.Module):
    """Two gates over the fields, ``f · softmax(g / τ) ⊙ v``: what the cross and the deep part get of one vector.

    The gates start even; the factor f, which makes even gates the identity, keeps small embeddings from vanishing.

    **Shape:** ``(batch, fields * dim)`` -> two of the same.

    Parameters: 2 f.
    """

    def __init__(self, fields: int, *, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.gates = nn.Parameter(torch.ones(2, fields))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The two gated copies."""
        gates = functional.softmax(self.gates / self.temperature, dim=1) * self.gates.shape[1]
        fields = x.unflatten(1, (self.gates.shape[1], -1))
        return (fields * gates[0, :, None]).flatten(1), (fields * gates[1, :, None]).flatten(1)


class ParallelLayer(Drawn):
    """One cross layer ``x_0 <w, c> + b + c``, one deep layer ``relu(W h + b)``, and their bridge, the Hadamard product.

    Parameters: 2 d in the cross layer and ``d² + d`` in the deep one.
    """

    def __init__(self, dim: int, *, dropout: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.deep = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def draw(self, generator: torch.Generator) -> None:
        """Xavier-normal for a map from d numbers to one."""
        self.weight.normal_(0, (2 / (len(self.weight) + 1)) ** 0.5, generator=generator)

    def forward(self, x0: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cross output, deep output and bridge."""
        c = cross(x0, c, self.weight, self.bias)
        h = self.dropout(functional.relu(self.deep(h)))
        return c, h, c * h


class EDCN(Baseline):
    """L parallel layers; before each, gates share the bridge (at first the embeddings) out between cross and deep part.

    ``logit = <w, c_L ‖ h_L ‖ bridge_L> + b``.

    Cost: ``layers · (d² + 3 d + 2 f) + 3 d + 1`` parameters beside the table, about ``2 · layers · d²`` operations a row.

    Args:
        layers: number of parallel layers L.
        temperature: τ of the gates.
        dropout: dropout probability after each deep layer.

    Raises:
        ValueError: no layer, or a temperature that is not positive.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(WithDropout):
        layers: int = 3
        temperature: float = 1.0

        def __post_init__(self) -> None:
            require(
                self.layers >= 1 and self.temperature > 0,
                "EDCN has at least 1 layer and a positive temperature",
                layers=self.layers,
                temperature=self.temperature,
            )

    options: Options

    def _make(self, seed: int | None) -> None:
        fields, dim, layers = self.embedding.num_fields, self.embedded_dim, range(self.options.layers)
        self.gates = nn.ModuleList(Regulation(fields, temperature=self.options.temperature) for _ in layers)
        self.layers = nn.ModuleList(ParallelLayer(dim, dropout=self.options.dropout) for _ in layers)
        self.head = nn.Linear(3 * dim, 1)

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)``."""
        x0 = bridge = embedded.flatten(1)
        c = h = x0
        for gates, layer in zip(self.gates, self.layers, strict=True):
            c, h = gates(bridge)
            c, h, bridge = layer(x0, c, h)
        return self.head(torch.cat([c, h, bridge], dim=1)).squeeze(-1)
