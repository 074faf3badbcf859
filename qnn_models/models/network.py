"""From ids to logits: the base class of every model, the quadratic network and QNN-α."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from qnn_models.layers.embedding import EMBEDDING_STD, FieldEmbedding, Layout
from qnn_models.layers.operations import as_rows
from qnn_models.layers.stack import QuadraticStack
from qnn_models.layers.unit_gain import OPERATING_STD, Init
from qnn_models.models.qnn_alpha import QNNAlpha, linear_head, xavier_linear
from qnn_models.runtime.seeds import derive_optional
from qnn_theory.grammar.expr import ActivationKind
from qnn_theory.grammar.format import Format
from qnn_theory.registry import HeadLayout


class CTRModel(nn.Module, ABC):
    """A click-through-rate model: embedded fields, then `score`.

    **Shape:** ids ``(*, columns)`` -> logits ``(*,)``.

    Args:
        layout: the data set's fields.
        embedding_dim: width e of each embedding.
        embedding_std: standard deviation of the embeddings' start values.
        seed: seed of all start values; drawn from torch's global generator when left out.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        embedding_dim: int = 16,
        embedding_std: float = EMBEDDING_STD,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(
            layout, dim=embedding_dim, std=embedding_std, seed=derive_optional(seed, "embedding")
        )

    @property
    def embedded_dim(self) -> int:
        """Width d = f · e of all embedded fields together."""
        return self.embedding.num_fields * self.embedding.dim

    def embed(self, ids: Tensor) -> Tensor:
        """``(*, columns) -> (*, fields, embedding_dim)``."""
        return self.embedding(ids)

    @abstractmethod
    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)`` from embedded fields ``(batch, fields, embedding_dim)``."""

    def score_pair(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of two stochastic passes; a model that can share work between them overrides this."""
        return self.score(embedded), self.score(embedded)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits ``(*,)`` of ids ``(*, columns)``."""
        return self.score(self.embed(ids)) if ids.dim() == 2 else as_rows(self.forward, ids)

    def forward_pair(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of two stochastic passes over one batch; the embedding is looked up once."""
        return self.score_pair(self.embed(ids)) if ids.dim() == 2 else as_rows(self.forward_pair, ids)

    def regularisation(self, ids: Tensor) -> Tensor | None:
        """What training adds to the mean loss of these rows: a number, or None for a model that has no term of its own.

        The term of a batch must be the mean over its rows, or not depend on them, so that the terms of its chunks, and of its
        shares among processes, add up to it when they are weighted by their rows. For no rows it is finite, and its gradient
        reaches the same parameters.
        """


class QuadraticNetwork(CTRModel):
    """Embedding → L layers of one format → ``Linear(d, 1)``: the network of the paper's format study (table 1).

    Args:
        layout: the data set's fields.
        format: id of a registered format, or a `Format`.
        layers: number of layers L.
        embedding_dim: width e of each embedding.
        post_activation: activation after each layer, or None.
        dropout: dropout probability after each layer.
        gate_dropout: dropout probability after each mid-activation.
        gate_norm: BatchNorm before each mid-activation.
        post_norm: BatchNorm before each post-activation.
        projection: width of a bias-free linear map before the layers, or None; the released study runs T1, T2 and T6
            behind ``Linear(d, 100)``.
        init: start values of the layers' maps, ``paper`` or ``unit-gain``, as in `QuadraticStack`.
        operating_std: standard deviation of the embeddings that ``unit-gain`` is for.
        embedding_std: that of the embeddings' start values.
        seed: seed of all start values.

    Raises:
        KeyError: unknown format.
        ValueError: the format cannot have this width.
    """

    def __init__(
        self,
        layout: Layout,
        format: str | Format = "T9",
        *,
        layers: int = 3,
        embedding_dim: int = 16,
        post_activation: ActivationKind | None = None,
        dropout: float = 0.1,
        gate_dropout: float = 0.0,
        gate_norm: bool = False,
        post_norm: bool = False,
        projection: int | None = None,
        init: Init = "paper",
        operating_std: float = OPERATING_STD,
        embedding_std: float = EMBEDDING_STD,
        seed: int | None = None,
    ) -> None:
        super().__init__(layout, embedding_dim=embedding_dim, embedding_std=embedding_std, seed=seed)
        dim = self.embedded_dim
        self.projection: nn.Module = nn.Identity()
        if projection is not None:
            self.projection = xavier_linear(dim, projection, bias=False, seed=derive_optional(seed, "projection"))
            operating_std *= math.sqrt(2 * dim / (dim + projection))
            dim = projection
        self.stack = QuadraticStack(
            format,
            dim=dim,
            layers=layers,
            post_activation=post_activation,
            dropout=dropout,
            gate_dropout=gate_dropout,
            gate_norm=gate_norm,
            post_norm=post_norm,
            init=init,
            operating_std=operating_std,
            seed=derive_optional(seed, "stack"),
        )
        self.head = linear_head(self.stack.out_dim, seed=derive_optional(seed, "head"))

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)``."""
        return self.head(self.stack(self.projection(embedded.flatten(1)))).squeeze(-1)

    def score_pair(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of two stochastic passes that share the first layer up to its first dropout."""
        first, second = self.stack.forward_pair(self.projection(embedded.flatten(1)))
        return self.head(first).squeeze(-1), self.head(second).squeeze(-1)


class QNNAlphaNetwork(CTRModel):
    """Embedding → `QNNAlpha`. Arguments as there; defaults are those of the paper's ML-1M and Frappe runs."""

    def __init__(
        self,
        layout: Layout,
        *,
        embedding_dim: int = 16,
        layers: int = 2,
        rows: int = 4,
        heads: int = 1,
        dropout: float = 0.1,
        batch_norm: bool = True,
        head_layout: HeadLayout = "aligned",
        mid_activation: ActivationKind | None = "relu",
        residual: bool = True,
        init: Init = "paper",
        operating_std: float = OPERATING_STD,
        embedding_std: float = EMBEDDING_STD,
        seed: int | None = None,
    ) -> None:
        super().__init__(layout, embedding_dim=embedding_dim, embedding_std=embedding_std, seed=seed)
        self.core = QNNAlpha(
            num_fields=self.embedding.num_fields,
            embedding_dim=embedding_dim,
            layers=layers,
            rows=rows,
            heads=heads,
            dropout=dropout,
            batch_norm=batch_norm,
            head_layout=head_layout,
            mid_activation=mid_activation,
            residual=residual,
            init=init,
            operating_std=operating_std,
            seed=derive_optional(seed, "core"),
        )

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)``."""
        return self.core(embedded.flatten(1)).squeeze(-1)

    def score_pair(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of two stochastic passes."""
        first, second = self.core.forward_pair(embedded.flatten(1))
        return first.squeeze(-1), second.squeeze(-1)


def count_parameters(model: nn.Module) -> Mapping[str, int]:
    """Learned numbers: in all, in embedding tables, and in the rest."""
    total = sum(parameter.numel() for parameter in model.parameters())
    tables = sum(m.weight.numel() for m in model.modules() if isinstance(m, FieldEmbedding))
    return {"total": total, "embedding": tables, "network": total - tables}
