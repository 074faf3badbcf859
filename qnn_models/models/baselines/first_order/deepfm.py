"""DeepFM: a factorization machine beside a deep part that reads the same embeddings (guo2017deepfm)."""

from __future__ import annotations

from torch import Tensor

from qnn_models.models.baselines.first_order.factorization_machine import pair_sum
from qnn_models.models.baselines.first_order.wide_deep import WideDeep
from qnn_models.models.baselines.parts.options import WithDeep


class DeepFM(WideDeep):
    """``logit = Σ_i w_i + Σ_{i<j} <v_i, v_j> + deep(v_1 ‖ ... ‖ v_f)``.

    Cost: n (e + 1) parameters in the table and those of the deep part, whose bias serves both.
    """

    Options = WithDeep
    options: WithDeep

    def _shallow(self, embedded: Tensor) -> Tensor:
        vectors, first_order = self.split(embedded)
        return first_order + pair_sum(vectors)
