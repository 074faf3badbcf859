"""The gate ``g = Σ_m dropout(relu(norm(W_m x + b_m)))`` of QNN-α, and its layer ``dropout(π(x) ⊙ g + x)``, as one operation each.

Written with plain torch operations the gate walks ten times over an array of ``batch × M × width`` numbers and keeps most of
them for the backward pass. Here BatchNorm is folded into the weights before the product, also while training
(`batch_norm.batch_moments`); the batch is cut into chunks that fit the cache; one loop takes a chunk through ReLU, dropout, sum,
product and residual; and what the backward pass needs of an element is one bit for each pass: whether it passed both ReLU and
dropout.

`row_gate` and `gated_layer` are the interface, with a `_pair` of each. They compute what `plain_row_gate` and `plain_gated_layer`
compute, draw the same dropout masks, and fall back to them where such loops do not serve (`qnn_models.kernels.dispatch`).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn_models.kernels.dispatch import loops_serve
from qnn_models.layers.batch_norm import batch_moments, fold_norm, norm_repeated, running_moments
from qnn_models.layers.dropout import Dropout

# A chunk of projections is two megabytes of float32, which stay in the cache that the cores share, but never fewer rows than a
# matrix product needs to run at full speed.
_CHUNK_ELEMENTS = 1 << 19
_CHUNK_ROWS = 1024
_held = threading.local()


def row_gate(x: Tensor, weight: Tensor, bias: Tensor, norm: nn.Module | None, dropout: nn.Module | None) -> Tensor:
    """``Σ_m dropout(relu(norm(W_m x + b_m)))``.

    Args:
        x: shape ``(batch, in)``.
        weight: shape ``(rows, width, in)``.
        bias: shape ``(rows, width)``.
        norm: BatchNorm over the ``rows * width`` channels, or None.
        dropout: dropout on each row's activation, or None.

    Returns:
        Shape ``(batch, width)``.
    """
    return _fused(x, weight, bias, norm, dropout, None, passes=1)[0]


def row_gate_pair(
    x: Tensor, weight: Tensor, bias: Tensor, norm: nn.Module | None, dropout: nn.Module | None
) -> tuple[Tensor, Tensor]:
    """Two passes that differ in their dropout masks only: projections and statistics are computed once."""
    first, second = _fused(x, weight, bias, norm, dropout, None, passes=2)
    return first, second


def gated_layer(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    norm: nn.Module | None,
    dropout: nn.Module | None,
    order: Tensor | None,
    residual: bool,
    after: nn.Module | None,
) -> Tensor:
    """``after(π(x) ⊙ g + x)`` with g as in `row_gate`.

    Args:
        x: shape ``(batch, width)``.
        weight: shape ``(rows, width, width)``.
        bias: as there.
        norm: as there.
        dropout: as there.
        order: π as positions of x's columns, or None for the identity.
        residual: whether x is added.
        after: dropout on the result, or None.

    Returns:
        Shape ``(batch, width)``.
    """
    return _fused(x, weight, bias, norm, dropout, _Product(order, residual, after), passes=1)[0]


def gated_layer_pair(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    norm: nn.Module | None,
    dropout: nn.Module | None,
    order: Tensor | None,
    residual: bool,
    after: nn.Module | None,
) -> tuple[Tensor, Tensor]:
    """Two passes over one input."""
    first, second = _fused(x, weight, bias, norm, dropout, _Product(order, residual, after), passes=2)
    return first, second


def plain_row_gate(
    x: Tensor, weight: Tensor, bias: Tensor, norm: nn.Module | None, dropout: nn.Module | None, *, passes: int = 1
) -> tuple[Tensor, ...]:
    """`row_gate` with one torch operation after the other; ``passes`` gates that differ in their masks."""
    rows, width, _ = weight.shape
    projected = F.linear(x, weight.flatten(0, 1), bias.flatten())
    if isinstance(norm, nn.BatchNorm1d):
        projected = norm_repeated(norm, projected, passes)
    elif norm is not None:
        projected = norm(projected)
    active = torch.relu(projected)
    kept = [active if dropout is None else dropout(active) for _ in range(passes)]
    return tuple(gate.unflatten(-1, (rows, width)).sum(1) for gate in kept)


def plain_gated_layer(
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
    """`gated_layer` with one torch operation after the other."""
    factor = x if order is None else x.index_select(1, order)
    products = [factor * gate for gate in plain_row_gate(x, weight, bias, norm, dropout, passes=passes)]
    sums = [product + x if residual else product for product in products]
    return tuple(sums if after is None else [after(y) for y in sums])


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
    nothing = _drawn(None, 1, 0, z)
    positions = None if order is None else order.numpy()
    parts = x.numpy(), positions, residual, *nothing, out.unsqueeze(0).numpy()
    kernels.gated_rows(z.numpy(), bias.numpy(), 0, *nothing, gates, None, *parts)


@dataclass(frozen=True, slots=True)
class _Product:
    """What a layer does with its gate; see `gated_layer`."""

    order: Tensor | None
    residual: bool
    after: nn.Module | None


def _fused(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    norm: nn.Module | None,
    dropout: nn.Module | None,
    product: _Product | None,
    *,
    passes: int,
) -> tuple[Tensor, ...]:
    after = None if product is None else product.after
    # Another module may have taken the place of one, as by `nn.SyncBatchNorm.convert_sync_batchnorm`.
    known = isinstance(norm, nn.BatchNorm1d | None) and all(isinstance(d, Dropout | None) for d in (dropout, after))
    if not known or not loops_serve(x, weight, bias):
        if product is None:
            return plain_row_gate(x, weight, bias, norm, dropout, passes=passes)
        order, residual = product.order, product.residual
        return plain_gated_layer(x, weight, bias, norm, dropout, order, residual, after, passes=passes)
    rows = weight.shape[0]
    matrix, vector = weight.flatten(0, 1), bias.flatten()
    if isinstance(norm, nn.BatchNorm1d):
        moments = batch_moments(norm, x, matrix, vector, passes) if norm.training else running_moments(norm)
        matrix, vector = fold_norm(norm, matrix, vector, *moments)
    drops = _acting(dropout), _acting(after)
    distinct = passes if drops != (None, None) else 1  # without dropout all passes are the same one
    outputs: tuple[Tensor, ...] = _Fused.apply(x, matrix, vector, rows, product, drops, distinct)
    return outputs * (passes // distinct)


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
        product: _Product | None,
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
        gate_drop = _drawn(drops[0], passes, batch * channels, x)
        after_drop = _drawn(drops[1], passes, batch * width, x)
        source, bias = x.detach().contiguous(), vector.detach().numpy()
        flags = None if active is None else active.numpy()
        order = None if product is None or product.order is None else product.order.numpy()
        ctx.fixed = order, product is not None and product.residual, *after_drop
        ctx.scale = gate_drop[-1]
        layer = (None if product is None else source.numpy(), *ctx.fixed, None if product is None else out.numpy())
        buffer = _buffer(x, min(batch, _chunk_rows(channels)), channels)
        for start, stop in _chunks(batch, channels):
            z = torch.mm(source[start:stop], matrix.t(), out=buffer[: stop - start])
            kernels.gated_rows(z.numpy(), bias, start, *gate_drop, gates.numpy(), flags, *layer)
        if active is not None:
            ctx.save_for_backward(source, matrix, active, *([] if product is None else [gates]))
        return tuple(one.data for one in out)  # no views, which torch would not let the caller change in place

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        from qnn_models.kernels import numba_loops as kernels

        x, matrix, active, *gates = ctx.saved_tensors
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
        return grad_x, grad_matrix, grad_vector, None, None, None, None


def _drawn(dropout: Dropout | None, passes: int, elements: int, like: Tensor) -> tuple[Any, ...]:
    """Where each pass's bits lie in the stream, threshold and scale, as `kernels.gated_rows` takes them."""
    one = like.detach().numpy().dtype.type(1)
    if dropout is None:
        return None, np.int16(0), one
    positions = np.array([dropout.source.take(elements) for _ in range(passes)], np.uint64)
    return positions, dropout.threshold, type(one)(dropout.keep_scale)


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
