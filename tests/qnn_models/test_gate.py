"""The fused gate computes what plain torch operations compute: values, masks, gradients, running statistics."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch
from torch import nn

from qnn_models import gate
from qnn_models.dropout import Dropout, seed_dropout


def problem(batch: int, norm: bool, p: float, dtype: torch.dtype = torch.float64):
    generator = torch.Generator().manual_seed(0)
    tensors = [
        torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()
        for shape in [(batch, 6), (3, 4, 6), (3, 4)]
    ]
    modules = nn.ModuleDict()
    if norm:
        modules["norm"] = nn.BatchNorm1d(12, dtype=dtype)
        with torch.no_grad():
            modules["norm"].weight.uniform_(0.5, 2, generator=generator)
            modules["norm"].bias.normal_(generator=generator)
    if p:
        modules["dropout"] = Dropout(p)
    return tensors, modules


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("p", [0.0, 0.3])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("chunk", [12 * 4, 1 << 17])
def test_fused_gate_equals_plain_operations(monkeypatch, passes, p, norm, training, chunk) -> None:
    monkeypatch.setattr(gate, "_CHUNK_ELEMENTS", chunk)
    monkeypatch.setattr(gate, "_CHUNK_ROWS", 1)
    tensors, modules = problem(10, norm, p)
    modules.train(training)
    results = []
    for plain in (False, True):
        own = copy.deepcopy(modules)
        seed_dropout(own, 7)
        inputs = [tensor.detach().clone().requires_grad_() for tensor in tensors]
        parts = own["norm"] if norm else None, own["dropout"] if p else None
        if plain:
            out = gate.plain_row_gate(*inputs, *parts, passes=passes)
        else:
            out = (gate.row_gate(*inputs, *parts),) if passes == 1 else gate.row_gate_pair(*inputs, *parts)
        sum((k + 1) * (o**2).sum() for k, o in enumerate(out)).backward()
        results.append([*out, *(i.grad for i in inputs), *own.buffers(), *(q.grad for q in own.parameters())])
    fused, reference = results
    for ours, theirs in zip(fused, reference, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("passes", [1, 2])
def test_gradcheck(norm: bool, passes: int) -> None:
    tensors, modules = problem(5, norm, 0.4)

    def function(*inputs: torch.Tensor):
        seed_dropout(modules, 3)
        parts = modules["norm"] if norm else None, modules["dropout"]
        return gate.row_gate(*inputs, *parts) if passes == 1 else gate.row_gate_pair(*inputs, *parts)

    assert torch.autograd.gradcheck(function, tensors)


def test_two_passes_drop_independently_at_the_stated_rate() -> None:
    dropout = Dropout(0.25)
    seed_dropout(nn.ModuleList([dropout]), 0)
    x, weight, bias = torch.zeros(4000, 1), torch.zeros(1, 50, 1), torch.ones(1, 50)
    first, second = (g > 0 for g in gate.row_gate_pair(x, weight, bias, None, dropout))
    n = first.numel()
    for kept in (first, second):
        assert abs(kept.float().mean().item() - 0.75) < 4 * (0.25 * 0.75 / n) ** 0.5
    assert abs((first & second).float().mean().item() - 0.75**2) < 4 * (0.75**2 * (1 - 0.75**2) / n) ** 0.5


def test_a_byte_is_kept_where_plain_operations_keep_floats() -> None:
    kept = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel() * tensor.element_size())
        return tensor

    (x, weight, bias), modules = problem(2000, False, 0.1, torch.float32)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        out = gate.row_gate(x, weight, bias, None, modules["dropout"])
    assert sum(kept) <= 1.1 * x.numel() * 4
    assert out.grad_fn.sums.active[0].element_size() == 1


@pytest.mark.parametrize("norm", [False, True])
def test_a_step_leaves_no_memory_to_the_garbage_collector(norm: bool) -> None:
    inputs, modules = problem(50, norm, 0.1)
    gc.collect()
    gc.disable()
    try:
        out = gate.row_gate(*inputs, modules["norm"] if norm else None, modules["dropout"])
        kept = weakref.ref(out.grad_fn.sums.active[0])
        assert kept() is not None
        out.sum().backward()
        del out
        assert kept() is None
    finally:
        gc.enable()
