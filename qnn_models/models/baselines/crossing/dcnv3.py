"""DCNv3: cross layers of exponentially growing degree, half of each masked by itself (li2024dcnv3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from qnn_models.layers.dropout import Dropout
from qnn_models.models.baselines.parts.baseline import NetworkPair
from qnn_models.models.baselines.parts.options import WithDropout, require

Growth: TypeAlias = Literal["exponential", "linear"]


class MaskedCross(nn.Module):
    """``x_(l+1) = z ⊙ (c ‖ mask(c)) + b + x_l`` with ``c = W x_l`` of width d / 2 and ``mask(c) = c ⊙ relu(LN(c))``.

    z is the layer's input x_l (exponential: the degree doubles with each layer, ECN) or the first input (linear: it grows by
    one, LCN).

    **Shape:** ``(batch, dim) -> (batch, dim)``.

    Parameters: ``d² / 2`` for W, d for b, d for the normalisation, by layer.

    Args:
        dim: width d, even.
        layers: number of layers.
        growth: ``exponential`` or ``linear``.
        dropout: dropout probability after each layer.

    Raises:
        ValueError: an odd width or no layer.
    """

    def __init__(self, dim: int, *, layers: int, growth: Growth, dropout: float) -> None:
        super().__init__()
        if dim % 2 or layers < 1:
            raise ValueError(
                f"A masked cross network joins two half-width parts in at least 1 layer, so d must be even, however: "
                f"d={dim}, layers={layers}; choose an even embedding_dim."
            )
        self.growth: Growth = growth
        self.linears = nn.ModuleList(nn.Linear(dim, dim // 2, bias=False) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(dim // 2) for _ in range(layers))
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(dim)) for _ in range(layers))
        self.dropout = Dropout(dropout)

    def forward(self, x0: Tensor) -> Tensor:
        """Apply all layers."""
        x = x0
        for linear, norm, bias in zip(self.linears, self.norms, self.biases, strict=True):
            c = linear(x)
            gate = torch.cat([c, c * functional.relu(norm(c))], dim=1)
            x = self.dropout(torch.addcmul(x + bias, x if self.growth == "exponential" else x0, gate))
        return x


class DCNv3(NetworkPair):
    """ECN, the exponential cross network; with both growths, DCNv3: the mean logit of an ECN and a linear one (LCN).

    A pair of passes with both growths is the pair of networks.

    Cost: ``layers · (d² / 2 + 2 d) + d + 1`` parameters beside the table, twice that with both growths. The width is even.

    Args:
        layers: layers of each cross network.
        growth: ``exponential``, ``linear`` or ``both``.
        dropout: dropout probability after each layer.

    Raises:
        ValueError: another growth.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(WithDropout):
        layers: int = 3
        growth: Literal["exponential", "linear", "both"] = "exponential"

        def __post_init__(self) -> None:
            known = (*get_args(Growth), "both")
            require(self.growth in known, "The degree's growth is exponential, linear or both", growth=self.growth)

    options: Options

    def _make(self, seed: int | None) -> None:
        dim, growth = self.embedded_dim, self.options.growth
        chosen: tuple[Growth, ...] = get_args(Growth) if growth == "both" else (growth,)
        self.crosses = nn.ModuleList(
            MaskedCross(dim, layers=self.options.layers, growth=kind, dropout=self.options.dropout) for kind in chosen
        )
        self.heads = nn.ModuleList(nn.Linear(dim, 1) for _ in chosen)

    def _networks(self) -> nn.ModuleList:
        return self.crosses
