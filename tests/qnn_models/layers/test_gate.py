"""The fused gate computes what plain torch operations compute: values, masks, gradients, running statistics."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch
from torch import nn

from qnn_models.layers import gate
from qnn_models.layers.dropout import Dropout, seed_dropout

BATCH = 10
PRODUCTS = {
    "gate": None,
    "layer": (None, True),
    "no residual": (None, False),
    "permuted": ([2, 0, 3, 1], True),
}


def problem(batch: int, norm: bool, p: float, dtype: torch.dtype = torch.float64, width: int = 4, inner: int = 4):
    generator = torch.Generator().manual_seed(0)
    tensors = [
        torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()
        for shape in [(batch, inner), (3, width, inner), (3, width)]
    ]
    modules = nn.ModuleDict()
    if norm:
        modules["norm"] = nn.BatchNorm1d(3 * width, dtype=dtype)
        with torch.no_grad():
            modules["norm"].weight.uniform_(0.5, 2, generator=generator)
            modules["norm"].bias.normal_(generator=generator)
    if p:
        modules["dropout"] = Dropout(p)
        modules["after"] = Dropout(0.6)
    return tensors, modules


def run(inputs, modules: nn.ModuleDict, product, passes: int, *, plain: bool = False) -> tuple[torch.Tensor, ...]:
    get = modules._modules.get
    parts = [*inputs, get("norm"), get("dropout")]
    if product is None:
        return gate.plain_passes(*parts, None, passes=passes) if plain else gate.row_gate(*parts, passes=passes)
    order = None if product[0] is None else torch.tensor(product[0])
    product = order, product[1], get("after")
    if plain:
        return gate.plain_passes(*parts, gate.Product(*product), passes=passes)
    return gate.gated_layer(*parts, *product, passes=passes)


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("p", [0.0, 0.3])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("chunk", [12 * 4, 1 << 17])
def test_fused_operations_equal_plain_ones(monkeypatch, passes, p, norm, training, product, chunk) -> None:
    monkeypatch.setattr(gate, "_CHUNK_ELEMENTS", chunk)
    monkeypatch.setattr(gate, "_CHUNK_ROWS", 1)
    tensors, modules = problem(BATCH, norm, p, inner=6 if product == "gate" else 4)
    modules.train(training)
    results = []
    for plain in (False, True):
        own = copy.deepcopy(modules)
        seed_dropout(own, 7)
        inputs = [tensor.detach().clone().requires_grad_() for tensor in tensors]
        out = run(inputs, own, PRODUCTS[product], passes, plain=plain)
        sum((k + 1) * (o**2).sum() for k, o in enumerate(out)).backward()
        results.append([*out, *(i.grad for i in inputs), *own.buffers(), *(q.grad for q in own.parameters())])
    fused, reference = results
    for ours, theirs in zip(fused, reference, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("passes", [1, 2])
def test_gradcheck(norm: bool, passes: int, product: str) -> None:
    tensors, modules = problem(5, norm, 0.4)

    def function(*inputs: torch.Tensor):
        seed_dropout(modules, 3)
        return run(inputs, modules, PRODUCTS[product], passes)

    assert torch.autograd.gradcheck(function, tensors)
    assert torch.autograd.gradgradcheck(function, tensors, fast_mode=True)


def test_not_a_number_is_let_through() -> None:
    (x, weight, bias), _ = problem(5, False, 0.0)
    with torch.no_grad():
        x[2, 1] = float("nan")
    (out,) = gate.row_gate(x, weight, bias, None, None)
    assert out[2].isnan().all()
    assert out.isnan().sum() == out.shape[1]


def test_batch_norm_of_one_row_is_refused() -> None:
    inputs, modules = problem(1, True, 0.0)
    with pytest.raises(ValueError, match="at least 2 rows to train, however: 1"):
        gate.row_gate(*inputs, modules["norm"], None)


def test_folded_statistics_survive_inputs_far_from_zero() -> None:
    """A mean of 1000 deviations: the covariance is taken of centred inputs, in single precision."""
    (x, weight, bias), modules = problem(4000, True, 0.0, torch.float32)
    with torch.no_grad():
        x += 1000
    wide = copy.deepcopy(modules).double()
    wide_inputs = x.double(), weight.double(), bias.double()
    (expected,) = gate.plain_passes(*wide_inputs, wide["norm"], None, None, passes=1)
    torch.testing.assert_close(
        gate.row_gate(x, weight, bias, modules["norm"], None)[0].double(), expected, rtol=1e-2, atol=1e-2
    )


def test_two_passes_drop_independently_at_the_stated_rate() -> None:
    dropout = Dropout(0.25)
    seed_dropout(nn.ModuleList([dropout]), 0)
    x, weight, bias = torch.zeros(4000, 1), torch.zeros(1, 50, 1), torch.ones(1, 50)
    first, second = (g > 0 for g in gate.row_gate(x, weight, bias, None, dropout, passes=2))
    n = first.numel()
    for kept in (first, second):
        assert abs(kept.float().mean().item() - 0.75) < 4 * (0.25 * 0.75 / n) ** 0.5
    assert abs((first & second).float().mean().item() - 0.75**2) < 4 * (0.75**2 * (1 - 0.75**2) / n) ** 0.5


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("passes", [1, 2])
def test_a_bit_is_kept_where_plain_operations_keep_floats(norm: bool, passes: int) -> None:
    kept = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    (x, weight, bias), modules = problem(2000, norm, 0.1, torch.float32)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        run((x, weight, bias), modules, PRODUCTS["gate"], passes)
    inputs = x.numel() * 4 * (2 if norm else 1)  # BatchNorm keeps a centred copy
    bits = x.shape[0] * 4 * 1  # the 3 rows of 2 passes fit a byte
    assert sum(kept.values()) <= 1.05 * (inputs + bits)


@pytest.mark.parametrize("norm", [False, True])
def test_a_step_leaves_no_memory_to_the_garbage_collector(norm: bool) -> None:
    inputs, modules = problem(50, norm, 0.1)
    gc.collect()
    gc.disable()
    try:
        (out,) = gate.row_gate(*inputs, modules["norm"] if norm else None, modules["dropout"])
        kept = weakref.ref(out.grad_fn)
        assert kept().name() == "_FusedBackward"
        out.sum().backward()
        del out
        assert kept() is None
    finally:
        gc.enable()


def test_outputs_may_be_changed_in_place() -> None:
    (x, weight, bias), _ = problem(5, False, 0.0)
    outputs = gate.gated_layer(x, weight, bias, None, None, None, True, Dropout(0.5), passes=2)
    outputs[0].relu_()
    sum(out.sum() for out in outputs).backward()
    assert x.grad is not None


def test_modules_put_in_the_place_of_others_act() -> None:
    (x, weight, bias), modules = problem(BATCH, True, 0.0)
    norm = modules.eval()["norm"]
    expected = gate.row_gate(x, weight, bias, norm, None)
    swapped = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(norm))[0]
    torch.testing.assert_close(gate.row_gate(x, weight, bias, swapped, nn.Identity()), expected)
    assert not gate.row_gate(x, weight, bias, norm, nn.Threshold(1e9, 0.0))[0].any()


def test_transforms_of_torch_func_see_the_operations() -> None:
    (x, weight, bias), _ = problem(5, False, 0.0)
    dropout = Dropout(0.4)
    seed_dropout(dropout, 1)

    def total(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return gate.gated_layer(x, weight, bias, None, dropout, None, True, None)[0].square().sum()

    total(x, weight, bias).backward()
    seed_dropout(dropout, 1)
    grads = torch.func.grad(total, (0, 1, 2))(x.detach(), weight.detach(), bias.detach())
    torch.testing.assert_close(grads, (x.grad, weight.grad, bias.grad))


def test_a_variance_that_rounding_makes_negative_is_zero() -> None:
    """Pairs of inputs that hardly differ and weights that cancel them: no digits are left for the difference."""
    generator = torch.Generator().manual_seed(0)
    first = 300 * torch.randn(500, 16, generator=generator)
    x = torch.cat([first, first * (1 + 1e-7)], 1)
    x[:, 16:] += 1e-4 * torch.randn(500, 16, generator=generator)
    weight, norm = torch.cat([torch.eye(16), -torch.eye(16)], 1).unsqueeze(0), nn.BatchNorm1d(16)
    (out,) = gate.row_gate(x, weight, torch.zeros(1, 16), norm, None)
    assert out.isfinite().all()
    assert norm.running_var.min() >= 0.9  # a tenth of the way from 1 to the batch's
