"""QNN-α beside an MLP on the same embeddings (li2025qnn, the compatibility study)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from qnn_models.models.baselines.parts.baseline import Branched
from qnn_models.models.baselines.parts.mlp import Branch
from qnn_models.models.baselines.parts.options import WithMLP
from qnn_models.models.qnn_alpha import QNNAlpha
from qnn_models.runtime.seeds import derive_optional


class QNNAlphaMLP(Branched):
    """``logit = QNN-α(v) + MLP(v)``.

    Cost: the parameters of table, `QNNAlpha` and `MLP`.

    Args:
        layers: layers of QNN-α.
        rows: its rows M.
        batch_norm: BatchNorm on QNN-α's gates.
        dropout: dropout probability in both.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(WithMLP):
        layers: int = 2
        rows: int = 4
        batch_norm: bool = True

    options: Options

    def _make(self, seed: int | None) -> None:
        options = self.options
        self.core = QNNAlpha(
            num_fields=self.embedding.num_fields,
            embedding_dim=options.embedding_dim,
            layers=options.layers,
            rows=options.rows,
            dropout=options.dropout,
            batch_norm=options.batch_norm,
            seed=derive_optional(seed, "core"),
        )
        self.mlp = options.mlp(self.embedded_dim)

    def _branches(self, embedded: Tensor) -> Sequence[tuple[Branch, Tensor]]:
        x = embedded.flatten(1)
        return [(self.core, x), (self.mlp, x)]
