"""xDeepFM: the compressed interaction network beside first-order weights and a deep part (lian2018xdeepfm)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qnn_models.models.baselines.first_order.wide_deep import WideDeep
from qnn_models.models.baselines.parts.options import WithDeep


class CompressedInteractions(nn.Module):
    """CIN: ``X_k[h] = Σ_{i,j} W_k[h, i, j] · X_(k-1)[i] ⊙ X_0[j]``; every map is summed over the embedding.

    The activation is the identity, which the paper found best.

    **Shape:** ``(batch, fields, dim) -> (batch, layers * maps)``.

    Parameters: ``maps · f · f`` in the first layer, ``maps · maps · f`` in each other.

    Args:
        fields: number of fields f.
        maps: feature maps of each layer.
        layers: number of layers.
    """

    def __init__(self, fields: int, *, maps: int, layers: int) -> None:
        super().__init__()
        if maps < 1 or layers < 1:
            raise ValueError(f"A CIN has at least 1 map and 1 layer, however: cin_maps={maps}, cin_layers={layers}.")
        widths = [fields] + [maps] * (layers - 1)
        self.layers = nn.ModuleList(nn.Linear(width * fields, maps, bias=False) for width in widths)

    def forward(self, embedded: Tensor) -> Tensor:
        """Sums of all feature maps."""
        x0 = embedded.transpose(1, 2)  # the embedding's coordinates never mix, so they are part of the batch
        x, pooled = x0, []
        for layer in self.layers:
            x = layer((x.unsqueeze(-1) * x0.unsqueeze(-2)).flatten(2))
            pooled.append(x.sum(1))
        return torch.cat(pooled, dim=1)


class XDeepFM(WideDeep):
    """``logit = Σ_i w_i + <w, CIN(v)> + deep(v_1 ‖ ... ‖ v_f)``.

    Cost: n (e + 1) parameters in the table, ``cin_maps · f · (f + (cin_layers - 1) cin_maps)`` in the CIN,
    ``cin_layers · cin_maps`` in its head, and the deep part's. The CIN takes e times its parameters in multiplications.

    Args:
        cin_maps: feature maps of each layer of the CIN.
        cin_layers: layers of the CIN.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(WithDeep):
        cin_maps: int = 16
        cin_layers: int = 3

    options: Options

    def _make(self, seed: int | None) -> None:
        maps, layers = self.options.cin_maps, self.options.cin_layers
        self.cin = CompressedInteractions(self.embedding.num_fields, maps=maps, layers=layers)
        self.cin_head = nn.Linear(layers * maps, 1, bias=False)
        super()._make(seed)

    def _shallow(self, embedded: Tensor) -> Tensor:
        vectors, first_order = self.split(embedded)
        return first_order + self.cin_head(self.cin(vectors)).squeeze(-1)
