"""PNN: an MLP that also reads the inner products of all pairs of fields (qu2016product)."""

from __future__ import annotations

import torch
from torch import Tensor

from qnn_models.models.baselines.parts import MLP, start_values
from qnn_models.models.network import CTRModel, Layout


class PNN(CTRModel):
    """IPNN: ``logit = MLP(v_1 ‖ ... ‖ v_f ‖ (<v_i, v_j>)_{i<j})``.

    The paper's product layer with its matrices for the linear and the quadratic signal is the MLP's first linear map.

    Cost: n e parameters in the table and those of the MLP on width ``f e + f (f - 1) / 2``; the products take ``f² e``
    multiplications a row.

    Args:
        layout: the data set's fields.
        embedding_dim: width e of each embedding.
        hidden_units: width of the hidden layers.
        hidden_layers: their number.
        dropout: dropout probability after each hidden layer.
        batch_norm: BatchNorm before each ReLU.
        seed: seed of the start values.
    """

    pairs: Tensor

    def __init__(
        self,
        layout: Layout,
        *,
        embedding_dim: int = 16,
        hidden_units: int = 400,
        hidden_layers: int = 3,
        dropout: float = 0.1,
        batch_norm: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__(layout, embedding_dim=embedding_dim, seed=seed)
        fields = self.embedding.num_fields
        row, column = torch.triu_indices(fields, fields, offset=1)
        self.register_buffer("pairs", row * fields + column, persistent=False)
        self.mlp = MLP(
            self.embedded_dim + fields * (fields - 1) // 2,
            hidden_units=hidden_units,
            hidden_layers=hidden_layers,
            dropout=dropout,
            batch_norm=batch_norm,
        )
        start_values(self, seed)

    def _signals(self, embedded: Tensor) -> Tensor:
        products = (embedded @ embedded.transpose(1, 2)).flatten(1)
        return torch.cat([embedded.flatten(1), products[:, self.pairs]], dim=1)

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)``."""
        return self.mlp(self._signals(embedded)).squeeze(-1)

    def score_pair(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of two stochastic passes."""
        first, second = self.mlp.forward_pair(self._signals(embedded))
        return first.squeeze(-1), second.squeeze(-1)
