"""DNN: an MLP on the concatenated embeddings (covington2016deep)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from qnn_models.models.baselines.parts.baseline import Branched
from qnn_models.models.baselines.parts.mlp import Branch
from qnn_models.models.baselines.parts.options import WithNormedMLP


class DNN(Branched):
    """``logit = MLP(v_1 ‖ ... ‖ v_f)``.

    Cost: n e parameters in the table and those of `MLP` on width f e; a row takes about twice the latter in operations.
    """

    Options = WithNormedMLP
    options: WithNormedMLP

    def _make(self, seed: int | None) -> None:
        self.mlp = self.options.normed_mlp(self._width())

    def _width(self) -> int:
        """Width of what the MLP reads."""
        return self.embedded_dim

    def _signals(self, embedded: Tensor) -> Tensor:
        """What the MLP reads, ``(batch, width)``."""
        return embedded.flatten(1)

    def _branches(self, embedded: Tensor) -> Sequence[tuple[Branch, Tensor]]:
        return [(self.mlp, self._signals(embedded))]
