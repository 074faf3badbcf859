"""Learned partners and orders, against complex arithmetic and loops that share no code with them."""

import cmath
import itertools
import math

import pytest
import torch
from torch import nn

from qnn_models.models.baselines.adaptive.autoint import FieldAttention
from qnn_models.models.baselines.adaptive.eulernet import EulerLayer
from qnn_models.models.baselines.adaptive.rfm import Amplifier, RotaryAttention
from qnn_models.models.baselines.parts.start import start_values
from qnn_models.models.registry import build
from tests.qnn_models.models.cases import E, F, Fields, drawn, vectors


def test_field_attention_is_softmax_by_head() -> None:
    module, v = drawn(FieldAttention(3, width=2, heads=2)), vectors(2, 4, 3)
    for row, actual in zip(v, module(v), strict=True):
        for field in range(4):
            out = []
            for head in range(2):
                q, k, value = (m.weight[2 * head : 2 * head + 2] for m in (module.query, module.key, module.value))
                weights = [math.exp(((q @ row[field]) @ (k @ row[other])).item()) for other in range(4)]
                out.append(sum(w / sum(weights) * (value @ row[other]) for other, w in enumerate(weights)))
            expected = torch.relu(torch.cat(out) + module.residual.weight @ row[field])
            torch.testing.assert_close(actual[field], expected)


def test_logarithmic_neurons_are_products_of_powers() -> None:
    model = build("afn", Fields(), embedding_dim=E, neurons=3, seed=0).double().eval()
    with torch.no_grad():
        model.orders.weight.copy_(vectors(3, F))
        model.orders.bias.copy_(vectors(3))
    v = vectors(2, F, E)
    actual = model.neurons(v) * math.sqrt(1 + 1e-5)  # the second BatchNorm, of unit statistics
    for b, j, k in itertools.product(range(2), range(3), range(E)):
        powers = [abs(v[b, i, k].item()) ** (model.orders.weight[j, i].item() / math.sqrt(1 + 1e-5)) for i in range(F)]
        expected = math.prod(powers) * math.exp(model.orders.bias[j].item())
        assert actual[b, j, k].item() == pytest.approx(expected)


def test_euler_layer_multiplies_complex_powers() -> None:
    layer, real, imaginary = drawn(EulerLayer(3, 2, 4, dropout=0.0)), vectors(2, 3, 4), vectors(2, 3, 4, seed=1)
    products = torch.complex(*layer.products(real, imaginary))
    for row, k, c in itertools.product(range(2), range(2), range(4)):
        expected = cmath.exp(complex(layer.log_modulus[k, c].item(), layer.angle[k, c].item()))
        for j in range(3):
            expected *= complex(real[row, j, c].item(), imaginary[row, j, c].item()) ** layer.orders[j, k].item()
        assert products[row, k, c].item() == pytest.approx(expected)
    for part, product, norm, actual in zip(
        (real, imaginary), (products.real, products.imag), layer.norms, layer((real, imaginary)), strict=True
    ):
        for row in range(2):
            mapped = torch.relu(layer.linear.weight @ part[row].flatten() + layer.linear.bias)
            y = product[row] + mapped.view(2, 4)
            for k in range(2):
                normal = (y[k] - y[k].mean()) / torch.sqrt(y[k].var(unbiased=False) + 1e-5)
                torch.testing.assert_close(actual[row, k], normal * norm.weight + norm.bias)


def test_neurons_of_an_euler_layer_start_as_fields() -> None:
    layer = EulerLayer(3, 5, 4, dropout=0.0)
    start_values(layer, 0)
    real, imaginary = vectors(2, 3, 4).float(), vectors(2, 3, 4, seed=1).float()
    products, z = torch.complex(*layer.products(real, imaginary)), torch.complex(real, imaginary)
    torch.testing.assert_close(products, z[:, [0, 1, 2, 0, 1]], rtol=0.1, atol=0.1)
    assert not torch.equal(products[:, 0], products[:, 3])


def test_rotary_attention_weighs_by_the_cosine_of_differences() -> None:
    module, v = drawn(RotaryAttention(3, 4, units=6, heads=2, dropout=0.0)), vectors(2, 3, 4)
    q, k, value = (torch.stack([v[:, i] @ maps[i] for i in range(3)], dim=1) for maps in module.projections)
    for row, i in itertools.product(range(2), range(3)):
        out = []
        for head in range(2):
            part = slice(3 * head, 3 * head + 3)
            total = torch.zeros(3, dtype=torch.float64)
            for j in range(3):
                # Re(e^(iq) · conj e^(ik)) is the cosine of the angle between the two.
                pairs = zip(q[row, i, part].tolist(), k[row, j, part].tolist(), strict=True)
                cosines = [(cmath.exp(1j * a) * cmath.exp(-1j * b)).real for a, b in pairs]
                score = sum(w * c for w, c in zip(module.weight.tolist(), cosines, strict=True))
                total += value[row, j, part] / (1 + math.exp(-score))
            out.append(total)
        y = torch.cat(out) + module.residual.weight @ v[row, i]
        normal = (y - y.mean()) / torch.sqrt(y.var(unbiased=False) + 1e-5)
        torch.testing.assert_close(module(v)[row, i], normal * module.norm.weight + module.norm.bias)


def test_the_angles_of_rotary_attention_are_a_product_of_rotations() -> None:
    module, v = drawn(RotaryAttention(3, 4, units=6, heads=1, dropout=0.0)), vectors(1, 3, 4)
    module.norm = nn.Identity()
    module.residual = nn.Linear(4, 6, bias=False).double()
    nn.init.zeros_(module.residual.weight)
    q, k, value = (torch.einsum("bfi,fiu->bfu", v, maps) for maps in module.projections)
    orders = torch.sigmoid(module.similarity(q, k))[0]
    turned = module(v)[0]
    for i, u in itertools.product(range(3), range(6)):
        expected = math.prod((cmath.exp(1j * orders[i, j].item() * value[0, j, u].item()) for j in range(3)), start=1)
        assert cmath.exp(1j * turned[i, u].item()) == pytest.approx(expected)


def test_amplifier_maps_both_parts_alike_and_normalises_groups() -> None:
    module, z = drawn(Amplifier(3, units=4, group=2, dropout=0.0)), (vectors(2, 3), vectors(2, 3, seed=1))
    for part, norm, actual in zip(z, module.norms, module(z), strict=True):
        for row in range(2):
            y = torch.relu(module.linear.weight @ part[row] + module.linear.bias)
            for group in (slice(0, 2), slice(2, 4)):
                normal = (y[group] - y[group].mean()) / torch.sqrt(y[group].var(unbiased=False) + 1e-5)
                torch.testing.assert_close(actual[row, group], normal * norm.weight + norm.bias)
