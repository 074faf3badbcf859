"""RFM: fields as angles that attend to one another, and a network that amplifies their moduli (tian2024rotative)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from qnn_models.layers.dropout import Dropout
from qnn_models.models.baselines.parts.baseline import Baseline
from qnn_models.models.baselines.parts.options import WithDropout, require
from qnn_models.models.baselines.parts.start import Drawn


class RotaryAttention(Drawn):
    """``θ'_i = LN(concat_h(Σ_j a_ij v_j) + W θ_i)`` with ``a_ij = σ(<w, cos(q_i - k_j)>)`` in each head h.

    A sum of angles is a product of rotations, ``exp(i Σ_j a_ij v_j) = Π_j exp(i v_j)^a_ij``: the attention a_ij is the order of
    field j in the interaction that field i asks for. Each field has maps Q, K and V of its own; the heads share w.

    **Shape:** angles ``(batch, fields, inputs) -> (batch, fields, units)``.

    Parameters: ``3 f · inputs · units`` of Q, K and V, ``inputs · units`` of W, ``units / heads`` of w, ``2 units`` of the norm.

    Args:
        fields: number of fields f.
        inputs: width of each field's angles.
        units: width of what comes out.
        heads: heads that cut it into equal parts.
        dropout: dropout probability of the values and of the angles that W reads.

    Raises:
        ValueError: the heads do not cut the units.
    """

    def __init__(self, fields: int, inputs: int, *, units: int, heads: int, dropout: float) -> None:
        super().__init__()
        if min(heads, units) < 1 or units % heads:
            raise ValueError(
                f"Heads cut the attention's units, so heads must divide attention_units, however: heads={heads}, "
                f"attention_units={units}."
            )
        self.heads = heads
        self.projections = nn.Parameter(torch.empty(3, fields, inputs, units))  # of queries, keys and values
        self.weight = nn.Parameter(torch.empty(units // heads))
        self.residual = nn.Linear(inputs, units, bias=False)
        self.norm = nn.LayerNorm(units)
        self.dropout = Dropout(dropout)

    def draw(self, generator: torch.Generator) -> None:
        """Xavier-normal: each field's maps by themselves, w as a map to one number."""
        *_, inputs, units = self.projections.shape
        self.projections.normal_(0, (2 / (inputs + units)) ** 0.5, generator=generator)
        self.weight.normal_(0, (2 / (len(self.weight) + 1)) ** 0.5, generator=generator)

    def forward(self, angles: Tensor) -> Tensor:
        """Let every field turn by all."""
        query, key, value = (
            torch.einsum("bfi,fiu->bfu", angles, maps).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for maps in self.projections
        )
        orders = torch.sigmoid(self.similarity(query, key))
        turned = (orders @ self.dropout(value)).transpose(1, 2).flatten(2)
        return self.norm(turned + self.residual(self.dropout(angles)))

    def similarity(self, query: Tensor, key: Tensor) -> Tensor:
        """``<w, cos(q_i - k_j)>`` of all pairs; the cosine of a difference is ``cos q cos k + sin q sin k``."""
        cosines = (self.weight * query.cos()) @ key.cos().transpose(-2, -1)
        return cosines + (self.weight * query.sin()) @ key.sin().transpose(-2, -1)


class Amplifier(nn.Module):
    """``LN(relu(W x + b))`` of real and of imaginary part with one W and b: a map of complex numbers that changes their moduli.

    The norms take groups of coordinates, all groups with the same scale and shift, real and imaginary part with their own.

    **Shape:** real and imaginary part ``(batch, inputs)`` -> the same of ``(batch, units)``.

    Parameters: ``(inputs + 1) units + 4 group``.
    """

    def __init__(self, inputs: int, *, units: int, group: int, dropout: float) -> None:
        super().__init__()
        if min(units, group) < 1 or units % group:
            raise ValueError(
                f"Groups cut the amplifier's units, so group must divide hidden_units, however: group={group}, "
                f"hidden_units={units}."
            )
        self.linear = nn.Linear(inputs, units)
        self.norms = nn.ModuleList(nn.LayerNorm(group) for _ in range(2))
        self.group = group
        self.dropout = Dropout(dropout)

    def forward(self, z: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Amplify both parts."""
        real, imaginary = (
            norm(functional.relu(self.linear(self.dropout(part))).unflatten(1, (-1, self.group))).flatten(1)
            for norm, part in zip(self.norms, z, strict=True)
        )
        return real, imaginary


class RFM(Baseline):
    """``logit = <w, Re z + Im z> + b`` where z are the amplified ``LN(exp(i θ) + exp(i (W v + b)))`` of all fields.

    The embeddings v are angles; `RotaryAttention` layers turn them into θ. The normalisation takes real and imaginary part
    by themselves.

    Cost beside the table, with u = attention_units: `RotaryAttention`'s parameters on e and then u inputs, ``(e + 1) u + 4 u``
    for the untouched angles and the norms, `Amplifier`'s on f u and then hidden_units inputs, and one more than the last
    width for the logit.

    Args:
        attention_layers: number of attention layers.
        attention_units: width u of each field's angles after them.
        heads: heads of each.
        hidden_units: width of the amplifier's layers.
        hidden_layers: their number, perhaps 0.
        group: coordinates that an amplifier's layer normalises together.
        dropout: dropout probability of what each layer reads.

    Raises:
        ValueError: no attention, or a negative number of layers.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(WithDropout):
        attention_layers: int = 2
        attention_units: int = 32
        heads: int = 1
        hidden_units: int = 128
        hidden_layers: int = 1
        group: int = 8

        def __post_init__(self) -> None:
            require(
                self.attention_layers >= 1 and self.hidden_layers >= 0,
                "RFM has attention_layers of at least 1 and hidden_layers of at least 0",
                attention_layers=self.attention_layers,
                hidden_layers=self.hidden_layers,
            )

    options: Options

    def _make(self, seed: int | None) -> None:
        fields, options = self.embedding.num_fields, self.options
        units, dropout = options.attention_units, options.dropout
        self.attention = nn.Sequential(
            *(
                RotaryAttention(fields, inputs, units=units, heads=options.heads, dropout=dropout)
                for inputs in [options.embedding_dim] + [units] * (options.attention_layers - 1)
            )
        )
        self.untouched = nn.Linear(options.embedding_dim, units)
        self.norms = nn.ModuleList(nn.LayerNorm(units) for _ in range(2))
        widths = [fields * units] + [options.hidden_units] * options.hidden_layers
        self.amplifier = nn.Sequential(
            *(
                Amplifier(inputs, units=options.hidden_units, group=options.group, dropout=dropout)
                for inputs in widths[:-1]
            )
        )
        self.head = nn.Linear(widths[-1], 1)

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)``."""
        turned, untouched, (real_norm, imaginary_norm) = self.attention(embedded), self.untouched(embedded), self.norms
        real = real_norm(turned.cos() + untouched.cos())
        imaginary = imaginary_norm(turned.sin() + untouched.sin())
        real, imaginary = self.amplifier((real.flatten(1), imaginary.flatten(1)))
        return self.head(real + imaginary).squeeze(-1)
