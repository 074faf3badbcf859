"""The quadratic form ``y_k = v^T A_k v``, computed from the n(n+1)/2 products v_i v_j with one matrix product.

Only the symmetric part of A_k acts, so ``U_k,ij = A_k,ij + A_k,ji`` (i < j) and ``U_k,ii = A_k,ii`` hold all of it: half
the multiplications of the square form, and the gradient with respect to A is exactly that of the square form. Batches are
cut into chunks whose products stay in cache, and the backward pass recomputes the products instead of storing them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import has_torch_function

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
    if torch.compiler.is_compiling() or has_torch_function((v, packed)) or not v.is_floating_point():
        out = (v[:, rows] * v[:, columns]) @ packed.t()
    else:
        out = _PackedProducts.apply(v, packed)
    return out if bias is None else out + bias


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
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        v, packed = ctx.saved_tensors
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
