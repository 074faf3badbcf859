"""The quadratic form ``y_k = v^T A_k v``, computed from the n(n+1)/2 products v_i v_j with one matrix product.

Only the symmetric part of A_k acts, so ``U_k,ij = A_k,ij + A_k,ji`` (i < j) and ``U_k,ii = A_k,ii`` hold all of it: half
the multiplications of the square form, and the gradient with respect to A is exactly that of the square form. Batches are
cut into chunks whose products stay in cache, and the backward pass recomputes the products instead of storing them.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn_models.kernels.dispatch import observed
from qnn_models.layers.derivatives import plain_gradients

# 256 rows × 8 256 products (n = 128) × 4 bytes = 8 MiB.
_CHUNK_ELEMENTS = 1 << 21


def quadratic_form(v: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``y_k = v^T A_k v + b_k``.

    Args:
        v: shape ``(batch, n)``.
        weight: A, shape ``(out, n, n)``.
        bias: shape ``(out,)``.

    Returns:
        Shape ``(batch, out)``. FLOPs of the matrix product: ``out * n * (n + 1)`` a sample.
    """
    rows, columns = torch.triu_indices(v.shape[-1], v.shape[-1], device=v.device)
    once = torch.where(rows == columns, 0.5, 1.0).to(weight.dtype)  # A_ii + A_ii counts the diagonal twice
    packed = (weight + weight.transpose(1, 2))[:, rows, columns] * once
    chunked = v.dtype == packed.dtype and v.is_floating_point() and not torch.is_autocast_enabled(v.device.type)
    out = _PackedProducts.apply(v, packed) if chunked and not observed(v, packed) else _plain_products(v, packed)[0]
    return out if bias is None else out + bias


def _plain_products(v: Tensor, packed: Tensor) -> tuple[Tensor]:
    rows, columns = torch.triu_indices(v.shape[-1], v.shape[-1], device=v.device)
    return ((v[:, rows] * v[:, columns]) @ packed.t(),)


class _PackedProducts(torch.autograd.Function):
    """``(v_i v_j)_{i <= j} @ packed^T`` in chunks, products recomputed in the backward pass."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, packed: Tensor) -> Tensor:
        ctx.save_for_backward(v, packed)
        out = v.new_empty(v.shape[0], packed.shape[0])
        buffer = _buffer(v, packed)
        for start in range(0, v.shape[0], buffer.shape[0]):
            part = v[start : start + buffer.shape[0]]
            torch.mm(_products(part, buffer), packed.t(), out=out[start : start + part.shape[0]])
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        v, packed = ctx.saved_tensors
        if torch.is_grad_enabled() or observed(grad):
            return plain_gradients(_plain_products, (v, packed), (grad,))
        n = v.shape[1]
        grad_v, grad_packed = torch.zeros_like(v), torch.zeros_like(packed)
        buffer = _buffer(v, packed)
        for start in range(0, v.shape[0], buffer.shape[0]):
            stop = start + buffer.shape[0]
            part, part_grad, out = v[start:stop], grad[start:stop], grad_v[start:stop]
            products = _products(part, buffer)
            grad_packed.addmm_(part_grad.t(), products)
            by_product = torch.mm(part_grad, packed, out=products)
            offset = 0
            for i in range(n):
                block = by_product[:, offset : offset + n - i]
                out[:, i:].addcmul_(block, part[:, i : i + 1])
                out[:, i].add_((block * part[:, i:]).sum(1))
                offset += n - i
        return grad_v, grad_packed


def _buffer(v: Tensor, packed: Tensor) -> Tensor:
    rows = max(1, min(v.shape[0], _CHUNK_ELEMENTS // packed.shape[1]))
    return v.new_empty(rows, packed.shape[1])


def _products(v: Tensor, buffer: Tensor) -> Tensor:
    n, offset = v.shape[1], 0
    buffer = buffer[: v.shape[0]]
    for i in range(n):
        torch.mul(v[:, i:], v[:, i : i + 1], out=buffer[:, offset : offset + n - i])
        offset += n - i
    return buffer


def two_sided_form(left: Tensor, right: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(batch, n), (batch, n) and (out, n, n) -> (batch, out)."""
    out, n, _ = weight.shape
    mapped = F.linear(right, weight.reshape(out * n, n)).unflatten(-1, (out, n))
    result = torch.matmul(mapped, left.unsqueeze(-1)).squeeze(-1)
    return result if bias is None else result + bias


def two_sided_form_by_row(left: Tensor, right: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Arguments (batch, n) or (batch, rows, n) and (rows, out, n, n) -> (batch, rows, out)."""
    rows = weight.shape[0]
    sides = [side if side.dim() == 3 else side.unsqueeze(1).expand(-1, rows, -1) for side in (left, right)]
    result = torch.einsum("bmi,moij,bmj->bmo", sides[0], weight, sides[1])
    return result if bias is None else result + bias
