"""One battery for every registered model, and each baseline's formula against loops that share no code with it."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from qnn_models.baselines.autoint import FieldAttention
from qnn_models.baselines.dcn import VectorCross
from qnn_models.baselines.dcnv3 import MaskedCross
from qnn_models.baselines.edcn import ParallelLayer, Regulation
from qnn_models.baselines.factorization_machine import pair_sum
from qnn_models.baselines.finalmlp import BilinearFusion, FeatureGate
from qnn_models.baselines.masknet import FieldNorm, MaskBlock
from qnn_models.baselines.parts import MLP, Deep, start_values
from qnn_models.baselines.xdeepfm import CompressedInteractions
from qnn_models.data.planted import Planted, planted_dataset
from qnn_models.dropout import Dropout, seed_dropout
from qnn_models.metrics import auc, log_loss
from qnn_models.registry import build, model_class, model_names
from qnn_models.training import TrainConfig, train


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
    (first.square().sum() + (second - 1).square().sum()).backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name
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
