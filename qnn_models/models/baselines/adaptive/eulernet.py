"""EulerNet: interactions of learned order as products of complex powers, in polar coordinates (tian2023eulernet)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from qnn_models.layers.dropout import Dropout
from qnn_models.models.baselines.parts.baseline import Baseline
from qnn_models.models.baselines.parts.options import WithDropout, require
from qnn_models.models.baselines.parts.start import Drawn

_SMALLEST = 1e-4  # of a modulus, whose logarithm is taken
_BIAS_STD = 0.01


class EulerLayer(Drawn):
    """Neurons ``z'_k = LN(Π_j z_j^α_jk · exp(λ_k + i θ_k) + relu(W z + b)_k)`` on complex fields ``z_j``, by coordinate.

    A product of powers is a sum in polar coordinates: its logarithmic modulus is ``Σ_j α_jk ln |z_j| + λ_k`` and its angle
    ``Σ_j α_jk arg z_j + θ_k``, with principal arguments and ``|z_j|`` at least 1e-4. ReLU and the real W take real and
    imaginary parts separately; so do the layer normalisations, each shared by the neurons.

    **Shape:** real and imaginary parts ``(batch, inputs, e)`` -> the same of ``(batch, neurons, e)``.

    Parameters, with f inputs and m neurons: ``f m`` orders, ``2 m e`` biases of products, ``(f e + 1) m e``, and ``4 e`` of
    the norms.

    Args:
        inputs: number of complex vectors that come in.
        neurons: number of complex vectors that go out.
        dim: width e of each.
        dropout: dropout probability of logarithms, angles and inputs of the linear map.
    """

    def __init__(self, inputs: int, neurons: int, dim: int, *, dropout: float) -> None:
        super().__init__()
        # Neuron k starts as field k, over again where there are more neurons than fields.
        self.orders = nn.Parameter(torch.eye(inputs)[:, torch.arange(neurons) % inputs])
        self.log_modulus = nn.Parameter(torch.empty(neurons, dim))
        self.angle = nn.Parameter(torch.empty(neurons, dim))
        self.linear = nn.Linear(inputs * dim, neurons * dim)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.dropout = Dropout(dropout)

    def draw(self, generator: torch.Generator) -> None:
        """Small biases, which tell apart neurons that start as the same field."""
        for bias in (self.log_modulus, self.angle):
            bias.normal_(0, _BIAS_STD, generator=generator)

    def forward(self, z: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Real and imaginary parts of all neurons."""
        products, (real_norm, imaginary_norm) = self.products(*z), self.norms
        mapped = (functional.relu(self.linear(self.dropout(part.flatten(1)))).view_as(products[0]) for part in z)
        real, imaginary = (product + part for product, part in zip(products, mapped, strict=True))
        return real_norm(real), imaginary_norm(imaginary)

    def products(self, real: Tensor, imaginary: Tensor) -> tuple[Tensor, Tensor]:
        """Real and imaginary parts of ``Π_j z_j^α_jk · exp(λ_k + i θ_k)``."""
        logarithms = 0.5 * (real.square() + imaginary.square()).clamp(min=_SMALLEST**2).log()
        angles = torch.atan2(imaginary, real)
        orders = self.orders.T
        modulus = (orders @ self.dropout(logarithms) + self.log_modulus).exp()
        angle = orders @ self.dropout(angles) + self.angle
        return modulus * angle.cos(), modulus * angle.sin()


class EulerNet(Baseline):
    """Embeddings are angles, ``z_j = μ_j exp(i v_j)``; `EulerLayer`s follow, and ``logit = <w, Re z + Im z> + b``.

    Cost beside the table, with m neurons: f for the moduli, `EulerLayer`'s parameters for f and then m inputs, and
    ``m e + 1``.

    Args:
        layers: number of layers.
        neurons: neurons m of each; as many as there are fields when left out.
        dropout: dropout probability of what each layer reads.

    Raises:
        ValueError: no layers or no neurons.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(WithDropout):
        layers: int = 1
        neurons: int | None = None

        def __post_init__(self) -> None:
            smallest = min(self.layers, 1 if self.neurons is None else self.neurons)
            rule = "EulerNet has at least 1 layer and neuron"
            require(smallest >= 1, rule, layers=self.layers, neurons=self.neurons)

    options: Options

    def _make(self, seed: int | None) -> None:
        fields, dim = self.embedding.num_fields, self.options.embedding_dim
        width = fields if self.options.neurons is None else self.options.neurons
        self.moduli = nn.Parameter(torch.ones(fields, 1))
        self.layers = nn.Sequential(
            *(
                EulerLayer(inputs, width, dim, dropout=self.options.dropout)
                for inputs in [fields] + [width] * (self.options.layers - 1)
            )
        )
        self.head = nn.Linear(width * dim, 1)

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)``."""
        real, imaginary = self.layers((self.moduli * embedded.cos(), self.moduli * embedded.sin()))
        return self.head((real + imaginary).flatten(1)).squeeze(-1)
