"""AFN: interactions of learned, real order by logarithmic neurons (cheng2020adaptive); with an MLP beside it, AFN+."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qnn_models.models.baselines.parts.baseline import Branched
from qnn_models.models.baselines.parts.mlp import Branch
from qnn_models.models.baselines.parts.options import WithNormedMLP, require

_SMALLEST = 1e-7


class AFN(Branched):
    """AFN+: ``logit = a · MLP(y) + c · MLP'(v') + b`` with neurons ``y_j = exp(Σ_i w_ij ln max(|v_i|, 1e-7))``, by coordinate.

    BatchNorm follows the logarithm (by field) and the exponential (by neuron), as in the paper. The plain MLP' has
    embeddings of its own, since those of AFN are driven away from zero; both stand in one table of width 2 e.

    Cost: 2 n e parameters in the table, ``(f + 1) · neurons`` in the logarithmic layer, ``2 f + 2 · neurons`` in its
    BatchNorms, the MLP on width ``neurons · e``, the plain one on ``f e``, and 3.

    Args:
        neurons: number of logarithmic neurons.

    Raises:
        ValueError: no neuron.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(WithNormedMLP):
        neurons: int = 64

        def __post_init__(self) -> None:
            require(self.neurons >= 1, "AFN has at least 1 logarithmic neuron", neurons=self.neurons)

    options: Options

    @staticmethod
    def _columns(embedding_dim: int) -> int:
        return 2 * embedding_dim

    def _make(self, seed: int | None) -> None:
        fields, neurons, dim = self.embedding.num_fields, self.options.neurons, self.options.embedding_dim
        self.log_norm = nn.BatchNorm1d(fields)
        self.orders = nn.Linear(fields, neurons)
        self.exp_norm = nn.BatchNorm1d(neurons)
        self.mlp, self.plain = (self.options.normed_mlp(width * dim) for width in (neurons, fields))
        self.ensemble = nn.Parameter(torch.tensor([0.5, 0.5]))
        self.bias = nn.Parameter(torch.zeros(()))

    def _branches(self, embedded: Tensor) -> Sequence[tuple[Branch, Tensor]]:
        vectors, plain = embedded.split(self.options.embedding_dim, dim=-1)
        return [(self.mlp, self.neurons(vectors).flatten(1)), (self.plain, plain.flatten(1))]

    def _joined(self, shallow: Tensor | None, logits: Sequence[Tensor]) -> Tensor:
        return torch.cat(tuple(logits), dim=1) @ self.ensemble + self.bias

    def neurons(self, vectors: Tensor) -> Tensor:
        """``(batch, fields, e) -> (batch, neurons, e)``."""
        logarithms = self.log_norm(vectors.abs().clamp(min=_SMALLEST).log())
        return self.exp_norm(self.orders(logarithms.transpose(1, 2)).exp().transpose(1, 2))
