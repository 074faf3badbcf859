"""One battery for every registered model, and each baseline's formula against loops that share no code with it."""

import cmath
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from qnn_models.data.planted import Planted, planted_dataset
from qnn_models.evaluation.metrics import auc, log_loss
from qnn_models.layers.dropout import Dropout, seed_dropout
from qnn_models.layers.layer import QuadraticLayer
from qnn_models.models.baselines.autoint import FieldAttention
from qnn_models.models.baselines.cl4ctr import ContrastiveModule, EncoderLayer, feature_alignment, field_uniformity
from qnn_models.models.baselines.dcn import VectorCross
from qnn_models.models.baselines.dcnv3 import MaskedCross
from qnn_models.models.baselines.edcn import ParallelLayer, Regulation
from qnn_models.models.baselines.eulernet import EulerLayer
from qnn_models.models.baselines.factorization_machine import pair_sum
from qnn_models.models.baselines.finalmlp import BilinearFusion, FeatureGate
from qnn_models.models.baselines.masknet import FieldNorm, MaskBlock
from qnn_models.models.baselines.parts import MLP, Deep, start_values
from qnn_models.models.baselines.rfm import Amplifier, RotaryAttention
from qnn_models.models.baselines.xdeepfm import CompressedInteractions
from qnn_models.models.registry import build, model_class, model_names
from qnn_models.training.config import TrainConfig
from qnn_models.training.loop import train


@dataclass(frozen=True)
class Fields:
    names: tuple[str, ...] = ("user", "item", "genres", "city")
    vocabulary_sizes: tuple[int, ...] = (5, 7, 4, 3)
    lengths: tuple[int, ...] = (1, 1, 3, 1)


N, F, E = 19, 4, 6
D = F * E
IDS = torch.tensor([[1, 2, 3, 2, 0, 1], [4, 6, 1, 0, 0, 2], [0, 1, 0, 0, 0, 0], [2, 5, 2, 2, 1, 1], [3, 3, 1, 3, 2, 2]])
H, L = 10, 2  # hidden units and layers of the MLPs below


def mlp(inputs: int, hidden: int = H, layers: int = L, outputs: int | None = 1) -> int:
    widths = [inputs] + [hidden] * layers
    inner = sum((a + 1) * b for a, b in itertools.pairwise(widths))
    return inner + (0 if outputs is None else (widths[-1] + 1) * outputs)


def qnn(layers: int, rows: int, *, norm: bool = False) -> int:
    return layers * rows * (D * D + D) + D + 1 + 2 * layers * rows * D * norm


@dataclass(frozen=True)
class Case:
    options: dict[str, Any]
    parameters: int


SMALL = {"hidden_units": H, "hidden_layers": L}
QNN = {"deep": "qnn-alpha", "qnn_layers": 2, "rows": 3}
CASES: dict[str, list[Case]] = {
    "quadratic": [Case({"format": "T9", "layers": 2}, N * E + 2 * (D * D + D) + D + 1)],
    "qnn-alpha": [Case({"layers": 2, "rows": 3}, N * E + qnn(2, 3, norm=True))],
    "lr": [Case({}, N + 1)],
    "fm": [Case({}, N * (E + 1) + 1)],
    "dnn": [
        Case(SMALL, N * E + mlp(D)),
        Case(SMALL | {"batch_norm": True}, N * E + mlp(D) + 2 * L * H),
        Case({"hidden_layers": 0}, N * E + D + 1),
    ],
    "pnn": [Case(SMALL, N * E + mlp(D + F * (F - 1) // 2))],
    "wide-deep": [Case(SMALL, N * (E + 1) + mlp(D))],
    "deepfm": [
        Case(SMALL, N * (E + 1) + mlp(D)),
        Case(QNN | {"batch_norm": True}, N * (E + 1) + qnn(2, 3, norm=True)),
    ],
    "dcn": [Case(SMALL | {"cross_layers": 3}, N * E + 3 * 2 * D + D + mlp(D))],
    "dcnv2": [
        Case(SMALL | {"cross_layers": 3}, N * E + 3 * (D * D + D) + D + mlp(D)),
        Case(QNN | {"cross_layers": 2}, N * E + 2 * (D * D + D) + D + qnn(2, 3)),
    ],
    "xdeepfm": [
        Case(SMALL | {"cin_maps": 5, "cin_layers": 3}, N * (E + 1) + 5 * F * (F + 2 * 5) + 3 * 5 + mlp(D)),
        Case(QNN | {"cin_maps": 5, "cin_layers": 1}, N * (E + 1) + 5 * F * F + 5 + qnn(2, 3)),
    ],
    "autoint": [
        Case(
            SMALL | {"attention_layers": 3, "attention_dim": 4, "heads": 2},
            N * E + 4 * E * 8 + 2 * 4 * 64 + F * 8 + mlp(D),
        )
    ],
    "afn": [Case(SMALL | {"neurons": 7}, 2 * N * E + (F + 1) * 7 + 2 * F + 2 * 7 + mlp(7 * E) + mlp(D) + 3)],
    "edcn": [Case({"layers": 3}, N * E + 3 * (D * D + 3 * D + 2 * F) + 3 * D + 1)],
    "masknet": [
        Case(
            SMALL | {"blocks": 2, "units": 5, "reduction": 0.5},
            N * E + 2 * D + 2 * ((D + 1) * 12 + 13 * D + D * 5 + 2 * 5) + mlp(10),
        ),
        Case(
            {"structure": "serial", "blocks": 2, "units": 4},
            N * E + 2 * D + ((D + 1) * D + (D + 1) * D + D * 4 + 8) + ((D + 1) * 4 + 5 * 4 + 16 + 8) + 5,
        ),
    ],
    "finalmlp": [
        Case(
            SMALL | {"gate_units": 3, "heads": 5},
            N * E + 2 * (E + (E + 1) * 3 + 4 * D) + 2 * mlp(D, outputs=None) + 2 * H + 1 + H * H // 5,
        )
    ],
    "final": [
        Case({"layers": 2}, N * E + 2 * (2 * (D * D + D) + D + 1)),
        Case({"layers": 2, "blocks": 1}, N * E + 2 * (D * D + D) + D + 1),
    ],
    "ecn": [
        Case({"layers": 2}, N * E + 2 * (D * D // 2 + 2 * D) + D + 1),
        Case({"layers": 2, "growth": "both"}, N * E + 2 * (2 * (D * D // 2 + 2 * D) + D + 1)),
    ],
    "cl4ctr": [
        Case(
            SMALL | {"encoder_layers": 2, "encoder_units": 5, "alpha": 0.1},
            N * E + mlp(D) + 2 * (4 * E * E + (E + 1) * 5 + 6 * E + 2 * 2 * E) + 2 * (D + 1) * E,
        )
    ],
    "eulernet": [
        Case({"layers": 1}, N * E + F + F * F + 2 * D + (D + 1) * D + 4 * E + D + 1),
        Case(
            {"layers": 2, "neurons": 5},
            N * E + F + (F * 5 + 5 * 5) + 2 * 2 * 5 * E + (D + 1) * 5 * E + (5 * E + 1) * 5 * E + 2 * 4 * E + 5 * E + 1,
        ),
    ],
    "rfm": [
        Case(
            {"attention_units": 12, "heads": 2, "hidden_units": 40, "hidden_layers": 2, "group": 8},
            N * E
            + (3 * F + 1) * (E * 12 + 12 * 12)
            + 2 * (6 + 24)
            + (E + 1) * 12
            + 4 * 12
            + mlp(F * 12, hidden=40)
            + 2 * 4 * 8,
        ),
        Case(
            {"attention_layers": 1, "attention_units": 8, "hidden_layers": 0},
            N * E + (3 * F + 1) * E * 8 + 8 + 16 + (E + 1) * 8 + 32 + F * 8 + 1,
        ),
    ],
    "qnn-alpha-mlp": [Case(SMALL | {"layers": 2, "rows": 3}, N * E + qnn(2, 3, norm=True) + mlp(D))],
}
BATTERY = [pytest.param(name, case, id=f"{name}-{i}") for name, cases in CASES.items() for i, case in enumerate(cases)]


def make(name: str, case: Case, *, seed: int | None = 0, **more: Any) -> Any:
    size = {} if name == "lr" else {"embedding_dim": E}
    return build(name, Fields(), seed=seed, **size, **case.options, **more)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_every_registered_model_has_a_case() -> None:
    assert set(CASES) == set(model_names())
    assert all(CASES.values())


@pytest.mark.parametrize(("name", "case"), BATTERY)
def test_parameters_are_those_of_the_formula(name: str, case: Case) -> None:
    assert sum(parameter.numel() for parameter in make(name, case).parameters()) == case.parameters


@pytest.mark.parametrize(("name", "case"), BATTERY)
def test_logits_have_one_number_a_row_and_rows_do_not_mix(name: str, case: Case) -> None:
    model = make(name, case).double().eval()
    with torch.no_grad():
        scale_up(model)
        logits = model(IDS)
        assert logits.shape == (5,)
        assert logits.unique().numel() > 1
        torch.testing.assert_close(model(IDS[[3, 1]]), logits[[3, 1]])


@pytest.mark.parametrize(("name", "case"), BATTERY)
def test_every_parameter_gets_a_finite_gradient_that_is_not_zero(name: str, case: Case) -> None:
    model = make(name, case).double().train()
    scale_up(model)
    first, second = model.forward_pair(IDS)
    own = model.regularisation(IDS)
    (first.square().sum() + (second - 1).square().sum() + (0 if own is None else own)).backward()
    # The statistics of BatchNorm take away the bias before it.
    cancelled = {
        f"{layer}.b"
        for layer, module in model.named_modules()
        if isinstance(module, QuadraticLayer) and hasattr(module, "norm_0")
    }
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name
        if parameter_name in cancelled:
            assert parameter.grad.abs().max() < 1e-9, parameter_name
        else:
            assert parameter.grad.any(), parameter_name


@pytest.mark.parametrize(("name", "case"), BATTERY)
def test_start_values_follow_the_seed_alone(name: str, case: Case) -> None:
    def values(noise: int, seed: int | None) -> Tensor:
        torch.manual_seed(noise)
        return torch.cat([parameter.detach().flatten() for parameter in make(name, case, seed=seed).parameters()])

    assert torch.equal(values(1, seed=5), values(2, seed=5))
    assert not torch.equal(values(1, seed=5), values(1, seed=6))
    assert torch.equal(values(3, seed=None), values(3, seed=None))


@pytest.mark.parametrize(("name", "case"), BATTERY)
def test_a_pair_without_dropout_is_one_pass_twice(name: str, case: Case) -> None:
    parts = (name == "final" and case.options.get("blocks", 2) == 2) or case.options.get("growth") == "both"
    model = make(name, case, **({} if name in ("lr", "fm") else {"dropout": 0.0})).double()
    scale_up(model)
    first, second = model.forward_pair(IDS)
    logits = model(IDS)
    if parts:
        assert not torch.equal(first, second), "a pair is the pair of networks"
        torch.testing.assert_close((first + second) / 2, logits)
    else:
        torch.testing.assert_close(first, logits)
        torch.testing.assert_close(second, logits)


@pytest.mark.parametrize(
    ("name", "case"), [entry for entry in BATTERY if not entry.id.startswith(("lr", "fm", "dnn-2"))]
)
def test_dropout_makes_two_passes_differ_and_evaluation_repeatable(name: str, case: Case) -> None:
    model = make(name, case, dropout=0.5).double()
    scale_up(model)
    seed_dropout(model, 0)
    assert any(isinstance(module, Dropout) and module.p == 0.5 for module in model.modules())
    first, second = model.forward_pair(IDS)
    assert not torch.equal(first, second)
    model.eval()
    assert torch.equal(model(IDS), model(IDS))


@dataclass(frozen=True)
class Truth:
    planted: Planted
    auc: float
    logloss: float


@pytest.fixture(scope="module")
def truth() -> Truth:
    """A planted pair, and what the true probabilities reach on its test rows."""
    planted = planted_dataset(rows=(5_000, 1_500, 2_000), vocabulary_sizes=(5, 5, 5, 5), pairs=[(0, 1)])
    labels, logits = planted.dataset.split("test").labels, torch.logit(torch.tensor(planted.probabilities["test"]))
    return Truth(planted, auc(labels, logits), log_loss(labels, logits))


@pytest.mark.parametrize(("name", "case"), [entry for entry in BATTERY if entry.id != "dnn-2"])
def test_a_planted_interaction_is_learnt(name: str, case: Case, truth: Truth) -> None:
    dataset = truth.planted.dataset
    size = {} if name == "lr" else {"embedding_dim": E}
    model = build(name, dataset.layout, seed=0, **size, **case.options)
    result = train(model, dataset, TrainConfig(batch_size=250, learning_rate=1e-2, max_epochs=6), device="cpu")
    missed = (truth.auc - result.test_auc, result.test_logloss - truth.logloss)
    if name == "lr":  # the control: a model without interactions misses twice as much as the others may
        assert min(missed) > 0.14
    else:
        assert max(missed) < 0.07


def scale_up(model: nn.Module) -> None:
    """Embeddings that start at 1e-4 hide products; give them, and zero biases, visible values."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.5 * torch.randn(parameter.shape, dtype=parameter.dtype, generator=generator)


# The formulas, by loops.


def vectors(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def drawn(module: nn.Module) -> nn.Module:
    start_values(module, 0)
    module.double()
    scale_up(module)
    return module.eval()


def test_pair_sum_is_the_sum_over_pairs() -> None:
    v = vectors(3, 5, 4)
    expected = [sum((row[i] @ row[j]).item() for i in range(5) for j in range(i)) for row in v]
    assert pair_sum(v).tolist() == pytest.approx(expected)


def test_vector_cross_is_its_recurrence() -> None:
    module, x0 = drawn(VectorCross(4, layers=3)), vectors(2, 4)
    for row, actual in zip(x0, module(x0), strict=True):
        x = row
        for w, b in zip(module.weights, module.biases, strict=True):
            x = row * sum(w[i] * x[i] for i in range(4)) + b + x
        torch.testing.assert_close(actual, x)


def test_compressed_interactions_are_their_triple_sums() -> None:
    module, v = drawn(CompressedInteractions(3, maps=2, layers=2)), vectors(2, 3, 4)
    for row, actual in zip(v, module(v), strict=True):
        previous, pooled = [row[i] for i in range(3)], []
        for layer in module.layers:
            weight = layer.weight.view(2, len(previous), 3)
            previous = [
                sum(weight[h, i, j] * previous[i] * row[j] for i in range(len(previous)) for j in range(3))
                for h in range(2)
            ]
            pooled += [entry.sum() for entry in previous]
        torch.testing.assert_close(actual, torch.stack(pooled))


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
    actual = model._interactions(v) * math.sqrt(1 + 1e-5)  # the second BatchNorm, of unit statistics
    for b, j, k in itertools.product(range(2), range(3), range(E)):
        powers = [abs(v[b, i, k].item()) ** (model.orders.weight[j, i].item() / math.sqrt(1 + 1e-5)) for i in range(F)]
        expected = math.prod(powers) * math.exp(model.orders.bias[j].item())
        assert actual[b, j, k].item() == pytest.approx(expected)


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


# Wrong inputs.

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("dnn", {"hidden_units": 0}, "hidden_units=0"),
    ("deepfm", {"deep": "cnn"}, "deep='cnn'"),
    ("dcn", {"cross_layers": 0}, "cross_layers=0"),
    ("dcnv2", {"cross_layers": 0}, "layers=0"),
    ("xdeepfm", {"cin_maps": 0}, "cin_maps=0"),
    ("autoint", {"heads": 0}, "heads=0"),
    ("afn", {"neurons": 0}, "neurons=0"),
    ("edcn", {"temperature": 0.0}, "temperature=0.0"),
    ("masknet", {"structure": "both"}, "'both'"),
    ("masknet", {"reduction": 0.0}, "reduction=0.0"),
    ("finalmlp", {"hidden_units": 10, "heads": 3}, "heads=3"),
    ("finalmlp", {"hidden_layers": 0}, "however: 0"),
    ("final", {"blocks": 3}, "blocks=3"),
    ("ecn", {"growth": "cubic"}, "'cubic'"),
    ("cl4ctr", {"alpha": -1.0}, "alpha=-1.0"),
    ("cl4ctr", {"encoder_layers": 0}, "encoder_layers=0"),
    ("eulernet", {"neurons": 0}, "neurons=0"),
    ("rfm", {"attention_layers": 0}, "attention_layers=0"),
    ("rfm", {"heads": 3}, "heads=3, attention_units=32"),
    ("rfm", {"group": 7}, "group=7, hidden_units=128"),
    ("dnn", {"hidden": 3}, "however: 'hidden'; the nearest is 'hidden_units'"),
    ("lr", {"embedding_dim": 3}, r"options \(none\), however: 'embedding_dim'; leave it out"),
]


@pytest.mark.parametrize(("name", "options", "message"), WRONG)
def test_impossible_options_are_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, Fields(), **options)


def test_odd_widths_and_unknown_names_are_named() -> None:
    @dataclass(frozen=True)
    class One:
        names: tuple[str, ...] = ("id",)
        vocabulary_sizes: tuple[int, ...] = (5,)
        lengths: tuple[int, ...] = (1,)

    for name in ("ecn", "final"):
        with pytest.raises(ValueError, match="d must be even, however: d=3"):
            build(name, One(), embedding_dim=3)
    with pytest.raises(KeyError, match="the nearest is 'dcnv2'"):
        model_class("DCN-v2")


def test_parts_are_frozen_values() -> None:
    assert Deep(dropout=0.2) == Deep(dropout=0.2)
    module = MLP(3, hidden_units=4, hidden_layers=0, outputs=2)
    x = vectors(2, 3).float()
    assert torch.equal(module(x), module.out(x))
