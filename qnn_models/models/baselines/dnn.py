"""DNN: an MLP on the concatenated embeddings (covington2016deep)."""

from __future__ import annotations

from torch import Tensor

from qnn_models.models.baselines.parts import MLP, start_values
from qnn_models.models.network import CTRModel, Layout


class DNN(CTRModel):
    """``logit = MLP(v_1 ‖ ... ‖ v_f)``.

    Cost: n e parameters in the table and those of `MLP` on width f e; a row takes about twice the latter in operations.

    Args:
        layout: the data set's fields.
        embedding_dim: width e of each embedding.
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
        hidden_units: int = 400,
        hidden_layers: int = 3,
        dropout: float = 0.1,
        batch_norm: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__(layout, embedding_dim=embedding_dim, seed=seed)
        self.mlp = MLP(
            self.embedded_dim,
            hidden_units=hidden_units,
            hidden_layers=hidden_layers,
            dropout=dropout,
            batch_norm=batch_norm,
        )
        start_values(self, seed)

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)``."""
        return self.mlp(embedded.flatten(1)).squeeze(-1)

    def score_pair(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of two stochastic passes."""
        first, second = self.mlp.forward_pair(embedded.flatten(1))
        return first.squeeze(-1), second.squeeze(-1)
