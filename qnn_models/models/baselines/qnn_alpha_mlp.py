"""QNN-α beside an MLP on the same embeddings (li2025qnn, the compatibility study)."""

from __future__ import annotations

from torch import Tensor

from qnn_models.models.baselines.parts import MLP, start_values
from qnn_models.models.network import CTRModel, Layout
from qnn_models.models.qnn_alpha import QNNAlpha
from qnn_models.runtime.seeds import derive


class QNNAlphaMLP(CTRModel):
    """``logit = QNN-α(v) + MLP(v)``.

    Cost: the parameters of table, `QNNAlpha` and `MLP`.

    Args:
        layout: the data set's fields.
        embedding_dim: width e of each embedding.
        layers: layers of QNN-α.
        rows: its rows M.
        hidden_units: width of the MLP's layers.
        hidden_layers: their number.
        dropout: dropout probability in both.
        batch_norm: BatchNorm on QNN-α's gates.
        seed: seed of the start values.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        embedding_dim: int = 16,
        layers: int = 2,
        rows: int = 4,
        hidden_units: int = 400,
        hidden_layers: int = 3,
        dropout: float = 0.1,
        batch_norm: bool = True,
        seed: int | None = None,
    ) -> None:
        super().__init__(layout, embedding_dim=embedding_dim, seed=seed)
        self.core = QNNAlpha(
            num_fields=self.embedding.num_fields,
            embedding_dim=embedding_dim,
            layers=layers,
            rows=rows,
            dropout=dropout,
            batch_norm=batch_norm,
            seed=None if seed is None else derive(seed, "core"),
        )
        self.mlp = MLP(self.embedded_dim, hidden_units=hidden_units, hidden_layers=hidden_layers, dropout=dropout)
        start_values(self, seed)

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)``."""
        x = embedded.flatten(1)
        return (self.core(x) + self.mlp(x)).squeeze(-1)

    def score_pair(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of two stochastic passes."""
        x = embedded.flatten(1)
        pairs = zip(self.core.forward_pair(x), self.mlp.forward_pair(x), strict=True)
        first, second = ((core + mlp).squeeze(-1) for core, mlp in pairs)
        return first, second
