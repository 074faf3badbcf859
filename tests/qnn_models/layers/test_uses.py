"""Every use that torch allows of a module, on every format: the answer is right, or an error says why there is none.

What is right is said by the layer's plain operations (fast paths off) or by the definition of the use. Each check runs for all
`ARMS` in training and in evaluation, or, where a tracer makes it slow, for all of them in one layer; `torch.manual_seed` before
each call makes two calls draw the same masks.
"""

from __future__ import annotations

import copy
import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, stack_module_state, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import parametrize, prune
from torch.utils.checkpoint import checkpoint

import qnn_theory as qt
from qnn_models.layers.dropout import seed_dropout
from tests.qnn_models.layers.cells import ARMS, ROWS, TOGETHER, Cell, cells

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.usefixtures("one_thread"),
]


def second_and_third_derivatives(cell: Cell) -> None:
    inputs = cell.x.requires_grad_(), *cell.layer.parameters()
    directions = [torch.randn_like(tensor) for tensor in inputs]

    def along(function: Callable[[Tensor], Tensor]) -> Iterator[tuple[Tensor, ...]]:
        value = function(inputs[0]).square().sum()
        for _ in range(3):
            grads = torch.autograd.grad(value, inputs, create_graph=True, allow_unused=True, materialize_grads=True)
            yield grads
            value = sum((g * d).sum() for g, d in zip(grads, directions, strict=True))

    for fast, plain in zip(along(cell), along(cell.plain), strict=True):
        torch.testing.assert_close(fast, plain)
    torch.autograd.gradgradcheck(cell, inputs[0], fast_mode=True)


def hessians(cell: Cell) -> None:
    def function(x: Tensor) -> Tensor:
        return cell(x).square().sum()

    expected = torch.autograd.functional.hessian(lambda x: cell.plain(x).square().sum(), cell.x)
    torch.testing.assert_close(torch.autograd.functional.hessian(function, cell.x), expected)
    torch.testing.assert_close(torch.autograd.functional.hessian(function, cell.x, vectorize=True), expected)


def forward_mode(cell: Cell) -> None:
    direction = torch.ones_like(cell.x)
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(cell(forward_ad.make_dual(cell.x, direction))).tangent
    expected = torch.autograd.functional.jacobian(cell.plain, cell.x).flatten(2).sum(-1)
    torch.testing.assert_close(tangent, expected)


def functions_of_torch_func(cell: Cell) -> None:
    def total(x: Tensor) -> Tensor:
        return cell(x).square().sum()

    if cell.learns:  # as of torch's own BatchNorm
        with pytest.raises(RuntimeError, match="mutate a captured Tensor"):
            torch.func.grad(total)(cell.x)
        return
    torch.testing.assert_close(torch.func.grad(total)(cell.x), cell.gradients(cell.plain)[1])
    jacobian = torch.autograd.functional.jacobian(cell.plain, cell.x)
    torch.testing.assert_close(torch.func.jacrev(cell)(cell.x), jacobian)
    if cell.drops:
        with pytest.raises(RuntimeError, match="randomness error mode"):
            torch.func.hessian(total)(cell.x)
    else:
        expected = torch.autograd.functional.hessian(lambda x: cell.plain(x).square().sum(), cell.x)
        torch.testing.assert_close(torch.func.hessian(total)(cell.x), expected)


def vmap_over_rows(cell: Cell) -> None:
    if cell.learns:
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            vmap(cell)(cell.x)
        return
    if not cell.drops:
        torch.testing.assert_close(vmap(cell)(cell.x), cell.plain(cell.x))
        return
    with pytest.raises(RuntimeError, match="randomness error mode"):
        vmap(cell)(cell.x)
    by_row = torch.stack([cell.plain(row) for row in cell.x])
    torch.testing.assert_close(vmap(cell, randomness="same")(cell.x), by_row)
    same_rows = cell.x[:1].expand(64, -1)
    assert vmap(cell, randomness="different")(same_rows).unique(dim=0).shape[0] > 1
    assert vmap(cell, randomness="same")(same_rows).unique(dim=0).shape[0] == 1
    seed_dropout(cell.layer, 1)
    torch.testing.assert_close(
        vmap(reseeded(cell), randomness="same")(cell.x), torch.stack([reseeded(cell)(row) for row in cell.x])
    )
    for randomness in ("error", "different"):
        with pytest.raises(RuntimeError, match=rf"however: randomness='{randomness}'; seed_dropout\(model, None\)"):
            vmap(cell, randomness=randomness)(cell.x)


def reseeded(cell: Cell) -> Callable[[Tensor], Tensor]:
    def function(x: Tensor) -> Tensor:
        seed_dropout(cell.layer, 1)
        return cell.layer(x)

    return function


def ensembles(cell: Cell) -> None:
    members = [cell.make(seed) for seed in range(3)]
    parameters, buffers = stack_module_state(members)

    def call(parameters: Any, buffers: Any) -> Tensor:
        torch.manual_seed(1)
        return functional_call(members[0], (parameters, buffers), (cell.x,))

    together = vmap(call, randomness="same")(parameters, buffers)
    for index, member in enumerate(members):
        alone = Cell(cell.make, member, cell.x, cell.drops, cell.learns)
        torch.testing.assert_close(together[index], alone(cell.x))
        for name, buffer in member.named_buffers():
            if name in buffers:
                torch.testing.assert_close(buffers[name][index], buffer)


def checkpointing(cell: Cell) -> None:
    expected = cell.expected()
    for reentrant in (True, False):

        def function(x: Tensor, reentrant: bool = reentrant) -> Tensor:
            torch.manual_seed(1)
            return checkpoint(cell.layer, x, use_reentrant=reentrant)

        x = cell.x.clone().requires_grad_()
        cell.layer.zero_grad()
        y = function(x)
        y.square().sum().backward()
        found = y, x.grad, *(parameter.grad for parameter in cell.layer.parameters())
        torch.testing.assert_close(found, expected)
        if cell.drops:
            seed_dropout(cell.layer, 1)
            y = function(x)
            x.grad = None
            try:  # torch repeats no more than it must, so that a mask may not be among it
                y.square().sum().backward()
            except RuntimeError as error:
                assert "seeded by seed_dropout; seed_dropout(model, None) makes" in str(error)  # noqa: PT017
            else:
                seed_dropout(cell.layer, 1)
                torch.testing.assert_close(x.grad, torch.autograd.grad(cell.plain(x).square().sum(), x)[0])
            seed_dropout(cell.layer, None)


def compiled_as_one_graph(cell: Cell) -> None:
    torch.compiler.reset()
    expected = cell.expected()
    compiled = torch.compile(cell.layer, fullgraph=True, backend="eager")

    def function(x: Tensor) -> Tensor:
        torch.manual_seed(1)
        return compiled(x)

    torch.testing.assert_close(cell.gradients(function), expected)
    if cell.drops:
        seed_dropout(cell.layer, 1)
        with pytest.raises(torch._dynamo.exc.Unsupported, match=r"seed_dropout\(model, None\) makes"):
            compiled(cell.x)


def exported(cell: Cell) -> None:
    twin = cell.twin()
    program = torch.export.export(twin.layer, (cell.x,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)).module()
    larger = torch.cat([cell.x, cell.x + 1])
    torch.manual_seed(1)
    torch.testing.assert_close(program(larger), cell(larger))
    if cell.drops:
        assert not torch.equal(program(larger), program(larger))
        seed_dropout(twin.layer, 1)
        with pytest.raises(RuntimeError, match=r"seed_dropout\(model, None\) makes"):
            torch.export.export(twin.layer, (cell.x,), strict=False)


def traced(cell: Cell) -> None:
    graph = make_fx(cell.layer)(cell.x)
    torch.manual_seed(1)
    torch.testing.assert_close(graph(cell.x + 1), cell.twin()(cell.x + 1))
    if cell.drops:
        assert not torch.equal(graph(cell.x), graph(cell.x))
        seed_dropout(cell.layer, 1)
        with pytest.raises(RuntimeError, match=r"seed_dropout\(model, None\) makes"):
            make_fx(cell.layer)(cell.x)


def copies_and_round_trips(cell: Cell) -> None:
    other = cell.make(7)
    other.load_state_dict(cell.layer.state_dict())
    copied = copy.deepcopy(cell.layer), pickle.loads(pickle.dumps(cell.layer)), other
    expected = cell(cell.x)
    for layer in copied:
        torch.testing.assert_close(Cell(cell.make, layer, cell.x, cell.drops, cell.learns)(cell.x), expected)
        assert all(torch.equal(a, b) for a, b in zip(layer.buffers(), cell.layer.buffers(), strict=True))


def other_types(cell: Cell) -> None:
    """Values and gradients in single and half precision and under autocast, within what the type can hold."""
    expected = cell.expected()
    scale = max(
        float(tensor.abs().max()) for tensor in expected if tensor is not None
    )  # sums that cancel keep its digits
    for dtype, autocast, tolerance in [
        (torch.float32, False, 1e-4),
        (torch.float16, False, 0.05),
        (torch.bfloat16, False, 0.3),
        (torch.float32, True, 0.3),
    ]:
        twin = cell.twin()
        twin.layer.to(dtype)
        twin.x = cell.x.to(dtype)
        with torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
            found = twin.gradients(twin)
        assert autocast or found[0].dtype == dtype
        for ours, theirs in zip(found, expected, strict=True):
            if theirs is not None:
                assert (ours.double() - theirs).abs().max() <= tolerance * scale


class Doubled(nn.Module):
    """A parametrisation."""

    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


def parametrized(cell: Cell) -> None:
    expected, twin = cell.twin(), cell.twin()
    for name in [name for name, _ in twin.layer.named_parameters()]:
        module, _, leaf = name.rpartition(".")
        parametrize.register_parametrization(twin.layer.get_submodule(module), leaf, Doubled())
    with torch.no_grad():
        for parameter in expected.layer.parameters():
            parameter.mul_(2)
    torch.testing.assert_close(twin(cell.x), expected.plain(cell.x))
    torch.testing.assert_close(copy.deepcopy(twin)(cell.x), expected.twin()(cell.x))


def pruned(cell: Cell) -> None:
    """Also after a step, for one pass and for two: weights are masked by a hook before each call."""
    expected, twin = cell.twin(), cell.twin()
    names = [name for name, parameter in twin.layer.named_parameters() if parameter.dim() > 1]
    masks = {}
    for name in names:
        prune.l1_unstructured(twin.layer, name, amount=0.5)
        masks[name] = getattr(twin.layer, name + "_mask")
    for norm in [module for module in twin.layer.modules() if isinstance(module, nn.BatchNorm1d)]:
        prune.l1_unstructured(norm, "weight", amount=0.5)
    for mine, theirs in zip(twin.layer.modules(), expected.layer.modules(), strict=True):
        if isinstance(mine, nn.BatchNorm1d):
            theirs.weight.data *= mine.weight_mask
    for _ in range(2):
        for layer in (twin.layer, expected.layer):
            for name, parameter in layer.named_parameters():
                if name.removesuffix("_orig") in names:
                    parameter.data += 0.125
        for name, mask in masks.items():
            expected.layer.get_parameter(name).data *= mask
        torch.manual_seed(1)
        found = twin.layer.forward_pair(cell.x)
        torch.manual_seed(1)
        torch.testing.assert_close(found, expected.layer.forward_pair(cell.x))
        torch.testing.assert_close(twin(cell.x), expected(cell.x))
        sum(y.sum() for y in found).backward()
        for name, mask in masks.items():
            expected.layer.get_parameter(name).data += 0  # the masked weights go on from where they are
            getattr(twin.layer, name + "_orig").data *= mask


def any_leading_dimensions(cell: Cell) -> None:
    twice = torch.stack([cell.x, cell.x + 1, cell.x - 1])
    torch.testing.assert_close(cell.twin()(twice).flatten(0, 1), cell.twin().plain(twice.flatten(0, 1)))
    pair = cell.twin().layer.forward_pair(twice)
    assert [y.shape for y in pair] == [(3, ROWS, cell.layer.out_dim)] * 2
    if not cell.learns:
        torch.testing.assert_close(cell(cell.x[0]), cell.plain(cell.x[:1])[0])
    for shape in [(0,), (2, 0), (0, 3)]:
        empty = torch.zeros(*shape, cell.layer.dim, dtype=torch.float64, requires_grad=True)
        before = [buffer.clone() for buffer in cell.layer.buffers() if buffer.is_floating_point()]
        y = cell(empty)
        y.sum().backward()
        assert y.shape == (*shape, cell.layer.out_dim)
        assert empty.grad.shape == empty.shape
        after = [buffer for buffer in cell.layer.buffers() if buffer.is_floating_point()]
        assert all(torch.equal(now, then) for now, then in zip(after, before, strict=True))


def distributed_data_parallel(cell: Cell) -> None:
    expected = cell.expected()
    wrapped = nn.parallel.DistributedDataParallel(cell.layer, find_unused_parameters=True)
    torch.manual_seed(1)
    y = wrapped(cell.x)
    y.square().sum().backward()
    torch.testing.assert_close(y, expected[0])
    for parameter, grad in zip(cell.layer.parameters(), expected[2:], strict=True):
        torch.testing.assert_close(parameter.grad, grad)


USES = [
    second_and_third_derivatives,
    hessians,
    forward_mode,
    functions_of_torch_func,
    vmap_over_rows,
    ensembles,
    checkpointing,
    copies_and_round_trips,
    parametrized,
    pruned,
    any_leading_dimensions,
    distributed_data_parallel,
]
SLOW_USES = [compiled_as_one_graph, exported, traced, other_types]


@pytest.fixture(scope="module", autouse=True)
def process_group() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=0, world_size=1)
        yield
        dist.destroy_process_group()


@pytest.mark.parametrize("format", qt.formats(), ids=lambda format: format.id)
@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_every_use_of_a_layer(use: Callable[[Cell], None], format: qt.Format) -> None:
    for cell in cells(format, ARMS):
        use(cell)


@pytest.mark.parametrize("format", qt.formats(), ids=lambda format: format.id)
@pytest.mark.parametrize("use", SLOW_USES, ids=lambda use: use.__name__)
def test_every_traced_use_of_a_layer(use: Callable[[Cell], None], format: qt.Format) -> None:
    for cell in cells(format, TOGETHER):
        use(cell)
