"""Kernels of the torch modules themselves, by drawing them."""

from __future__ import annotations

import math

import torch

from qnn_models.layers.stack import QuadraticStack

PAIRS = 24


def rows(fields: int, embedding_dim: int, agreeing: int, std: float, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs of rows that agree on so many random fields, in float64."""
    first, second = torch.randn(2, count, fields, embedding_dim, dtype=torch.float64) * std
    order = torch.rand(count, fields).argsort(dim=1)
    second = torch.where((order < agreeing)[:, :, None], first, second)
    return first.flatten(1), second.flatten(1)


def covariance(
    format, *, fields, embedding_dim, depth, embedding_std, agreeing, draws, post_activation=None
) -> tuple[float, float]:
    """The mean of ``h_i(u) h_i(v)`` over draws of the modules, and its standard error."""
    torch.manual_seed(0)
    means = []
    for seed in range(draws):
        stack = QuadraticStack(
            format, dim=fields * embedding_dim, layers=depth, post_activation=post_activation, seed=seed
        ).double()
        u, v = rows(fields, embedding_dim, agreeing, embedding_std, PAIRS)
        with torch.no_grad():
            means.append(float((stack(u) * stack(v)).mean()))
    values = torch.tensor(means)
    return float(values.mean()), float(values.std()) / math.sqrt(draws)


def tangents(format, *, fields, embedding_dim, depth, embedding_std, agreeing, draws) -> dict[str, tuple[float, float]]:
    """``∂y(u) · ∂y(v)`` for each group of parameters: means over draws and standard errors."""
    torch.manual_seed(0)
    found: dict[str, list[float]] = {}
    for seed in range(draws):
        stack = QuadraticStack(format, dim=fields * embedding_dim, layers=depth, seed=seed).double()
        head = torch.randn(stack.out_dim, dtype=torch.float64) / math.sqrt(stack.out_dim)
        head.requires_grad_()
        inputs = [row[0].clone().requires_grad_() for row in rows(fields, embedding_dim, agreeing, embedding_std, 1)]
        parameters = dict(stack.named_parameters())
        u, v = (torch.autograd.grad(stack(x) @ head, [x, head, *parameters.values()]) for x in inputs)
        same = (inputs[0] == inputs[1]).double()  # embeddings are shared where the rows agree
        for name, a, b in zip(("embedding", "head", *parameters), u, v, strict=True):
            product = a * b * same if name == "embedding" else a * b
            found.setdefault(name, []).append(float(product.sum()))
    return {
        name: (float(torch.tensor(values).mean()), float(torch.tensor(values).std()) / math.sqrt(draws))
        for name, values in found.items()
    }
