"""AutoInt: multi-head self-attention between fields (song2019autoint); with an MLP beside it, AutoInt+."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from qnn_models.models.baselines.parts.baseline import ShallowAndDeep
from qnn_models.models.baselines.parts.options import WithNormedMLP, require


class FieldAttention(nn.Module):
    """``relu(concat_h(softmax(Q_h K_hᵀ) V_h) + W_res v)``, heads h over the fields; the products are not scaled.

    **Shape:** ``(batch, fields, inputs) -> (batch, fields, heads * width)``.

    Parameters: ``4 · inputs · heads · width``, no biases.

    Args:
        inputs: width of each field's vector.
        width: width of each head.
        heads: number of heads.
    """

    def __init__(self, inputs: int, *, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(inputs, heads * width, bias=False)
        self.key = nn.Linear(inputs, heads * width, bias=False)
        self.value = nn.Linear(inputs, heads * width, bias=False)
        self.residual = nn.Linear(inputs, heads * width, bias=False)

    def forward(self, fields: Tensor) -> Tensor:
        """Let every field attend to all."""
        query, key, value = (
            linear(fields).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        attended = functional.scaled_dot_product_attention(query, key, value, scale=1.0)
        return functional.relu(attended.transpose(1, 2).flatten(2) + self.residual(fields))


class AutoInt(ShallowAndDeep):
    """AutoInt+: ``logit = <w, attention layers(v)> + MLP(v_1 ‖ ... ‖ v_f)``.

    Cost, with a = heads · attention_dim: ``4 e a + 4 a² (attention_layers - 1) + f a`` parameters beside table and MLP.

    Args:
        attention_layers: number of attention layers.
        attention_dim: width of each head.
        heads: number of heads.

    Raises:
        ValueError: one of them is below 1.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(WithNormedMLP):
        attention_layers: int = 3
        attention_dim: int = 32
        heads: int = 2

        def __post_init__(self) -> None:
            sizes = {name: getattr(self, name) for name in ("attention_layers", "heads", "attention_dim")}
            require(min(sizes.values()) >= 1, "Attention has at least 1 layer, head and coordinate", **sizes)

    options: Options

    def _make(self, seed: int | None) -> None:
        width, heads = self.options.attention_dim, self.options.heads
        inputs = [self.options.embedding_dim] + [heads * width] * (self.options.attention_layers - 1)
        self.attention = nn.Sequential(*(FieldAttention(size, width=width, heads=heads) for size in inputs))
        self.attention_head = nn.Linear(self.embedding.num_fields * heads * width, 1, bias=False)
        super()._make(seed)

    def _shallow(self, embedded: Tensor) -> Tensor:
        return self.attention_head(self.attention(embedded).flatten(1)).squeeze(-1)
