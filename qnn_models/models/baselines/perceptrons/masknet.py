"""MaskNet: layers multiplied by masks that the embeddings themselves produce (wang2021masknet)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, assert_never, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from qnn_models.layers.dropout import Dropout
from qnn_models.models.baselines.parts.baseline import Baseline
from qnn_models.models.baselines.parts.options import WithMLP, require

MaskStructure: TypeAlias = Literal["parallel", "serial"]


class FieldNorm(nn.Module):
    """Layer normalisation of each field's embedding by itself, every field with its own scale and shift.

    **Shape:** ``(batch, fields, dim) -> (batch, fields * dim)``.

    Parameters: 2 f e.
    """

    def __init__(self, fields: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(fields, dim))
        self.bias = nn.Parameter(torch.zeros(fields, dim))

    def forward(self, embedded: Tensor) -> Tensor:
        """Normalise and flatten."""
        normal = functional.layer_norm(embedded, embedded.shape[-1:])
        return torch.addcmul(self.bias, normal, self.weight).flatten(1)


class MaskBlock(nn.Module):
    """``relu(LN(W (mask ⊙ input)))`` with the instance-guided ``mask = W_2 relu(W_1 v + b_1) + b_2`` of embeddings v.

    **Shape:** embeddings ``(batch, d)`` and input ``(batch, inputs)`` -> ``(batch, units)``.

    Parameters, with a = round(reduction · inputs): ``(d + 1) a + (a + 1) inputs + inputs · units + 2 units``.

    Args:
        dim: width d of all embeddings.
        inputs: width of the input, and of its mask.
        units: output width.
        reduction: width of the mask's hidden layer over that of the mask.
        dropout: dropout probability of the output.
    """

    def __init__(self, dim: int, inputs: int, *, units: int, reduction: float, dropout: float) -> None:
        super().__init__()
        aggregation = max(1, round(reduction * inputs))
        self.mask = nn.Sequential(nn.Linear(dim, aggregation), nn.ReLU(), nn.Linear(aggregation, inputs))
        self.linear = nn.Linear(inputs, units, bias=False)  # the normalisation has the shift
        self.norm = nn.LayerNorm(units)
        self.dropout = Dropout(dropout)

    def forward(self, embeddings: Tensor, x: Tensor) -> Tensor:
        """Mask, map, normalise."""
        return self.dropout(functional.relu(self.norm(self.linear(self.mask(embeddings) * x))))


class MaskNet(Baseline):
    """Mask blocks on normalised embeddings: side by side and joined by an MLP, or one after the other.

    Cost beside the table: 2 d for the normalisation, `MaskBlock`'s parameters ``blocks`` times (on inputs d; serial: d, then
    units), and the MLP's on ``blocks · units`` inputs (serial: a linear map on units).

    Args:
        structure: ``parallel`` or ``serial``.
        blocks: number of mask blocks.
        units: output width of each.
        reduction: width of each mask's hidden layer over that of the mask.
        hidden_units: width of the layers of the MLP that joins parallel blocks.
        dropout: dropout probability after each block and hidden layer.

    Raises:
        ValueError: another structure, or a number out of its range.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(WithMLP):
        structure: MaskStructure = "parallel"
        blocks: int = 3
        units: int = 64
        reduction: float = 1.0
        hidden_layers: int = 2

        def __post_init__(self) -> None:
            known = get_args(MaskStructure)
            require(self.structure in known, "The structure of MaskNet is parallel or serial", structure=self.structure)
            require(
                min(self.blocks, self.units) >= 1 and self.reduction > 0,
                "MaskNet has at least 1 block and unit and a positive reduction",
                blocks=self.blocks,
                units=self.units,
                reduction=self.reduction,
            )

    options: Options

    def _make(self, seed: int | None) -> None:
        dim, options = self.embedded_dim, self.options
        blocks, units, parallel = options.blocks, options.units, options.structure == "parallel"
        self.norm = FieldNorm(self.embedding.num_fields, options.embedding_dim)
        self.blocks = nn.ModuleList(
            MaskBlock(dim, width, units=units, reduction=options.reduction, dropout=options.dropout)
            for width in ([dim] * blocks if parallel else [dim] + [units] * (blocks - 1))
        )
        self.head = options.mlp(blocks * units) if parallel else replace(options, hidden_layers=0).mlp(units)

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)``."""
        embeddings, x = embedded.flatten(1), self.norm(embedded)
        match self.options.structure:
            case "parallel":
                x = torch.cat([block(embeddings, x) for block in self.blocks], dim=1)
            case "serial":
                for block in self.blocks:
                    x = block(embeddings, x)
            case _:
                assert_never(self.options.structure)
        return self.head(x).squeeze(-1)
