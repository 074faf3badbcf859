"""DCNv2: the cross network with full matrices beside a deep part (wang2021dcnv2)."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from qnn_models.layers.stack import QuadraticStack
from qnn_models.models.baselines.parts import Deep, DeepKind, ShallowAndDeep, start_values
from qnn_models.models.network import Layout
from qnn_models.runtime.seeds import derive


class DCNv2(ShallowAndDeep):
    """``x_(l+1) = x_0 ⊙ (W_l x_l + b_l) + x_l`` beside an MLP; ``logit = <w, x_L> + deep(x_0)``.

    The cross layers are the registry's format CrossNetV2. Without the deep part it is
    ``QuadraticNetwork(layout, "CrossNetV2")``.

    Cost: ``cross_layers · (d² + d) + d`` parameters beside table and deep part, about ``2 · cross_layers · d²`` operations.

    Args:
        layout: the data set's fields.
        embedding_dim: width e of each embedding.
        cross_layers: number of cross layers.
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
        cross_layers: int = 3,
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
        self.cross = QuadraticStack(
            "CrossNetV2",
            dim=self.embedded_dim,
            layers=cross_layers,
            seed=None if seed is None else derive(seed, "cross"),
        )
        self.cross_head = nn.Linear(self.embedded_dim, 1, bias=False)
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
        """Logits of the cross network."""
        return self.cross_head(self.cross(embedded.flatten(1))).squeeze(-1)
