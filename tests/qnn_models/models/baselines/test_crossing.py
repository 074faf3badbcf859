"""Cross networks, against their recurrences in loops that share no code with them."""

import math

import pytest
import torch

from qnn_models.models.baselines.crossing.dcn import VectorCross
from qnn_models.models.baselines.crossing.dcnv3 import MaskedCross
from qnn_models.models.baselines.crossing.edcn import ParallelLayer, Regulation
from tests.qnn_models.models.cases import drawn, vectors


def test_vector_cross_is_its_recurrence() -> None:
    module, x0 = drawn(VectorCross(4, layers=3)), vectors(2, 4)
    for row, actual in zip(x0, module(x0), strict=True):
        x = row
        for w, b in zip(module.weights, module.biases, strict=True):
            x = row * sum(w[i] * x[i] for i in range(4)) + b + x
        torch.testing.assert_close(actual, x)


@pytest.mark.parametrize("growth", ["exponential", "linear"])
def test_masked_cross_is_its_recurrence(growth: str) -> None:
    module, x0 = drawn(MaskedCross(4, layers=2, growth=growth, dropout=0.0)), vectors(2, 4)  # type: ignore[arg-type]
    for row, actual in zip(x0, module(x0), strict=True):
        x = row
        for linear, norm, bias in zip(module.linears, module.norms, module.biases, strict=True):
            c = linear.weight @ x
            normal = (c - c.mean()) / torch.sqrt(((c - c.mean()) ** 2).mean() + 1e-5) * norm.weight + norm.bias
            mask = torch.stack([c[i] * max(0.0, normal[i].item()) for i in range(2)])
            x = (x if growth == "exponential" else row) * torch.cat([c, mask]) + bias + x
        torch.testing.assert_close(actual, x)


def test_edcn_layer_and_gates_are_their_formulas() -> None:
    layer, gates = drawn(ParallelLayer(6, dropout=0.0)), drawn(Regulation(3, temperature=2.0))
    x0, c, h = vectors(2, 6), vectors(2, 6, seed=1), vectors(2, 6, seed=2)
    cross, deep, bridge = layer(x0, c, h)
    for row in range(2):
        torch.testing.assert_close(cross[row], x0[row] * (layer.weight @ c[row]) + layer.bias + c[row])
        torch.testing.assert_close(deep[row], torch.relu(layer.deep.weight @ h[row] + layer.deep.bias))
    torch.testing.assert_close(bridge, cross * deep)
    for part, gate in zip(gates(c), gates.gates, strict=True):
        weights = [math.exp(g / 2.0) for g in gate.tolist()]
        for field in range(3):
            expected = c[:, 2 * field : 2 * field + 2] * 3 * weights[field] / sum(weights)
            torch.testing.assert_close(part[:, 2 * field : 2 * field + 2], expected)
    even = Regulation(3, temperature=1.0).double()(c)
    torch.testing.assert_close(even, (c, c))
