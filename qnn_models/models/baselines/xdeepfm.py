"""xDeepFM: the compressed interaction network beside first-order weights and a deep part (lian2018xdeepfm)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from qnn_models.models.baselines.parts import Deep, DeepKind, FirstOrderModel, ShallowAndDeep, start_values
from qnn_models.models.network import Layout


class CompressedInteractions(nn.Module):
    """CIN: ``X_k[h] = Σ_{i,j} W_k[h, i, j] · X_(k-1)[i] ⊙ X_0[j]``; every map is summed over the embedding.

    The activation is the identity, which the paper found best.

    **Shape:** ``(batch, fields, dim) -> (batch, layers * maps)``.

    Parameters: ``maps · f · f`` in the first layer, ``maps · maps · f`` in each other.

    Args:
        fields: number of fields f.
        maps: feature maps of each layer.
        layers: number of layers.
    """

    def __init__(self, fields: int, *, maps: int, layers: int) -> None:
        super().__init__()
        if maps < 1 or layers < 1:
            raise ValueError(f"A CIN has at least 1 map and 1 layer, however: cin_maps={maps}, cin_layers={layers}.")
        widths = [fields] + [maps] * (layers - 1)
        self.layers = nn.ModuleList(nn.Linear(width * fields, maps, bias=False) for width in widths)

    def forward(self, embedded: Tensor) -> Tensor:
        """Sums of all feature maps."""
        x0 = embedded.transpose(1, 2)  # the embedding's coordinates never mix, so they are part of the batch
        x, pooled = x0, []
        for layer in self.layers:
            x = layer((x.unsqueeze(-1) * x0.unsqueeze(-2)).flatten(2))
            pooled.append(x.sum(1))
        return torch.cat(pooled, dim=1)


class XDeepFM(FirstOrderModel, ShallowAndDeep):
    """``logit = Σ_i w_i + <w, CIN(v)> + deep(v_1 ‖ ... ‖ v_f)``.

    Cost: n (e + 1) parameters in the table, ``cin_maps · f · (f + (cin_layers - 1) cin_maps)`` in the CIN,
    ``cin_layers · cin_maps`` in its head, and the deep part's. The CIN takes e times its parameters in multiplications.

    Args:
        layout: the data set's fields.
        embedding_dim: width e of each embedding.
        cin_maps: feature maps of each layer of the CIN.
        cin_layers: layers of the CIN.
        deep: the deep part: ``mlp``, or ``qnn-alpha`` in its place (li2025qnn, table 5).
        hidden_units: width of the MLP's layers.
        hidden_layers: their number.
        qnn_layers: layers of QNN-α.
        rows: its rows M.
        dropout: dropout probability in the deep part.
        batch_norm: BatchNorm in the deep part.
        seed: seed of the start values.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        embedding_dim: int = 16,
        cin_maps: int = 16,
        cin_layers: int = 3,
        deep: DeepKind = "mlp",
        hidden_units: int = 400,
        hidden_layers: int = 3,
        qnn_layers: int = 2,
        rows: int = 4,
        dropout: float = 0.1,
        batch_norm: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__(layout, embedding_dim=embedding_dim, seed=seed)
        fields = self.embedding.num_fields
        self.cin = CompressedInteractions(fields, maps=cin_maps, layers=cin_layers)
        self.cin_head = nn.Linear(cin_layers * cin_maps, 1, bias=False)
        part = Deep(
            kind=deep,
            hidden_units=hidden_units,
            hidden_layers=hidden_layers,
            qnn_layers=qnn_layers,
            rows=rows,
            dropout=dropout,
            batch_norm=batch_norm,
        )
        self.deep = cast(nn.Module, part.build(num_fields=fields, embedding_dim=embedding_dim, seed=seed))
        start_values(self, seed)

    def shallow(self, embedded: Tensor) -> Tensor:
        """Logits of first order and of the compressed interactions."""
        vectors, first_order = self.split(embedded)
        return first_order + self.cin_head(self.cin(vectors)).squeeze(-1)

    def deep_input(self, embedded: Tensor) -> Tensor:
        """All embeddings, without the weights."""
        return self.split(embedded)[0].flatten(1)
