"""The gate ``g = Σ_m dropout(relu(norm(W_m x + b_m)))`` of QNN-α, and its layer ``dropout(π(x) ⊙ g + x)``, as one operation each.

Written with plain torch operations the gate walks ten times over an array of ``batch × M × width`` numbers and keeps most of
them for the backward pass. Here BatchNorm is folded into the weights before the product, also while training
(`batch_norm.batch_moments`); the batch is cut into chunks that fit the cache; one loop takes a chunk through ReLU, dropout, sum,
product and residual; and what the backward pass needs of an element is one bit for each pass: whether it passed both ReLU and
dropout.

`row_gate` and `gated_layer` are the interface. They compute what `plain_passes` computes, draw the same dropout masks, and fall
back to it where such loops do not serve (`qnn_models.kernels.dispatch`), as does a backward pass that is differentiated in turn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn_models.kernels.dispatch import loops_serve
from qnn_models.layers.batch_norm import (
    BatchNorm1d,
    SynchronisedBatchNorm1d,
    batch_moments,
    fold_norm,
    hooked,
    norm_repeated,
    running_moments,
)
from qnn_models.layers.derivatives import plain_gradients, wants_plain
from qnn_models.layers.dropout import Draw, Dropout

# A chunk of projections is two megabytes of float32, which stay in the cache that the cores share, but never fewer rows than a
# matrix product needs to run at full speed.
_CHUNK_ELEMENTS = 1 << 19
_CHUNK_ROWS = 1024
_held = threading.local()

Maps: TypeAlias = Sequence[Callable[[Tensor], Tensor]]


@dataclass(frozen=True, slots=True)
class Product:
    """What a layer does with its gate: ``after(π(x) ⊙ g + x)``.

    Attributes:
        order: π as positions of x's columns, or None for the identity.
        residual: whether x is added.
        after: dropout on the result, or None.
    """

    order: Tensor | None
    residual: bool
    after: nn.Module | None


def row_gate(
    x: Tensor, weight: Tensor, bias: Tensor, norm: nn.Module | None, dropout: nn.Module | None, *, passes: int = 1
) -> tuple[Tensor, ...]:
    """``Σ_m dropout(relu(norm(W_m x + b_m)))``, as often as there are passes.

    Args:
        x: shape ``(batch, in)``.
        weight: shape ``(rows, width, in)``.
        bias: shape ``(rows, width)``.
        norm: BatchNorm over the ``rows * width`` channels, or None.
        dropout: dropout on each row's activation, or None.
        passes: passes over the one input, which differ in their dropout masks only: the rest is computed once.

    Returns:
        One tensor of shape ``(batch, width)`` per pass.
    """
    return _passes(x, weight, bias, norm, dropout, None, passes=passes)


def gated_layer(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    norm: nn.Module | None,
    dropout: nn.Module | None,
    order: Tensor | None,
    residual: bool,
    after: nn.Module | None,
    *,
    passes: int = 1,
) -> tuple[Tensor, ...]:
    """``after(π(x) ⊙ g + x)`` with g as in `row_gate`, whose arguments it has; the others are those of `Product`."""
    return _passes(x, weight, bias, norm, dropout, Product(order, residual, after), passes=passes)


def plain_passes(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    norm: nn.Module | None,
    dropout: nn.Module | None,
    product: Product | None,
    *,
    passes: int,
) -> tuple[Tensor, ...]:
    """`row_gate`, or `gated_layer` where there is a product, with one torch operation after the other."""
    projected = F.linear(x, weight.flatten(0, 1), bias.flatten())
    if norm is not None:
        projected = norm_repeated(norm, projected, passes)
    after = None if product is None else product.after
    maps = [[_same if module is None else module] * passes for module in (dropout, after)]
    return _finished(projected, x, weight.shape[0], product, *maps)


def _finished(
    projected: Tensor, x: Tensor, rows: int, product: Product | None, drops: Maps, afters: Maps
) -> tuple[Tensor, ...]:
    """What follows the projections, once for each map of `drops` and of `afters`."""
    active = torch.relu(projected)
    gates = tuple(drop(active).unflatten(-1, (rows, -1)).sum(1) for drop in drops)
    if product is None:
        return gates
    factor = x if product.order is None else x.index_select(1, product.order)
    products = [factor * gate for gate in gates]
    sums = [y + x if product.residual else y for y in products]
    return tuple(after(y) for after, y in zip(afters, sums, strict=True))


def _same(x: Tensor) -> Tensor:
    return x


def finish_rows(
    z: Tensor, bias: Tensor, rows: int, x: Tensor, order: Tensor | None, residual: bool, *, out: Tensor
) -> None:
    """``out = π(x) ⊙ Σ_m relu(z_m + b_m) + x`` without gradients, for callers that have the products of the weights.

    Args:
        z: shape ``(batch, rows * width)``; overwritten.
        bias: shape ``(rows * width,)``.
        rows: number of rows M.
        x: shape ``(batch, width)``, contiguous.
        order: as of `gated_layer`.
        residual: as there.
        out: shape ``(batch, width)``, contiguous.
    """
    from qnn_models.kernels import numba_loops as kernels

    gates = z.new_empty(1, 1, bias.shape[0] // rows).numpy()
    nothing = _for_loops([], z)
    positions = None if order is None else order.numpy()
    parts = x.numpy(), positions, residual, *nothing, out.unsqueeze(0).numpy()
    kernels.gated_rows(z.numpy(), bias.numpy(), 0, *nothing, gates, None, *parts)


def _passes(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    norm: nn.Module | None,
    dropout: nn.Module | None,
    product: Product | None,
    *,
    passes: int,
) -> tuple[Tensor, ...]:
    after = None if product is None else product.after
    known = _is_known(norm, nn.BatchNorm1d, BatchNorm1d, SynchronisedBatchNorm1d) and all(
        _is_known(module, Dropout) for module in (dropout, after)
    )
    empty = x.shape[0] == 0 and not isinstance(norm, SynchronisedBatchNorm1d)  # which other processes wait for
    if not known or empty or not loops_serve(x, weight, bias):
        return plain_passes(x, weight, bias, norm, dropout, product, passes=passes)
    rows = weight.shape[0]
    matrix, vector = weight.flatten(0, 1), bias.flatten()
    if isinstance(norm, nn.BatchNorm1d):
        moments = batch_moments(norm, x, matrix, vector, passes) if norm.training else running_moments(norm)
        matrix, vector = fold_norm(norm, matrix, vector, *moments)
    drops = _acting(dropout), _acting(after)
    distinct = passes if drops != (None, None) else 1  # without dropout all passes are the same one
    outputs: tuple[Tensor, ...] = _Fused.apply(x, matrix, vector, rows, product, drops, distinct)
    return outputs * (passes // distinct)


def _is_known(module: nn.Module | None, *classes: type[nn.Module]) -> bool:
    """Whether calling the module does what its class does: another may have taken its place, or a hook may watch or change it."""
    if module is None:
        return True
    own = any(type(module).forward is known.forward for known in classes)
    tracked = not isinstance(module, nn.BatchNorm1d) or (module.affine and module.running_mean is not None)
    return own and tracked and not hooked(module)


def _acting(dropout: nn.Module | None) -> Dropout | None:
    return dropout if isinstance(dropout, Dropout) and dropout.training and dropout.p > 0 else None


class _Fused(torch.autograd.Function):
    """The gate, or the layer, of each pass; projections are computed chunk by chunk and never kept."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        matrix: Tensor,
        vector: Tensor,
        rows: int,
        product: Product | None,
        drops: tuple[Dropout | None, Dropout | None],
        passes: int,
    ) -> tuple[Tensor, ...]:
        from qnn_models.kernels import numba_loops as kernels

        batch, channels = x.shape[0], matrix.shape[0]
        width, learning = channels // rows, any(ctx.needs_input_grad[:3])
        out = x.new_empty(passes, batch, width)
        gates = out if product is None else x.new_empty(passes, batch if learning else 1, width)
        active = torch.empty(batch, -(-rows * passes // 8), width, dtype=torch.uint8) if learning else None
        # One pass's bits lie after the other's, gate before layer, as plain operations draw them.
        elements = batch * channels, batch * width
        draws = tuple(_drawn(drop, passes, size) for drop, size in zip(drops, elements, strict=True))
        gate_drop, after_drop = (_for_loops(drawn, x) for drawn in draws)
        source, bias = x.detach().contiguous(), vector.detach().numpy()
        flags = None if active is None else active.numpy()
        order = None if product is None or product.order is None else product.order.numpy()
        ctx.fixed = order, product is not None and product.residual, *after_drop
        ctx.scale, ctx.plain = gate_drop[-1], (rows, product, draws, passes)
        layer = (None if product is None else source.numpy(), *ctx.fixed, None if product is None else out.numpy())
        buffer = _buffer(x, min(batch, _chunk_rows(channels)), channels)
        for start, stop in _chunks(batch, channels):
            z = torch.mm(source[start:stop], matrix.t(), out=buffer[: stop - start])
            kernels.gated_rows(z.numpy(), bias, start, *gate_drop, gates.numpy(), flags, *layer)
        if active is not None:
            ctx.save_for_backward(x, matrix, vector, active, *([] if product is None else [gates]))
        return tuple(one.data for one in out)  # no views, which torch would not let the caller change in place

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, matrix, vector, active, *gates = ctx.saved_tensors
        if wants_plain(*grads):
            again = partial(_again, *ctx.plain)
            return *plain_gradients(again, (x, matrix, vector), grads), None, None, None, None
        return *_gradients(ctx, x.contiguous(), matrix, active, gates, grads), None, None, None, None


def _gradients(
    ctx: Any, x: Tensor, matrix: Tensor, active: Tensor, gates: list[Tensor], grads: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    from qnn_models.kernels import numba_loops as kernels

    x, matrix = x.detach(), matrix.detach()
    batch, channels = x.shape[0], matrix.shape[0]
    grad_x, grad_matrix, grad_vector = torch.empty_like(x), torch.zeros_like(matrix), matrix.new_zeros(channels)
    by_pass = tuple(grad.contiguous().numpy() for grad in grads)
    layer = (gates[0].numpy(), x.numpy(), *ctx.fixed, grad_x.numpy()) if gates else (None, None, *ctx.fixed, None)
    buffer = _buffer(x, min(batch, _chunk_rows(channels)), channels)
    for start, stop in _chunks(batch, channels):
        # Each chunk has a sum of its own, as thousands of terms added up one by one would lose digits.
        grad_z, of_chunk = buffer[: stop - start], matrix.new_zeros(channels)
        kernels.gated_gradient(by_pass, active.numpy(), start, ctx.scale, grad_z.numpy(), of_chunk.numpy(), *layer)
        torch.addmm(grad_x[start:stop], grad_z, matrix, beta=len(gates), out=grad_x[start:stop])
        grad_matrix.addmm_(grad_z.t(), x[start:stop])
        grad_vector.add_(of_chunk)
    return grad_x, grad_matrix, grad_vector


def _again(
    rows: int,
    product: Product | None,
    draws: tuple[Sequence[Draw], Sequence[Draw]],
    passes: int,
    x: Tensor,
    matrix: Tensor,
    vector: Tensor,
) -> tuple[Tensor, ...]:
    """What `_Fused` computed, with the masks that it drew, in operations that torch can differentiate again."""
    maps = [[draw.apply for draw in drawn] or [_same] * passes for drawn in draws]
    return _finished(F.linear(x, matrix, vector), x, rows, product, *maps)


def _drawn(dropout: Dropout | None, passes: int, elements: int) -> list[Draw]:
    return [] if dropout is None else [dropout.draw(elements) for _ in range(passes)]


def _for_loops(draws: list[Draw], like: Tensor) -> tuple[Any, ...]:
    """Where each pass's bits lie in the stream, threshold and scale, as `kernels.gated_rows` takes them."""
    number = like.detach().numpy().dtype.type
    if not draws:
        return None, np.int16(0), number(1)
    positions = np.array([draw.position for draw in draws], np.uint64)
    return positions, np.int16(draws[0].threshold), number(draws[0].scale)


def _buffer(like: Tensor, rows: int, channels: int) -> Tensor:
    """Memory for a chunk of projections. It is kept from call to call, as fresh memory costs more than what is done in it."""
    held = cast(dict[torch.dtype, Tensor], _held.__dict__)
    if like.dtype not in held or held[like.dtype].numel() < rows * channels:
        with torch.inference_mode(False):  # memory born in inference mode could not be written to outside of it
            held[like.dtype] = torch.empty(rows * channels, dtype=like.dtype)
    return held[like.dtype][: rows * channels].view(rows, channels)


def _chunk_rows(channels: int) -> int:
    return max(_CHUNK_ROWS, _CHUNK_ELEMENTS // channels)


def _chunks(batch: int, channels: int) -> list[tuple[int, int]]:
    step = _chunk_rows(channels)
    return [(start, min(batch, start + step)) for start in range(0, batch, step)]
