"""Cost formulas against the torch modules, torch's own counters, and every published parameter count."""

from __future__ import annotations

import csv
from contextlib import AbstractContextManager, nullcontext
from importlib.resources import files

import pytest
import sympy
import torch
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

import qnn_theory as qt
from qnn_models import QuadraticLayer
from qnn_theory.costs import Cost, cost, network_cost
from qnn_theory.grammar.expr import RowSum, affine, bilinear, relu, scale, walk, x, x0
from qnn_theory.grammar.format import Format, with_mid_activation, with_post_activation
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import HeadLayout, qnn_alpha

D = sympy.Symbol("d")

UNUSUAL = (
    Format("two-sided", bilinear("A", x, affine("W_a")) + x),
    Format("no-bias", affine("W_a", bias=False) * bilinear("A", bias=False) + affine("W_b", bias=False)),
    Format("row-of-maps", RowSum(rows=3, of=x * affine("W_b", relu(affine("W_a"))) * scale("alpha", affine("W_c")))),
    Format("row-bilinear", RowSum(rows=2, of=bilinear("A", x, affine("W_a")) + bilinear("B"))),
    Format("row-of-constant", RowSum(rows=3, of=x) + x0 * affine("W_a")),
    Format("cubes", affine("W_a") ** 3 * affine("W_b") * scale("alpha", x)),
    Format("shared", relu(affine("W_a")) * affine("W_a") + relu(affine("W_a")) ** 2),
    qnn_alpha(rows=3, heads=2),
    qnn_alpha(rows=3, mid_activation=None, residual=False),
    *(with_mid_activation(qt.get_format("T24"), kind) for kind in ("relu6", "prelu", "gelu", "silu", "mish", "tanh")),
    with_post_activation(qt.get_format("T16"), "sigmoid"),
)
ALL = (*qt.formats(), *UNUSUAL)


def runs() -> list[dict[str, str]]:
    text = files("qnn_theory").joinpath("published/published_runs.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def inputs(dim: int, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, first = torch.randn(2, batch, dim, generator=generator, dtype=torch.float64)
    return x.requires_grad_(), first.requires_grad_()


def in_place_addmm_flops(_: torch.Size, a: torch.Size, b: torch.Size, *, out_shape: object = None, **__: object) -> int:
    """FlopCounterMode knows addmm but not its in-place form."""
    return 2 * a[0] * a[1] * b[1]


@pytest.mark.parametrize("format", ALL, ids=lambda f: f.id)
def test_parameters_and_flops_are_those_of_the_module(format: Format) -> None:
    formula = cost(format)
    for dim in (2 * divisor(format.expr), 6 * divisor(format.expr)):
        layer = QuadraticLayer(format, dim=dim, dtype=torch.float64)
        assert sum(p.numel() for p in layer.parameters()) == formula.parameters.subs(D, dim)
        assert layer.out_dim == formula.output_width.subs(D, dim)
        with FlopCounterMode(display=False) as forward:
            y = layer(*inputs(dim, 5))
        assert forward.get_total_flops() == 5 * formula.flops.subs(D, dim)
        with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: in_place_addmm_flops}) as step:
            layer(*inputs(dim, 5)).sum().backward()
        assert step.get_total_flops() == 5 * formula.training_flops.subs(D, dim)
        assert y.shape == (5, layer.out_dim)


def kept_for_backward(layer: QuadraticLayer, dim: int, batch: int) -> int:
    """Distinct scalars in the tensors that autograd saves, seen by their addresses."""
    addresses: set[int] = set()
    alive = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        alive.append(tensor)  # so that no address is used twice
        index = torch.zeros(tensor.shape, dtype=torch.int64)
        for axis, (length, stride) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
            shape = [1] * tensor.dim()
            shape[axis] = length
            index = index + (torch.arange(length) * stride).view(shape)
        addresses.update((tensor.data_ptr() + index.flatten() * tensor.element_size()).tolist())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        layer(*inputs(dim, batch))
    return len(addresses)


class OneByOne(TorchFunctionMode):
    """A mode that watches torch functions, under which the modules fuse none of them."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


def plain_rows(format: Format) -> AbstractContextManager[object]:
    """Row sums by plain operations: the fused layer keeps bits where the formula counts scalars."""
    return OneByOne() if any(isinstance(node, RowSum) for node in walk(format.expr)) else nullcontext()


@pytest.mark.parametrize("format", ALL, ids=lambda f: f.id)
def test_kept_memory_is_what_autograd_keeps(format: Format) -> None:
    formula = cost(format)
    for dim in (2 * divisor(format.expr), 4 * divisor(format.expr)):
        layer = QuadraticLayer(format, dim=dim, dtype=torch.float64, seed=0)
        # The difference of two batches leaves out the parameters, which autograd keeps as well.
        with plain_rows(format):
            growth = kept_for_backward(layer, dim, 5) - kept_for_backward(layer, dim, 3)
        expected = 2 * formula.activation_elements.subs(D, dim)
        # einsum copies what it broadcasts over the rows, which the formula does not follow.
        assert growth >= expected if format.id == "row-bilinear" else growth == expected


@pytest.mark.parametrize("rows", [4, 9])
@pytest.mark.parametrize("head_layout", ["aligned", "released"])
def test_a_fused_layer_keeps_input_gate_and_a_byte_for_eight_rows(rows: int, head_layout: HeadLayout) -> None:
    dim, heads = 8, 1 if head_layout == "aligned" else 2
    format = qnn_alpha(rows=rows, heads=heads, head_layout=head_layout, embedding_dim=4)
    layer = QuadraticLayer(format, dim=dim, dtype=torch.float64, seed=0)
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        layer(*inputs(dim, 5))
    # Parameters are there anyway; the bias is kept for backward passes that are differentiated in their turn.
    parameters = layer.get_parameter("W").nbytes + layer.get_parameter("b").nbytes
    assert sum(kept.values()) - parameters == 5 * dim * (2 * 8 + -(-rows // 8))


@pytest.mark.parametrize(
    ("id", "operations"),
    [
        ("T9", 3 * D),  # bias, product, residual
        ("T4", 2 * D),  # bias, square
        ("T2", D * (D + 1) / 2 + D),  # products x_i x_j, bias
        ("T15", D),  # half-width bias and square; the shared map is computed once
        ("QNN-alpha", 4 * D + 4 * D + 3 * D + 2 * D),  # biases, gates, sum of rows, product, residual
    ],
)
def test_elementwise_operations_counted_by_hand(id: str, operations: sympy.Expr) -> None:
    assert sympy.expand(cost(id).elementwise_flops - operations) == 0


def test_rows_may_be_a_symbol_and_heads_change_nothing() -> None:
    M = sympy.Symbol("M")
    assert sympy.expand(cost("QNN-alpha", rows=M).parameters - (M * D**2 + M * D)) == 0
    assert sympy.expand(cost("QNN-alpha", rows=M).flops - 2 * M * D**2) == 0
    single = cost(qnn_alpha(rows=5))
    for heads in (2, 3, 4, 8):
        several = cost(qnn_alpha(rows=5, heads=heads))
        assert (several.parameters, several.flops) == (single.parameters, single.flops)


def expected_parameters(run: dict[str, str]) -> int:
    """A published run's parameters outside the embedding table, from the formulas alone."""
    vocabulary = files("qnn_theory").joinpath("published/vocabulary_sizes.csv").read_text(encoding="utf-8")
    sizes = [
        int(row["vocabulary_size"])
        for row in csv.DictReader(vocabulary.splitlines())
        if row["dataset"] == run["dataset"]
    ]
    fields, layers, width = len(sizes), int(run["num_layers"]), int(run["embedding_dim"])
    normalised = run["batch_norm_present_in_params"] == "True"
    if run["neuron_type"] != "None":
        network = network_cost(
            run["neuron_type"],
            layers=layers,
            fields=fields,
            embedding_dim=width,
            projection=100 if run["neuron_type"] in ("T1", "T2", "T6") else None,
            batch_norm="outputs" if normalised else None,
        )
        return int(network.parameters)
    alpha = qnn_alpha(
        rows=int(run["num_rows"]), heads=int(run["num_heads"]), head_layout="released", embedding_dim=width
    )
    place = "gates" if normalised else None
    network = network_cost(alpha, layers=layers, fields=fields, embedding_dim=width, batch_norm=place)
    first_order = sum(sizes)
    extra = {"QNN_alpha": 0, "QNN_alpha_in_DeepFM": first_order + 1}
    if run["arm"] in extra:
        return int(network.parameters) + extra[run["arm"]]
    if run["arm"] == "QNN_alpha_in_DCNv2":
        cross = network_cost(
            "CrossNetV2",
            layers=int(run["num_cross_layers"]),
            fields=fields,
            embedding_dim=width,
            batch_norm="outputs",
        )
        return int(network.parameters + cross.parameters) - 1  # one head over both outputs: one bias
    # xDeepFM: first-order weights without bias; a compressed interaction network of 64, 64 maps (Frappe) or 32 (ML-1M).
    units = {"Frappe_x1_h5": (64, 64), "ML_1M_7_x1": (32,)}[run["dataset"]]
    inner = sum(fields * before * after + after for before, after in zip((fields, *units), units, strict=False))
    return int(network.parameters) + first_order + inner + sum(units) + 1


@pytest.mark.parametrize("run", runs(), ids=lambda run: f"{run['dataset']}-{run['arm']}-{run['neuron_type']}")
def test_published_parameter_counts_to_the_unit(run: dict[str, str]) -> None:
    assert int(run["num_parameters"]) - int(run["embedding_params"]) == expected_parameters(run)


def test_embedding_tables_of_the_published_runs() -> None:
    vocabulary = files("qnn_theory").joinpath("published/vocabulary_sizes.csv").read_text(encoding="utf-8")
    for run in runs():
        total = sum(
            int(row["vocabulary_size"])
            for row in csv.DictReader(vocabulary.splitlines())
            if row["dataset"] == run["dataset"]
        )
        network = network_cost("T9", layers=1, fields=1, embedding_dim=int(run["embedding_dim"]), vocabulary=total)
        assert network.embedding_parameters == int(run["embedding_params"])
        assert network.embedding_bytes == 4 * int(run["embedding_params"])


def test_network_formulas_are_sums_over_layers() -> None:
    """A width that grows from layer to layer (T18-paper) is summed layer by layer."""
    f, e, L, B = sympy.symbols("f e L B")
    network = network_cost("T18-paper")
    by_hand = sum(cost("T18-paper").parameters.subs(D, 6 * 2**layer) for layer in range(3)) + 6 * 2**3 + 1
    assert network.parameters.subs({f: 3, e: 2, L: 3}) == by_hand
    flops = 7 * (sum(cost("T18-paper").flops.subs(D, 6 * 2**layer) for layer in range(3)) + 2 * 6 * 2**3)
    assert network.flops.subs({f: 3, e: 2, L: 3, B: 7}) == flops
    assert network.training_flops.subs({f: 3, e: 2, L: 3, B: 7}) == 3 * flops


def test_batch_memory_and_optimizer() -> None:
    network = network_cost("T9", layers=3, fields=39, embedding_dim=16, batch=10, vocabulary=1000)
    assert network.lookup_bytes == 4 * 10 * 624
    assert network.activation_bytes == 4 * 10 * 3 * 2 * 624
    assert network.optimizer_bytes == 16 * (network.parameters + 16000)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(KeyError, match="nearest is 'T9'"):
        cost("T99")
    with pytest.raises(ValueError, match="'gates' or 'outputs', however: 'inputs'"):
        network_cost("T9", batch_norm="inputs")


def test_cost_is_in_plain_symbols() -> None:
    assert isinstance(cost("T9"), Cost)
    assert cost("T9").parameters == D**2 + D
