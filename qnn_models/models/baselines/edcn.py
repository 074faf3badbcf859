"""EDCN: cross and deep layers that meet after each layer, and gates that share the embeddings out (chen2021enhancing)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from qnn_models.layers.dropout import Dropout
from qnn_models.models.baselines.dcn import cross
from qnn_models.models.baselines.parts import Drawn, start_values
from qnn_models.models.network import CTRModel, Layout


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


class EDCN(CTRModel):
    """L parallel layers; before each, gates share the bridge (at first the embeddings) out between cross and deep part.

    ``logit = <w, c_L ‖ h_L ‖ bridge_L> + b``.

    Cost: ``layers · (d² + 3 d + 2 f) + 3 d + 1`` parameters beside the table, about ``2 · layers · d²`` operations a row.

    Args:
        layout: the data set's fields.
        embedding_dim: width e of each embedding.
        layers: number of parallel layers L.
        temperature: τ of the gates.
        dropout: dropout probability after each deep layer.
        seed: seed of the start values.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        embedding_dim: int = 16,
        layers: int = 3,
        temperature: float = 1.0,
        dropout: float = 0.1,
        seed: int | None = None,
    ) -> None:
        super().__init__(layout, embedding_dim=embedding_dim, seed=seed)
        if layers < 1 or not temperature > 0:
            raise ValueError(
                f"EDCN has at least 1 layer and a positive temperature, however: layers={layers}, temperature={temperature}."
            )
        fields = self.embedding.num_fields
        self.gates = nn.ModuleList(Regulation(fields, temperature=temperature) for _ in range(layers))
        self.layers = nn.ModuleList(ParallelLayer(self.embedded_dim, dropout=dropout) for _ in range(layers))
        self.head = nn.Linear(3 * self.embedded_dim, 1)
        start_values(self, seed)

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)``."""
        x0 = bridge = embedded.flatten(1)
        c = h = x0
        for gates, layer in zip(self.gates, self.layers, strict=True):
            c, h = gates(bridge)
            c, h, bridge = layer(x0, c, h)
        return self.head(torch.cat([c, h, bridge], dim=1)).squeeze(-1)
