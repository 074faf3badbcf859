"""Wide & Deep: a weight per id beside an MLP (cheng2016wide)."""

from __future__ import annotations

from torch import Tensor

from qnn_models.models.baselines.first_order.factorization_machine import FirstOrder
from qnn_models.models.baselines.parts.baseline import ShallowAndDeep


class WideDeep(FirstOrder, ShallowAndDeep):
    """``logit = Σ_i w_i + MLP(v_1 ‖ ... ‖ v_f)``; the wide part has no hand-made crosses, which the paper chose for its data.

    Cost: n (e + 1) parameters in the table and those of the MLP, whose bias serves both parts.
    """

    def _shallow(self, embedded: Tensor) -> Tensor:
        return self.split(embedded)[1]

    def _deep_input(self, embedded: Tensor) -> Tensor:
        return self.split(embedded)[0].flatten(1)
