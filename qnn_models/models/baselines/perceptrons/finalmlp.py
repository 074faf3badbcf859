"""FinalMLP: two MLPs on gated embeddings, fused by bilinear forms (mao2023finalmlp)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qnn_models.models.baselines.parts.baseline import Baseline
from qnn_models.models.baselines.parts.mlp import MLP
from qnn_models.models.baselines.parts.options import WithNormedMLP, require
from qnn_models.models.baselines.parts.start import Drawn


class FeatureGate(Drawn):
    """``v ⊙ 2 σ(MLP(context))`` with a learned context vector, the paper's choice where no field is preferred.

    Parameters: e for the context, ``(e + 1) a + (a + 1) d`` for the MLP with one hidden layer of width a.
    """

    def __init__(self, dim: int, *, context_dim: int, hidden_units: int) -> None:
        super().__init__()
        self.context = nn.Parameter(torch.empty(context_dim))
        self.mlp = MLP(context_dim, hidden_units=hidden_units, hidden_layers=1, outputs=dim)

    def draw(self, generator: torch.Generator) -> None:
        """Standard normal, so that the two streams' gates differ from the start."""
        self.context.normal_(generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Gate all rows alike."""
        return x * (2 * torch.sigmoid(self.mlp(self.context)))


class BilinearFusion(Drawn):
    """``b + <w_1, o_1> + <w_2, o_2> + Σ_h o_1[h]ᵀ W_h o_2[h]``: the heads h cut both streams into equal parts.

    **Shape:** two of ``(batch, units)`` -> ``(batch,)``.

    Parameters: ``2 units + 1 + units² / heads``.
    """

    def __init__(self, units: int, *, heads: int) -> None:
        super().__init__()
        if heads < 1 or units % heads:
            raise ValueError(f"Heads cut the streams, so heads must divide hidden_units, however: {heads=}, {units=}.")
        self.heads = heads
        self.first = nn.Linear(units, 1)
        self.second = nn.Linear(units, 1, bias=False)
        self.weight = nn.Parameter(torch.empty(heads, units // heads, units // heads))

    def draw(self, generator: torch.Generator) -> None:
        """Xavier-normal by head."""
        self.weight.normal_(0, self.weight.shape[1] ** -0.5, generator=generator)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Logits."""
        mapped = torch.einsum("bhi,hij->bhj", first.unflatten(1, (self.heads, -1)), self.weight).flatten(1)
        return (self.first(first) + self.second(second)).squeeze(-1) + (mapped * second).sum(1)


class FinalMLP(Baseline):
    """Two streams ``MLP_k(gate_k(v))`` without last maps, and their `BilinearFusion`.

    Cost: the parameters of table, two `FeatureGate`, two `MLP` without last map and one `BilinearFusion`.

    Args:
        embedding_dim: width e of each embedding, and of the gates' contexts.
        gate_units: width of the gates' hidden layer.
        heads: heads of the fusion.

    Raises:
        ValueError: streams without hidden layers.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(WithNormedMLP):
        hidden_layers: int = 2
        gate_units: int = 64
        heads: int = 2

        def __post_init__(self) -> None:
            fusible = self.hidden_layers >= 1
            require(fusible, "FinalMLP fuses hidden layers, so there is at least 1", hidden_layers=self.hidden_layers)

    options: Options

    def _make(self, seed: int | None) -> None:
        dim, options = self.embedded_dim, self.options
        self.gates = nn.ModuleList(
            FeatureGate(dim, context_dim=options.embedding_dim, hidden_units=options.gate_units) for _ in range(2)
        )
        self.streams = nn.ModuleList(options.normed_mlp(dim, outputs=None) for _ in range(2))
        self.fusion = BilinearFusion(options.hidden_units, heads=options.heads)

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)``."""
        x = embedded.flatten(1)
        first, second = (stream(gate(x)) for gate, stream in zip(self.gates, self.streams, strict=True))
        return self.fusion(first, second)
