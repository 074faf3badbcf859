"""AutoInt: multi-head self-attention between fields (song2019autoint); with an MLP beside it, AutoInt+."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from qnn_models.models.baselines.parts import MLP, ShallowAndDeep, start_values
from qnn_models.models.network import Layout


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
        layout: the data set's fields.
        embedding_dim: width e of each embedding.
        attention_layers: number of attention layers.
        attention_dim: width of each head.
        heads: number of heads.
        hidden_units: width of the MLP's layers.
        hidden_layers: their number.
        dropout: dropout probability after each hidden layer.
        batch_norm: BatchNorm before each ReLU of the MLP.
        seed: seed of the start values.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        embedding_dim: int = 16,
        attention_layers: int = 3,
        attention_dim: int = 32,
        heads: int = 2,
        hidden_units: int = 400,
        hidden_layers: int = 3,
        dropout: float = 0.1,
        batch_norm: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__(layout, embedding_dim=embedding_dim, seed=seed)
        if min(attention_layers, attention_dim, heads) < 1:
            raise ValueError(
                f"Attention has at least 1 layer, head and coordinate, however: attention_layers={attention_layers}, "
                f"heads={heads}, attention_dim={attention_dim}."
            )
        widths = [embedding_dim] + [heads * attention_dim] * (attention_layers - 1)
        self.attention = nn.Sequential(*(FieldAttention(width, width=attention_dim, heads=heads) for width in widths))
        self.attention_head = nn.Linear(self.embedding.num_fields * heads * attention_dim, 1, bias=False)
        self.deep = MLP(
            self.embedded_dim,
            hidden_units=hidden_units,
            hidden_layers=hidden_layers,
            dropout=dropout,
            batch_norm=batch_norm,
        )
        start_values(self, seed)

    def shallow(self, embedded: Tensor) -> Tensor:
        """Logits of the attention layers."""
        return self.attention_head(self.attention(embedded).flatten(1)).squeeze(-1)
