"""QNN-α, the paper's model: layers ``X • ReLU(W X) + X`` and a linear head, on embedded fields."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qnn_models.layers.stack import QuadraticStack
from qnn_models.layers.unit_gain import OPERATING_STD, Init
from qnn_models.runtime.seeds import derive_optional
from qnn_theory.grammar.expr import ActivationKind
from qnn_theory.registry import HeadLayout, qnn_alpha


class QNNAlpha(nn.Module):
    """QNN-α (li2025qnn, eq. 10): L layers of ``X • ReLU(W X) + X``, then ``Linear(d, 1)``; d = num_fields · embedding_dim.

    The Khatri-Rao product • multiplies X with each of the M rows of the gate, and the rows are summed. Dropout acts on the
    gate and after each layer; BatchNorm, where used, on the M·d gate channels before the ReLU.

    **Shape:** ``(*, num_fields * embedding_dim) -> (*, 1)`` logits.

    Parameters: ``L · M · (d² + d) + d + 1``, and ``2 · L · M · d`` more with BatchNorm, whatever the number of heads.

    Args:
        num_fields: number of fields f.
        embedding_dim: width e of each embedding.
        layers: number of layers L.
        rows: rows M of the Khatri-Rao product.
        heads: heads H; the aligned layout is the same function class for every H, so only the start values differ.
        dropout: dropout probability, on the gate and after each layer.
        batch_norm: BatchNorm on the gate channels.
        head_layout: ``aligned`` as printed; ``released`` as the released code computes it (permuted factor, li2025qnn-code).
        mid_activation: activation of the gate; None is the ablation without it.
        residual: whether each layer adds its input.
        init: start values of the gates' maps, ``paper`` or ``unit-gain``, as in `QuadraticStack`.
        operating_std: standard deviation of the embeddings that ``unit-gain`` is for.
        seed: seed of the start values; drawn from torch's global generator when left out.

    Raises:
        ValueError: heads do not divide the embedding, an unknown layout, a number below 1.

    Example:
        >>> QNNAlpha(num_fields=3, embedding_dim=4, layers=2, rows=2)(torch.zeros(5, 12)).shape
        torch.Size([5, 1])
    """

    def __init__(
        self,
        *,
        num_fields: int,
        embedding_dim: int,
        layers: int = 2,
        rows: int = 4,
        heads: int = 1,
        dropout: float = 0.1,
        batch_norm: bool = False,
        head_layout: HeadLayout = "aligned",
        mid_activation: ActivationKind | None = "relu",
        residual: bool = True,
        init: Init = "paper",
        operating_std: float = OPERATING_STD,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        if heads < 1 or embedding_dim % heads:
            raise ValueError(
                f"Heads cut each embedding into equal parts, so heads must divide embedding_dim, however: "
                f"heads={heads}, embedding_dim={embedding_dim}."
            )
        self.stack = QuadraticStack(
            qnn_alpha(
                rows=rows,
                heads=heads,
                head_layout=head_layout,
                embedding_dim=embedding_dim,
                mid_activation=mid_activation,
                residual=residual,
            ),
            dim=num_fields * embedding_dim,
            layers=layers,
            dropout=dropout,
            gate_dropout=dropout,
            gate_norm=batch_norm,
            init=init,
            operating_std=operating_std,
            seed=seed,
        )
        self.head = linear_head(self.stack.out_dim, seed=derive_optional(seed, "head"))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape ``(*, 1)`` from embedded fields of shape ``(*, num_fields * embedding_dim)``."""
        return self.head(self.stack(x))

    def forward_pair(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of two stochastic passes over one input, for the self-ensemble loss."""
        first, second = self.stack.forward_pair(x)
        return self.head(first), self.head(second)


def linear_head(dim: int, *, seed: int | None = None) -> nn.Linear:
    """``Linear(dim, 1)`` with Xavier-normal weight and zero bias, as in the released runs."""
    return xavier_linear(dim, 1, seed=seed)


def xavier_linear(inputs: int, outputs: int, *, bias: bool = True, seed: int | None = None) -> nn.Linear:
    """A linear map with Xavier-normal weight and zero bias."""
    linear = nn.Linear(inputs, outputs, bias=bias)
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    nn.init.xavier_normal_(linear.weight, generator=generator)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear
