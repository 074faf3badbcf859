"""`QuadraticLayer` is the format, exactly: equal to the Fraction oracle to the last bit on small integers."""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

import qnn_theory as qt
from qnn_models import QuadraticLayer
from qnn_models.layers.operations import ACTIVATIONS
from qnn_theory.grammar.evaluate import evaluate, relu_of_numbers
from qnn_theory.grammar.expr import ACTIVATION_KINDS, RowSum, activation, affine, bilinear, constant, relu, scale, x, x0
from qnn_theory.grammar.format import Format, with_mid_activation
from qnn_theory.grammar.widths import divisor, parameters, width
from qnn_theory.registry import qnn_alpha

IDS = [format.id for format in qt.formats()]

# Nodes and shapes that no registered format uses: bilinear maps of two sides, rows over rows, maps of maps.
UNUSUAL = (
    Format("two-sided", bilinear("A", x, affine("W_a")) + x),
    Format("no-bias", affine("W_a", bias=False) * bilinear("A", bias=False) + affine("W_b", bias=False)),
    Format("row-of-maps", RowSum(rows=3, of=x * affine("W_b", relu(affine("W_a"))) * scale("alpha", affine("W_c")))),
    Format("row-bilinear", RowSum(rows=2, of=bilinear("A", x, affine("W_a")) + bilinear("B"))),
    Format("row-of-constant", RowSum(rows=3, of=x) + x0),
    Format("doubled", 2 * x + x),
    Format("signs", 1 - x * affine("W_a") - (affine("W_b") - 2) / 2),
    Format("shifted", (x - 1) ** 2 * (affine("W_a") + 3) + relu(1 - x)),
    Format("row-shifted", RowSum(rows=2, of=(1 - relu(affine("W_a") - x0)) * (constant(3) * x + 1)) - 1),
    Format("constants", affine("W_a", x | constant(2)) * (constant(2) + constant(1)) + affine("W_b", constant(-1))),
    Format("row-concat", RowSum(rows=2, of=affine("W_a") | x) * (x | x)),
    Format("prelu-gate", x * activation("prelu", affine("W_a")) + affine("W_b", x0)),
    Format("relu6", activation("relu6", affine("W_a") ** 3)),
    Format("heads", qnn_alpha(rows=2, heads=2).expr),
    Format("no-mid", qnn_alpha(rows=3, mid_activation=None, residual=False).expr),
)


def fill_with_integers(module: torch.nn.Module, draw_int) -> dict[str, object]:
    """Small integers in every parameter; returns them as nested lists of Fractions for the oracle."""
    values = {}
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            numbers = torch.tensor([draw_int() for _ in range(parameter.numel())], dtype=torch.float64)
            parameter.copy_(numbers.view(parameter.shape))
            values[name] = to_fractions(parameter)
    return values


def to_fractions(tensor: torch.Tensor) -> object:
    def convert(value):
        return [convert(v) for v in value] if isinstance(value, list) else Fraction(value)

    return convert(tensor.tolist())


def assert_bit_equal(format: Format, data: st.DataObject, post=None) -> None:
    dim = divisor(format.expr) * data.draw(st.integers(1, 3), label="multiple")
    layer = QuadraticLayer(format, dim=dim, post_activation=post, dtype=torch.float64)
    seed = data.draw(st.integers(0, 2**32), label="seed")
    generator = torch.Generator().manual_seed(seed)
    values = fill_with_integers(layer, lambda: int(torch.randint(-4, 5, (), generator=generator)))
    points = torch.randint(-4, 5, (3, dim), generator=generator).double()
    first = torch.randint(-4, 5, (3, dim), generator=generator).double()
    result = layer(points, first)
    for point, start, row in zip(points, first, result, strict=True):
        expected = evaluate(
            layer.format.expr,
            [Fraction(v) for v in point.tolist()],
            values,
            x0=[Fraction(v) for v in start.tolist()],
            activation=relu_of_numbers,
        )
        assert [Fraction(v) for v in row.tolist()] == expected


@pytest.mark.parametrize("format", [*qt.formats(), *UNUSUAL], ids=lambda f: f.id)
@given(data=st.data())
def test_module_equals_exact_oracle(format: Format, data: st.DataObject) -> None:
    assert_bit_equal(format, data)


@pytest.mark.parametrize("format", qt.formats(), ids=lambda f: f.id)
@given(data=st.data())
def test_post_activation_equals_exact_oracle(format: Format, data: st.DataObject) -> None:
    assert_bit_equal(format, data, post=data.draw(st.sampled_from(["relu", "relu6", "prelu"]), label="post"))


@pytest.mark.parametrize("format", [*qt.formats(), *UNUSUAL], ids=lambda f: f.id)
def test_gradients_are_those_of_the_formula(format: Format) -> None:
    dim = 2 * divisor(format.expr)
    layer = QuadraticLayer(format, dim=dim, dtype=torch.float64, seed=1)
    points = torch.randn(3, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    names = [name for name, _ in layer.named_parameters()]

    def function(x: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(function, (points, *layer.parameters()))


@pytest.mark.parametrize("id", IDS)
def test_parameters_have_the_declared_shapes(id: str) -> None:
    format = qt.get_format(id)
    dim = 4 * divisor(format.expr)
    layer = QuadraticLayer(id, dim=dim)
    assert {name: tuple(p.shape) for name, p in layer.named_parameters()} == {
        p.name: p.shape(dim) for p in parameters(format.expr)
    }
    assert layer(torch.zeros(2, dim)).shape == (2, int(width(format.expr) * dim))


@pytest.mark.parametrize("id", IDS)
def test_parameters_and_flops_follow_the_formulas(id: str) -> None:
    format = qt.get_format(id)
    cost = qt.cost(id)
    (d,) = cost.parameters.free_symbols | cost.flops.free_symbols
    for dim in (4 * divisor(format.expr), 6 * divisor(format.expr)):
        layer = QuadraticLayer(id, dim=dim)
        assert sum(p.numel() for p in layer.parameters()) == cost.parameters.subs(d, dim)
        with FlopCounterMode(display=False) as counter:
            layer(torch.zeros(5, dim))
        assert counter.get_total_flops() == 5 * cost.flops.subs(d, dim)


@pytest.mark.parametrize("kind", ACTIVATION_KINDS)
def test_every_activation_lowers(kind) -> None:
    layer = QuadraticLayer(with_mid_activation(qt.get_format("T24"), kind), dim=3, post_activation=kind, seed=0)
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    a, b = (x @ layer.get_parameter(f"W_{n}").T + layer.get_parameter(f"b_{n}") for n in "ab")
    slope = (torch.tensor([0.25]),) if kind == "prelu" else ()
    act = ACTIVATIONS[kind]
    torch.testing.assert_close(layer(x), act(a * act(b, *slope) + x, *slope))


def test_initialisation_depends_on_seed_and_name_only() -> None:
    fused, alone = QuadraticLayer("T5", dim=6, seed=3), QuadraticLayer("T9", dim=6, seed=3)
    assert torch.equal(fused.get_parameter("W_a"), alone.get_parameter("W_a"))
    assert not torch.equal(fused.get_parameter("W_a"), fused.get_parameter("W_b"))
    assert torch.equal(QuadraticLayer("T22", dim=6).get_parameter("alpha"), torch.ones(6))
    wide = QuadraticLayer("T9", dim=400, seed=0).get_parameter("W_a")
    assert wide.std().item() == pytest.approx((2 / 800) ** 0.5, rel=0.01)
    bound = QuadraticLayer("T2", dim=25, seed=0)
    assert bound.get_parameter("A").abs().max() <= 1 / 5
    assert bound.get_parameter("b_A").abs().max() <= 1 / 5
    torch.manual_seed(5)
    first = QuadraticLayer("T9", dim=4).get_parameter("W_a")
    torch.manual_seed(5)
    assert torch.equal(first, QuadraticLayer("T9", dim=4).get_parameter("W_a"))


def test_projections_of_one_input_are_one_matrix_product() -> None:
    assert QuadraticLayer("T8", dim=4).source_code.count("linear(") == 1
    assert QuadraticLayer("T20", dim=4).source_code.count("linear(") == 1
    assert QuadraticLayer("QNN-alpha", dim=4).source_code.count("gated_layer(") == 1
    alpha = QuadraticLayer("QNN-alpha", dim=4, gate_norm=True, gate_dropout=0.1, dropout=0.1)
    assert alpha(torch.ones(3, 4)).grad_fn.name() == "_FusedBackward"


def test_constant_factors_leave_the_row_sum() -> None:
    inside = Format("inside", RowSum(rows=5, of=x * relu(affine("W"))) + x)
    assert QuadraticLayer(inside, dim=4).source_code == QuadraticLayer(qnn_alpha(rows=5), dim=4).source_code


def test_a_pair_is_two_passes() -> None:
    """With BatchNorm and dropout inside: outputs, gradients and running statistics of two separate passes."""
    options = {"dim": 8, "gate_norm": True, "gate_dropout": 0.5, "seed": 0, "dtype": torch.float64}
    pair, twice = QuadraticLayer("QNN-alpha", **options), QuadraticLayer("QNN-alpha", **options)
    x = torch.randn(64, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first, second = pair.forward_pair(x)
    assert not torch.equal(first, second)
    twice(x), twice(x)
    for name, buffer in twice.named_buffers():
        if "running" in name:
            torch.testing.assert_close(dict(pair.named_buffers())[name], buffer)
    pair.eval()
    same, again = pair.forward_pair(x)
    assert torch.equal(same, again)
    assert torch.equal(same, pair(x))


@pytest.mark.parametrize("make", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_are_independent(make) -> None:
    layer = QuadraticLayer("T9", dim=4, seed=0)
    x = torch.ones(1, 4)
    before = layer(x)
    twin = make(layer)
    assert torch.equal(twin(x), before)
    with torch.no_grad():
        twin.get_parameter("W_a").add_(1)
    assert torch.equal(layer(x), before)
    assert not torch.equal(twin(x), before)


@pytest.mark.parametrize("options", [{"dropout": -0.1}, {"dropout": 1.0}, {"gate_dropout": -0.1}, {"gate_dropout": 2}])
def test_a_drop_probability_is_one(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"in \[0, 1\), however: p="):
        QuadraticLayer("QNN-alpha", dim=4, **options)


def test_heads_cost_what_one_does() -> None:
    """Aligned heads are one gate over all channels: the same operation, one BatchNorm, one stream of masks."""
    layers = [
        QuadraticLayer(qnn_alpha(rows=2, heads=heads), dim=8, gate_norm=True, gate_dropout=0.1, dropout=0.1, seed=0)
        for heads in (1, 2, 4)
    ]
    assert [layer.source_code.count("gated_layer(") for layer in layers] == [1, 1, 1]
    assert [layer.norm_0.num_features for layer in layers] == [16, 16, 16]
    assert all(not hasattr(layer, "norm_1") for layer in layers)


def test_wrong_input_is_rejected_before_any_computation() -> None:
    with pytest.raises(KeyError, match="nearest is 'T9'"):
        QuadraticLayer("T99", dim=4)
    with pytest.raises(ValueError, match=r"T13 joins two half-width parts, so d must be even, however: d=7"):
        QuadraticLayer("T13", dim=7)
    with pytest.raises(ValueError, match=r"positive integer, however: d=0"):
        QuadraticLayer("T9", dim=0)
    with pytest.raises(ValueError, match=r"\(\*, 4\), however: \(2, 5\)"):
        QuadraticLayer("T9", dim=4)(torch.zeros(2, 5))
    with pytest.raises(ValueError, match=r"\(\*, 4\), however: \(\)"):
        QuadraticLayer("T9", dim=4)(torch.zeros(()))
    with pytest.raises(ValueError, match=r"of the same shape, however: \(1, 4\) and \(2, 4\)"):
        QuadraticLayer("CrossNetV2", dim=4)(torch.zeros(2, 4), torch.zeros(1, 4))
