"""The gate ``g = Σ_m dropout(relu(norm(W_m x + b_m)))`` of QNN-α as one operation that stays in cache.

Written with plain torch operations the gate walks ten times over an array of ``batch × M × width`` numbers and keeps most of
them for the backward pass. Here the batch is cut into chunks that fit the cache, and what the backward pass needs of an
element is one byte: whether it passed both ReLU and dropout. With BatchNorm, whose statistics need the whole batch, the
projections are kept as well.

`row_gate` is the whole interface. It computes what `plain_row_gate` computes, draws the same dropout masks, and falls back to it
on other devices, inside `torch.compile` and `torch.export`, and under a mode that watches each torch function.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import has_torch_function

from qnn_models.batch_norm import SynchronisedBatchNorm1d
from qnn_models.dropout import Dropout

# A chunk of projections is a megabyte of float32, a few of which fit the caches of a core, but never fewer rows than a
# matrix product needs to run at full speed.
_CHUNK_ELEMENTS = 1 << 18
_CHUNK_ROWS = 256


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
    return _gates(x, weight, bias, norm, dropout, passes=1)[0]


def row_gate_pair(
    x: Tensor, weight: Tensor, bias: Tensor, norm: nn.Module | None, dropout: nn.Module | None
) -> tuple[Tensor, Tensor]:
    """Two passes that differ in their dropout masks only: projections and statistics are computed once."""
    first, second = _gates(x, weight, bias, norm, dropout, passes=2)
    return first, second


def plain_row_gate(
    x: Tensor, weight: Tensor, bias: Tensor, norm: nn.Module | None, dropout: nn.Module | None, *, passes: int = 1
) -> tuple[Tensor, ...]:
    """The same with one torch operation after the other; ``passes`` gates that differ in their masks."""
    rows, width, _ = weight.shape
    projected = F.linear(x, weight.flatten(0, 1), bias.flatten())
    if isinstance(norm, nn.BatchNorm1d):
        projected = norm_repeated(norm, projected, passes)
    active = torch.relu(projected)
    if isinstance(dropout, Dropout) and dropout.training and dropout.p > 0 and x.device.type == "cpu":
        masks = dropout.masks(active, passes=passes, chunk_rows=_chunk_rows(rows * width))
        kept = [active * mask for mask in masks]
    else:
        kept = [active if dropout is None else dropout(active) for _ in range(passes)]
    return tuple(gate.unflatten(-1, (rows, width)).sum(1) for gate in kept)


def norm_repeated(norm: nn.BatchNorm1d, x: Tensor, passes: int = 2) -> Tensor:
    """BatchNorm of a batch that several passes share: the running statistics move as far as that many passes move them."""
    if not norm.training:
        return norm(x)
    if isinstance(norm, SynchronisedBatchNorm1d):
        return norm.repeated(x, passes)
    cast(Tensor, norm.num_batches_tracked).add_(passes)
    momentum = 1 - (1 - (norm.momentum or 0.0)) ** passes
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, True, momentum, norm.eps)


def fold_norm(norm: nn.BatchNorm1d, matrix: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
    """The affine map (matrix, vector) followed by BatchNorm in evaluation mode, as one affine map."""
    scale = norm.weight * torch.rsqrt(cast(Tensor, norm.running_var) + norm.eps)
    return matrix * scale.unsqueeze(1), (vector - cast(Tensor, norm.running_mean)) * scale + norm.bias


def _gates(
    x: Tensor, weight: Tensor, bias: Tensor, norm: nn.Module | None, dropout: nn.Module | None, *, passes: int
) -> tuple[Tensor, ...]:
    watched = torch.compiler.is_compiling() or has_torch_function((x, weight, bias))
    if x.device.type != "cpu" or watched or torch.is_autocast_enabled("cpu"):
        return plain_row_gate(x, weight, bias, norm, dropout, passes=passes)
    rows, width, inner = weight.shape
    matrix, vector = weight.reshape(rows * width, inner), bias.reshape(rows * width)
    drops = dropout if isinstance(dropout, Dropout) and dropout.training and dropout.p > 0 else None
    if isinstance(norm, nn.BatchNorm1d):
        if norm.training:
            normed = norm_repeated(norm, F.linear(x, matrix, vector), passes)
            return _MaskedSum.apply(normed, rows, drops, passes)
        matrix, vector = fold_norm(norm, matrix, vector)
    return _Gate.apply(x, matrix, vector, rows, drops, passes)


class _MaskedSum(torch.autograd.Function):
    """``Σ_m mask ⊙ relu(z_m)`` for each pass; keeps one byte an element and a pass."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, rows: int, dropout: Dropout | None, passes: int) -> tuple[Tensor, ...]:
        sums = _Sums(z.shape[0], z.shape[1], z, rows, dropout, passes, keep=ctx.needs_input_grad[0])
        for start, stop in _chunks(z.shape[0], z.shape[1]):
            sums.add(torch.relu(z[start:stop]), start, stop)
        ctx.sums = sums
        return sums.finish()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        batch, channels = ctx.sums.active[0].shape
        grad_z = grads[0].new_empty(batch, channels)
        buffer = torch.empty_like(grad_z[: _chunk_rows(channels)])
        for start, stop in _chunks(batch, channels):
            ctx.sums.spread(grads, start, stop, out=grad_z[start:stop], buffer=buffer)
        return grad_z, None, None, None


class _Gate(torch.autograd.Function):
    """``Σ_m mask ⊙ relu(W_m x + b_m)`` for each pass, projections recomputed chunk by chunk and never kept."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, matrix: Tensor, vector: Tensor, rows: int, dropout: Dropout | None, passes: int
    ) -> tuple[Tensor, ...]:
        batch, channels = x.shape[0], matrix.shape[0]
        sums = _Sums(batch, channels, x, rows, dropout, passes, keep=any(ctx.needs_input_grad[:3]))
        buffer = x.new_empty(min(batch, _chunk_rows(channels)), channels)
        for start, stop in _chunks(batch, channels):
            z = torch.addmm(vector, x[start:stop], matrix.t(), out=buffer[: stop - start])
            sums.add(z.clamp_min_(0), start, stop)
        ctx.save_for_backward(x, matrix)
        ctx.sums = sums
        return sums.finish()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, matrix = ctx.saved_tensors
        batch, channels = x.shape[0], matrix.shape[0]
        grad_x, grad_matrix, grad_vector = torch.empty_like(x), torch.zeros_like(matrix), matrix.new_zeros(channels)
        buffers = [x.new_empty(min(batch, _chunk_rows(channels)), channels) for _ in range(2)]
        for start, stop in _chunks(batch, channels):
            grad_z = buffers[0][: stop - start]
            ctx.sums.spread(grads, start, stop, out=grad_z, buffer=buffers[1])
            torch.mm(grad_z, matrix, out=grad_x[start:stop])
            grad_matrix.addmm_(grad_z.t(), x[start:stop])
            grad_vector.add_(grad_z.sum(0))
        return grad_x, grad_matrix, grad_vector, None, None, None


class _Sums:
    """The gates of all passes as they are summed, and the bytes that say which elements were active."""

    def __init__(
        self, batch: int, channels: int, like: Tensor, rows: int, dropout: Dropout | None, passes: int, *, keep: bool
    ) -> None:
        self.rows, self.dropout, self.scale = rows, dropout, 1.0 if dropout is None else dropout.keep_scale
        self.passes = passes if dropout is not None else 1  # without dropout all passes are the same one
        self.gates = [like.new_empty(batch, channels // rows) for _ in range(self.passes)]
        self.active = [torch.empty(batch, channels, dtype=torch.bool) for _ in range(self.passes if keep else 0)]
        self._masks = like.new_empty(min(batch, _chunk_rows(channels)), channels) if dropout is not None else None
        self.gates *= passes // self.passes

    def add(self, positive: Tensor, start: int, stop: int) -> None:
        """Take a chunk of ``relu(z)``, shape ``(stop - start, channels)``, which may be overwritten."""
        for index in range(self.passes):
            kept = positive
            if self.dropout is not None and self._masks is not None:
                kept = self._masks[: stop - start]
                self.dropout.keep(kept)
                kept.mul_(positive)
            torch.sum(kept.unflatten(1, (self.rows, -1)), 1, out=self.gates[index][start:stop])
            if self.dropout is not None:
                self.gates[index][start:stop].mul_(self.scale)
            if self.active:
                torch.gt(kept, 0, out=self.active[index][start:stop])

    def finish(self) -> tuple[Tensor, ...]:
        """The gates. They are let go of here: kept, they would hold the graph that holds them, until a collection."""
        gates, self.gates = tuple(self.gates), []
        self._masks = None
        return gates

    def spread(self, grads: tuple[Tensor, ...], start: int, stop: int, *, out: Tensor, buffer: Tensor) -> None:
        """Gradient of a chunk of z from the gradients of the gates."""
        used = grads if self.passes > 1 else (sum(grads[1:], grads[0]),)
        for index, grad in enumerate(used):
            target = out if index == 0 else buffer[: stop - start]
            target.copy_(self.active[index][start:stop])
            by_row = target.unflatten(1, (self.rows, -1))
            by_row.mul_((grad[start:stop] * self.scale).unsqueeze(1))
            if index:
                out.add_(target)


def _chunk_rows(channels: int) -> int:
    return max(_CHUNK_ROWS, _CHUNK_ELEMENTS // channels)


def _chunks(batch: int, channels: int) -> list[tuple[int, int]]:
    step = _chunk_rows(channels)
    return [(start, min(batch, start + step)) for start in range(0, batch, step)]
