"""FINAL: blocks of factorized interaction layers that learn from their common prediction (zhu2023final)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from qnn_models.layers.stack import QuadraticStack
from qnn_models.models.baselines.parts.baseline import NetworkPair
from qnn_models.models.baselines.parts.options import WithDropout, require
from qnn_models.models.qnn_alpha import linear_head
from qnn_models.runtime.seeds import derive_optional


class FINAL(NetworkPair):
    """Blocks of layers ``W_a x ⊙ W_b x ‖ W_b x`` (format T14), each with a linear head; the logit is the heads' mean.

    FINAL(2B) trains its two blocks with a self-distillation: each also learns the probability of their mean. With two
    blocks, a pair of passes is therefore the pair of blocks, and the loss ``self_ensemble`` is that distillation, with the
    mean of the probabilities in place of the probability of the mean logit.

    Cost: ``blocks · (layers · (d² + d) + d + 1)`` parameters beside the table. The layers' halves need an even width.

    Args:
        blocks: 1 or 2.
        layers: layers of each block.
        dropout: dropout probability after each layer.

    Raises:
        ValueError: another number of blocks.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(WithDropout):
        blocks: int = 2
        layers: int = 3

        def __post_init__(self) -> None:
            require(self.blocks in (1, 2), "FINAL has 1 or 2 blocks", blocks=self.blocks)

    options: Options

    def _make(self, seed: int | None) -> None:
        dim, options = self.embedded_dim, self.options
        blocks = range(options.blocks)
        seeds = (derive_optional(seed, "block", index) for index in blocks)
        self.blocks = nn.ModuleList(
            QuadraticStack("T14", dim=dim, layers=options.layers, dropout=options.dropout, seed=own) for own in seeds
        )
        self.heads = nn.ModuleList(linear_head(dim, seed=derive_optional(seed, "head", index)) for index in blocks)

    def _start(self, seed: int | None) -> None:
        """Nothing more: blocks and heads have drawn their start values."""

    def _networks(self) -> nn.ModuleList:
        return self.blocks

    def _passes(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        block, head = cast(QuadraticStack, self.blocks[0]), self.heads[0]
        first, second = block.forward_pair(embedded.flatten(1))
        return head(first).squeeze(-1), head(second).squeeze(-1)
