"""FM: factorization machine, every pair of fields by the inner product of its embeddings (rendle2010factorization)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qnn_models.models.baselines.parts.baseline import Baseline


def pair_sum(embedded: Tensor) -> Tensor:
    """``Σ_{i<j} <v_i, v_j> = ½ Σ_k ((Σ_i v_ik)² - Σ_i v_ik²)``, in time linear in the fields.

    Args:
        embedded: shape (batch, fields, dim).

    Returns:
        shape (batch,).
    """
    return 0.5 * (embedded.sum(1).square() - embedded.square().sum(1)).sum(1)


class FirstOrder(Baseline):
    """A model with a weight per id beside its embedding: the last coordinate of the id's row in the one table."""

    @staticmethod
    def _columns(embedding_dim: int) -> int:
        return embedding_dim + 1

    @staticmethod
    def split(embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings ``(batch, fields, e)`` and the sum of the fields' weights ``(batch,)``."""
        return embedded[..., :-1], embedded[..., -1].sum(-1)


class FactorizationMachine(FirstOrder):
    """``logit = b + Σ_i w_i + Σ_{i<j} <v_i, v_j>``.

    Cost: n (e + 1) + 1 parameters, about 4 f e operations a row.
    """

    def _make(self, seed: int | None) -> None:
        self.bias = nn.Parameter(torch.zeros(()))

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)``."""
        vectors, first_order = self.split(embedded)
        return self.bias + first_order + pair_sum(vectors)

    def score_pair(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Nothing is stochastic, so the two passes are one."""
        logits = self.score(embedded)
        return logits, logits
