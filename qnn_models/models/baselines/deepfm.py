"""DeepFM: a factorization machine beside a deep part that reads the same embeddings (guo2017deepfm)."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from qnn_models.models.baselines.factorization_machine import pair_sum
from qnn_models.models.baselines.parts import Deep, DeepKind, FirstOrderModel, ShallowAndDeep, start_values
from qnn_models.models.network import Layout


class DeepFM(FirstOrderModel, ShallowAndDeep):
    """``logit = Σ_i w_i + Σ_{i<j} <v_i, v_j> + deep(v_1 ‖ ... ‖ v_f)``.

    Cost: n (e + 1) parameters in the table and those of the deep part, whose bias serves both.

    Args:
        layout: the data set's fields.
        embedding_dim: width e of each embedding.
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
        part = Deep(
            kind=deep,
            hidden_units=hidden_units,
            hidden_layers=hidden_layers,
            qnn_layers=qnn_layers,
            rows=rows,
            dropout=dropout,
            batch_norm=batch_norm,
        )
        self.deep = cast(
            nn.Module, part.build(num_fields=self.embedding.num_fields, embedding_dim=embedding_dim, seed=seed)
        )
        start_values(self, seed)

    def shallow(self, embedded: Tensor) -> Tensor:
        """Logits of the factorization machine, without its bias."""
        vectors, first_order = self.split(embedded)
        return first_order + pair_sum(vectors)

    def deep_input(self, embedded: Tensor) -> Tensor:
        """All embeddings, without the weights."""
        return self.split(embedded)[0].flatten(1)
