"""CL4CTR: an MLP on embeddings that three self-supervised terms shape during training (wang2023cl4ctr)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from qnn_models.layers.dropout import Dropout
from qnn_models.models.baselines.parts.options import WithNormedMLP, require
from qnn_models.models.baselines.parts.start import start_values
from qnn_models.models.baselines.perceptrons.dnn import DNN
from qnn_models.runtime.seeds import derive_optional


def feature_alignment(fields: Sequence[Tensor]) -> Tensor:
    """Mean of ``‖e_i - e_j‖²`` over all ordered pairs of features of the same field, in time linear in the features.

    Args:
        fields: the embeddings of each field's features, shape (features, dim).
    """
    spread = torch.stack([2 * len(field) * (field - field.mean(0)).square().sum() for field in fields])
    return spread.sum() / max(1, sum(len(field) ** 2 for field in fields))


def field_uniformity(fields: Sequence[Tensor]) -> Tensor:
    """Mean of ``cos(e_i, e_j)`` over all ordered pairs of features of different fields, in time linear in the features.

    Args:
        fields: the embeddings of each field's features, shape (features, dim).
    """
    sums = torch.stack([functional.normalize(field, dim=1).sum(0) for field in fields])
    sizes = [len(field) for field in fields]
    pairs = sum(sizes) ** 2 - sum(size**2 for size in sizes)
    return (sums.sum(0).square().sum() - sums.square().sum()) / max(1, pairs)


class EncoderLayer(nn.Module):
    """A transformer layer over the fields (vaswani2017attention): attention of one head, two linear maps, a norm after each.

    ``y = LN(x + W_o softmax(Q Kᵀ / √e) V)``, then ``LN(y + W_2 relu(W_1 y + b_1) + b_2)``.

    **Shape:** ``(batch, fields, e) -> (batch, fields, e)``.

    Parameters: ``4 e² + (e + 1) units + (units + 1) e + 4 e``.
    """

    def __init__(self, dim: int, *, units: int, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim, bias=False) for _ in range(4))
        self.lower, self.upper = nn.Linear(dim, units), nn.Linear(units, dim)
        self.attention_norm, self.norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Let every field attend to all, then map each by itself."""
        attended = functional.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))
        y = self.attention_norm(x + self.dropout(self.out(attended)))
        return self.norm(y + self.dropout(self.upper(self.dropout(functional.relu(self.lower(y))))))


class ContrastiveModule(nn.Module):
    """``mean ‖h_1 - h_2‖²`` over the rows, where ``h_k = W_k encoder(mask_k ⊙ v) + b_k`` and the masks are drawn anew.

    A mask drops each coordinate of each embedding by itself and scales the others to keep the mean. The projections differ, as
    in the released code (wang2023cl4ctr-code).

    **Shape:** ``(batch, fields, e)`` -> a number, 0 for no rows.

    Parameters: those of `EncoderLayer` ``layers`` times, and ``2 e (f e + 1)``.

    Args:
        fields: number of fields f.
        dim: width e of each embedding.
        layers: layers of the encoder.
        units: width between the two maps of each.
        mask: probability by which a mask drops a coordinate.
        dropout: dropout probability inside the encoder.
    """

    def __init__(self, fields: int, dim: int, *, layers: int, units: int, mask: float, dropout: float) -> None:
        super().__init__()
        self.mask = Dropout(mask)
        self.encoder = nn.Sequential(*(EncoderLayer(dim, units=units, dropout=dropout) for _ in range(layers)))
        self.projections = nn.ModuleList(nn.Linear(fields * dim, dim) for _ in range(2))

    def forward(self, embedded: Tensor) -> Tensor:
        """The contrastive loss of these rows."""
        first, second = (project(self.encoder(self.mask(embedded)).flatten(1)) for project in self.projections)
        return functional.mse_loss(first, second, reduction="sum") / max(1, len(embedded))


class CL4CTR(DNN):
    """The logits of `DNN`, trained on ``loss + α · contrast + β · (alignment + uniformity)``.

    The terms are those of `ContrastiveModule`, `feature_alignment` and `field_uniformity`; the last two read the whole table
    but its rows of padding. The framework fits any model; here it has the MLP on the embeddings. Nothing of it is left in the
    logits, which cost what DNN's cost.

    Cost: DNN's parameters and, in training only, those of `ContrastiveModule`.

    Args:
        alpha: weight α of the contrastive loss.
        beta: weight β of alignment and uniformity.
        mask: probability by which the contrasted embeddings lose a coordinate.
        encoder_layers: layers of the encoder of contrasted embeddings.
        encoder_units: width between the two linear maps of each.
        dropout: dropout probability after each hidden layer, and inside the encoder.

    Raises:
        ValueError: a negative weight, or an encoder without layers or units.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(WithNormedMLP):
        alpha: float = 1.0
        beta: float = 0.01
        mask: float = 0.5
        encoder_layers: int = 3
        encoder_units: int = 128

        def __post_init__(self) -> None:
            terms = {"alpha": self.alpha, "beta": self.beta}
            require(min(terms.values()) >= 0, "The weights of CL4CTR's terms are not negative", **terms)
            encoder = {"encoder_layers": self.encoder_layers, "encoder_units": self.encoder_units}
            require(min(encoder.values()) >= 1, "The encoder of CL4CTR has at least 1 layer and unit", **encoder)

    options: Options

    def _start(self, seed: int | None) -> None:
        """Start DNN; what contrasts is made and drawn after it, from a seed of its own, so that DNN starts as it does alone."""
        super()._start(seed)
        options = self.options
        self.contrast = ContrastiveModule(
            self.embedding.num_fields,
            options.embedding_dim,
            layers=options.encoder_layers,
            units=options.encoder_units,
            mask=options.mask,
            dropout=options.dropout,
        )
        start_values(self.contrast, derive_optional(seed, "contrast"))

    def regularisation(self, ids: Tensor) -> Tensor:
        """The weighted sum of the three terms."""
        fields = [rows[1:] for rows in self.embedding.weight.split(self.embedding.vocabulary_sizes)]
        shaped = feature_alignment(fields) + field_uniformity(fields)
        return self.options.alpha * self.contrast(self.embed(ids)) + self.options.beta * shaped
