"""AFN: interactions of learned, real order by logarithmic neurons (cheng2020adaptive); with an MLP beside it, AFN+."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qnn_models.models.baselines.parts import MLP, start_values
from qnn_models.models.network import CTRModel, Layout

_SMALLEST = 1e-7


class AFN(CTRModel):
    """AFN+: ``logit = a · MLP(y) + c · MLP'(v') + b`` with neurons ``y_j = exp(Σ_i w_ij ln max(|v_i|, 1e-7))``, by coordinate.

    BatchNorm follows the logarithm (by field) and the exponential (by neuron), as in the paper. The plain MLP' has
    embeddings of its own, since those of AFN are driven away from zero; both stand in one table of width 2 e.

    Cost: 2 n e parameters in the table, ``(f + 1) · neurons`` in the logarithmic layer, ``2 f + 2 · neurons`` in its
    BatchNorms, the MLP on width ``neurons · e``, the plain one on ``f e``, and 3.

    Args:
        layout: the data set's fields.
        embedding_dim: width e of each embedding.
        neurons: number of logarithmic neurons.
        hidden_units: width of the hidden layers of both MLPs.
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
        neurons: int = 64,
        hidden_units: int = 400,
        hidden_layers: int = 3,
        dropout: float = 0.1,
        batch_norm: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__(layout, embedding_dim=2 * embedding_dim, seed=seed)
        if neurons < 1:
            raise ValueError(f"AFN has at least 1 logarithmic neuron, however: neurons={neurons}.")
        self.embedding_dim = embedding_dim
        fields = self.embedding.num_fields
        self.log_norm = nn.BatchNorm1d(fields)
        self.orders = nn.Linear(fields, neurons)
        self.exp_norm = nn.BatchNorm1d(neurons)
        self.mlp, self.plain = (
            MLP(
                width * embedding_dim,
                hidden_units=hidden_units,
                hidden_layers=hidden_layers,
                dropout=dropout,
                batch_norm=batch_norm,
            )
            for width in (neurons, fields)
        )
        self.ensemble = nn.Parameter(torch.tensor([0.5, 0.5]))
        self.bias = nn.Parameter(torch.zeros(()))
        start_values(self, seed)

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)``."""
        vectors, plain = embedded.split(self.embedding_dim, dim=-1)
        interactions, plain = self._interactions(vectors).flatten(1), plain.flatten(1)
        return self._ensemble(self.mlp(interactions), self.plain(plain))

    def score_pair(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of two stochastic passes, which share the logarithmic neurons."""
        vectors, plain = embedded.split(self.embedding_dim, dim=-1)
        pair = zip(
            self.mlp.forward_pair(self._interactions(vectors).flatten(1)),
            self.plain.forward_pair(plain.flatten(1)),
            strict=True,
        )
        first, second = (self._ensemble(*logits) for logits in pair)
        return first, second

    def _interactions(self, vectors: Tensor) -> Tensor:
        """``(batch, fields, e) -> (batch, neurons, e)``."""
        logarithms = self.log_norm(vectors.abs().clamp(min=_SMALLEST).log())
        return self.exp_norm(self.orders(logarithms.transpose(1, 2)).exp().transpose(1, 2))

    def _ensemble(self, first: Tensor, second: Tensor) -> Tensor:
        return torch.cat([first, second], dim=1) @ self.ensemble + self.bias
