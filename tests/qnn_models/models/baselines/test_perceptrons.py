"""What stands before and after the MLPs, and the terms of CL4CTR, against loops that share no code with them."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from qnn_models.layers.dropout import seed_dropout
from qnn_models.models.baselines.perceptrons.cl4ctr import (
    ContrastiveModule,
    EncoderLayer,
    feature_alignment,
    field_uniformity,
)
from qnn_models.models.baselines.perceptrons.finalmlp import BilinearFusion, FeatureGate
from qnn_models.models.baselines.perceptrons.masknet import FieldNorm, MaskBlock
from qnn_models.models.registry import build
from tests.qnn_models.models.cases import IDS, SMALL, D, E, F, Fields, N, drawn, vectors


def test_bilinear_fusion_is_its_form_by_head() -> None:
    module, a, b = drawn(BilinearFusion(4, heads=2)), vectors(3, 4), vectors(3, 4, seed=1)
    for row in range(3):
        expected = module.first.bias[0] + module.first.weight[0] @ a[row] + module.second.weight[0] @ b[row]
        for h, i, j in itertools.product(range(2), range(2), range(2)):
            expected = expected + a[row, 2 * h + i] * module.weight[h, i, j] * b[row, 2 * h + j]
        torch.testing.assert_close(module(a, b)[row], expected)


def test_gates_of_finalmlp_multiply_by_twice_a_sigmoid() -> None:
    module, x = drawn(FeatureGate(4, context_dim=3, hidden_units=2)), vectors(2, 4)
    layer, out = module.mlp.hidden[0][0], module.mlp.out
    hidden = [max(0.0, (layer.weight[i] @ module.context + layer.bias[i]).item()) for i in range(2)]
    for k in range(4):
        z = sum(out.weight[k, i].item() * hidden[i] for i in range(2)) + out.bias[k].item()
        torch.testing.assert_close(module(x)[:, k], x[:, k] * 2 / (1 + math.exp(-z)))


def test_mask_block_is_its_formula() -> None:
    module = drawn(MaskBlock(4, 3, units=2, reduction=1.0, dropout=0.0))
    v, x = vectors(2, 4), vectors(2, 3, seed=1)
    lower, upper = module.mask[0], module.mask[2]
    for row in range(2):
        mask = upper.weight @ torch.relu(lower.weight @ v[row] + lower.bias) + upper.bias
        y = module.linear.weight @ (mask * x[row])
        normal = (y - y.mean()) / torch.sqrt(
            ((y - y.mean()) ** 2).mean() + 1e-5
        ) * module.norm.weight + module.norm.bias
        torch.testing.assert_close(module(v, x)[row], torch.relu(normal))


def test_field_norm_normalises_each_field() -> None:
    module, v = FieldNorm(3, 5).double(), vectors(2, 3, 5)
    y = module(v).view(2, 3, 5)
    torch.testing.assert_close(y.mean(-1), torch.zeros(2, 3, dtype=torch.float64))
    torch.testing.assert_close(y.var(-1, unbiased=False), torch.ones(2, 3, dtype=torch.float64), rtol=1e-3, atol=0)


def test_inner_products_of_pnn_are_those_of_all_pairs() -> None:
    model, v = build("pnn", Fields(), embedding_dim=E, **SMALL), vectors(2, F, E).float()
    signals = model._signals(v)  # type: ignore[operator]
    assert torch.equal(signals[:, :D], v.flatten(1))
    expected = torch.stack([(v[:, i] * v[:, j]).sum(1) for i, j in itertools.combinations(range(F), 2)], dim=1)
    torch.testing.assert_close(signals[:, D:], expected)


def fields_of(*sizes: int) -> list[Tensor]:
    return [vectors(size, 3, seed=seed) for seed, size in enumerate(sizes)]


def test_alignment_and_uniformity_are_means_over_pairs() -> None:
    fields = fields_of(4, 1, 3)
    within = [((a - b) ** 2).sum().item() for field in fields for a in field for b in field]
    assert feature_alignment(fields).item() == pytest.approx(sum(within) / len(within))
    between = [
        (a @ b / (a @ a * (b @ b)).sqrt()).item() for f, g in itertools.permutations(fields, 2) for a in f for b in g
    ]
    assert field_uniformity(fields).item() == pytest.approx(sum(between) / len(between))


def test_a_single_field_and_a_field_without_features_have_no_pairs() -> None:
    assert field_uniformity(fields_of(4)).item() == pytest.approx(0, abs=1e-12)
    assert feature_alignment(fields_of(1, 0)).item() == 0
    assert field_uniformity([*fields_of(4), vectors(0, 3)]).item() == pytest.approx(0, abs=1e-12)


def test_encoder_layer_is_attention_and_two_maps() -> None:
    module, v = drawn(EncoderLayer(3, units=5, dropout=0.0)), vectors(2, 4, 3)

    def normal(x: Tensor, norm: nn.LayerNorm) -> Tensor:
        return (x - x.mean()) / torch.sqrt(((x - x.mean()) ** 2).mean() + 1e-5) * norm.weight + norm.bias

    for row, actual in zip(v, module(v), strict=True):
        for field in range(4):
            q = module.query.weight @ row[field]
            weights = [math.exp((q @ (module.key.weight @ other)).item() / math.sqrt(3)) for other in row]
            attended = sum(w / sum(weights) * (module.value.weight @ x) for w, x in zip(weights, row, strict=True))
            y = normal(row[field] + module.out.weight @ attended, module.attention_norm)
            hidden = torch.relu(module.lower.weight @ y + module.lower.bias)
            expected = normal(y + module.upper.weight @ hidden + module.upper.bias, module.norm)
            torch.testing.assert_close(actual[field], expected)


def test_contrast_is_the_mean_distance_of_two_views() -> None:
    module, v = drawn(ContrastiveModule(4, 3, layers=1, units=5, mask=0.5, dropout=0.0)), vectors(5, 4, 3)
    seed_dropout(module, 3)
    module.train()
    actual = module(v)
    seed_dropout(module, 3)
    total = 0.0
    views = [module.encoder(v * module.mask.mask(v)) for _ in range(2)]
    for first, second in zip(*views, strict=True):
        h, k = (
            projection.weight @ view.flatten() + projection.bias
            for projection, view in zip(module.projections, (first, second), strict=True)
        )
        total += sum((a - b) ** 2 for a, b in zip(h.tolist(), k.tolist(), strict=True))
    assert not torch.equal(*views)
    assert actual.item() == pytest.approx(total / 5)
    assert module(v[:0]).item() == 0


def test_the_terms_of_cl4ctr_are_weighted_and_leave_padding_out() -> None:
    def terms(alpha: float, beta: float) -> Tensor:
        model = build("cl4ctr", Fields(), embedding_dim=E, alpha=alpha, beta=beta, seed=0, **SMALL).double().eval()
        with torch.no_grad():
            model.embedding.weight.copy_(vectors(N, E))
            model.embedding.weight[[0, 5, 12, 16]] = 100.0  # of padding
        model.requires_grad_(True)
        found = model.regularisation(IDS[:0] if alpha == 0 else IDS)
        assert found is not None
        found.backward()
        if alpha == 0:
            grad = model.embedding.weight.grad
            assert not grad[[0, 5, 12, 16]].any()
            assert grad[1].any()
        return found.detach()

    table = vectors(N, E)
    fields = [table[1:5], table[6:12], table[13:16], table[17:19]]
    shaped = feature_alignment(fields) + field_uniformity(fields)
    torch.testing.assert_close(terms(0.0, 0.3), 0.3 * shaped)
    contrast = terms(1.0, 0.0)
    assert contrast > 0
    torch.testing.assert_close(terms(2.0, 0.3), 2 * contrast + 0.3 * shaped)
