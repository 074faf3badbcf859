"""LR: logistic regression on ids, the model of first order (richardson2007predicting)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qnn_models.models.network import CTRModel, Layout


class LogisticRegression(CTRModel):
    """``logit = b + Σ_f w[id_f]``; a sequence counts as the mean of its ids' weights.

    Cost: n + 1 parameters for n ids in all, and f additions a row.

    Args:
        layout: the data set's fields.
        seed: seed of the start values.
    """

    def __init__(self, layout: Layout, *, seed: int | None = None) -> None:
        super().__init__(layout, embedding_dim=1, seed=seed)
        self.bias = nn.Parameter(torch.zeros(()))

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)`` from the weights ``(batch, fields, 1)``."""
        return embedded.sum((1, 2)) + self.bias

    def score_pair(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Nothing is stochastic, so the two passes are one."""
        logits = self.score(embedded)
        return logits, logits
