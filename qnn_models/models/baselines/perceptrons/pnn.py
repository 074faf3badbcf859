"""PNN: an MLP that also reads the inner products of all pairs of fields (qu2016product)."""

from __future__ import annotations

import torch
from torch import Tensor

from qnn_models.models.baselines.perceptrons.dnn import DNN


class PNN(DNN):
    """IPNN: ``logit = MLP(v_1 ‖ ... ‖ v_f ‖ (<v_i, v_j>)_{i<j})``.

    The paper's product layer with its matrices for the linear and the quadratic signal is the MLP's first linear map.

    Cost: n e parameters in the table and those of the MLP on width ``f e + f (f - 1) / 2``; the products take ``f² e``
    multiplications a row.
    """

    pairs: Tensor

    def _make(self, seed: int | None) -> None:
        fields = self.embedding.num_fields
        row, column = torch.triu_indices(fields, fields, offset=1)
        self.register_buffer("pairs", row * fields + column, persistent=False)
        super()._make(seed)

    def _width(self) -> int:
        return self.embedded_dim + len(self.pairs)

    def _signals(self, embedded: Tensor) -> Tensor:
        products = (embedded @ embedded.transpose(1, 2)).flatten(1)
        return torch.cat([embedded.flatten(1), products[:, self.pairs]], dim=1)
