"""Wide & Deep: a weight per id beside an MLP (cheng2016wide)."""

from __future__ import annotations

from torch import Tensor

from qnn_models.models.baselines.parts import MLP, FirstOrderModel, ShallowAndDeep, start_values
from qnn_models.models.network import Layout


class WideDeep(FirstOrderModel, ShallowAndDeep):
    """``logit = Σ_i w_i + MLP(v_1 ‖ ... ‖ v_f)``; the wide part has no hand-made crosses, which the paper chose for its data.

    Cost: n (e + 1) parameters in the table and those of the MLP, whose bias serves both parts.

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
        self.deep = MLP(
            self.embedded_dim,
            hidden_units=hidden_units,
            hidden_layers=hidden_layers,
            dropout=dropout,
            batch_norm=batch_norm,
        )
        start_values(self, seed)

    def shallow(self, embedded: Tensor) -> Tensor:
        """Sum of the ids' weights."""
        return self.split(embedded)[1]

    def deep_input(self, embedded: Tensor) -> Tensor:
        """All embeddings, without the weights."""
        return self.split(embedded)[0].flatten(1)
