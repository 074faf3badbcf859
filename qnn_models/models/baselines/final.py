"""FINAL: blocks of factorized interaction layers that learn from their common prediction (zhu2023final)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from qnn_models.layers.stack import QuadraticStack
from qnn_models.models.network import CTRModel, Layout
from qnn_models.models.qnn_alpha import linear_head
from qnn_models.runtime.seeds import derive


class FINAL(CTRModel):
    """Blocks of layers ``W_a x ⊙ W_b x ‖ W_b x`` (format T14), each with a linear head; the logit is the heads' mean.

    FINAL(2B) trains its two blocks with a self-distillation: each also learns the probability of their mean. With two
    blocks, a pair of passes is therefore the pair of blocks, and the loss ``self_ensemble`` is that distillation, with the
    mean of the probabilities in place of the probability of the mean logit.

    Cost: ``blocks · (layers · (d² + d) + d + 1)`` parameters beside the table.

    Args:
        layout: the data set's fields; the layers' halves need an even d = f · e.
        embedding_dim: width e of each embedding.
        blocks: 1 or 2.
        layers: layers of each block.
        dropout: dropout probability after each layer.
        seed: seed of the start values.

    Raises:
        ValueError: another number of blocks, or an odd width.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        embedding_dim: int = 16,
        blocks: int = 2,
        layers: int = 3,
        dropout: float = 0.1,
        seed: int | None = None,
    ) -> None:
        super().__init__(layout, embedding_dim=embedding_dim, seed=seed)
        if blocks not in (1, 2):
            raise ValueError(f"FINAL has 1 or 2 blocks, however: blocks={blocks}.")
        self.blocks = nn.ModuleList(
            QuadraticStack(
                "T14",
                dim=self.embedded_dim,
                layers=layers,
                dropout=dropout,
                seed=None if seed is None else derive(seed, "block", index),
            )
            for index in range(blocks)
        )
        self.heads = nn.ModuleList(
            linear_head(self.embedded_dim, seed=None if seed is None else derive(seed, "head", index))
            for index in range(blocks)
        )

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)``: the mean over the blocks."""
        return torch.stack(self._logits(embedded)).mean(0)

    def score_pair(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the two blocks; of two stochastic passes where there is one block."""
        if len(self.blocks) == 1:
            block, head = cast(QuadraticStack, self.blocks[0]), self.heads[0]
            first, second = (head(y).squeeze(-1) for y in block.forward_pair(embedded.flatten(1)))
        else:
            first, second = self._logits(embedded)
        return first, second

    def _logits(self, embedded: Tensor) -> list[Tensor]:
        x = embedded.flatten(1)
        return [head(block(x)).squeeze(-1) for block, head in zip(self.blocks, self.heads, strict=True)]
