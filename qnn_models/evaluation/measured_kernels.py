"""The kernels of a format, measured: averages over random starts of the torch modules, with standard errors.

It asks the modules what `qnn_theory` computes (`qt.covariance`, `qt.tangent_kernel`, `qt.signal`) and shares no code with it: a
stack of L layers is started anew for every draw, in the modules' own distribution, rows get embeddings iid N(0, std²), and
products of outputs are averaged. What is cheap to integrate is integrated: a head with iid weights of variance 1/width makes
``E[y(u) y(v)]`` the mean over the stack's coordinates, so no head is drawn for the covariance.

**Pairs of rows.** A draw has a *chain* of f + 1 rows: row a takes the first a fields, in a random order, from one random row and
the others from another, so rows a and b agree on exactly ``f - |a - b|`` fields. All pairs with one distance are averaged; the
random order makes the set of agreeing fields uniform among those of its size.

**Heavy tails.** A mean over draws says little where a few draws make most of it: `Measured.heaviest` is the share of the largest,
and of products of many Gaussians (T16, T21 in depth) it does not get small. Look at it before you trust `errors`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from qnn_models.layers.layer import QuadraticLayer
from qnn_models.layers.stack import QuadraticStack
from qnn_models.layers.unit_gain import Init
from qnn_models.runtime.seeds import derive
from qnn_theory.grammar.expr import ActivationKind
from qnn_theory.grammar.format import Format

__all__ = [
    "Measured",
    "MeasuredSignal",
    "MeasuredTangentKernel",
    "measured_covariance",
    "measured_signal",
    "measured_tangent_kernel",
]

Parameters: TypeAlias = dict[str, Tensor]

_CHUNK_NUMBERS = 1 << 24
"""Numbers that one chunk of draws holds at once, parameters and outputs: 128 MiB in double precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Means over draws.

    Attributes:
        values: the means.
        errors: their standard errors, from the spread over draws.
        draws: number of draws.
        heaviest: for each mean, the largest share that one draw has in the sum of all draws' absolute values; 1/draws at best.
    """

    values: tuple[float, ...]
    errors: tuple[float, ...]
    draws: int
    heaviest: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredTangentKernel(Measured):
    """The tangent kernel Θ(0)..Θ(f), the sum over groups of parameters.

    Attributes:
        groups: the same for each group: ``embedding``, ``layers.0.W_a`` and so on by the stack's parameter names, ``head``.
    """

    groups: Mapping[str, Measured]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredSignal:
    """How large the numbers are that a stack computes, by layer; position 0 is the input.

    Attributes:
        second_moment: E[y²] of a coordinate.
        gain: the factor by which each layer multiplies the second moment of its input, the ratio of means; length L.
        log_gain_std: standard deviation over draws of the logarithm of each draw's own E[y²] over its input's; length L + 1;
            infinite where the output of a draw is zero at all rows.
    """

    second_moment: Measured
    gain: tuple[float, ...]
    log_gain_std: tuple[float, ...]


def measured_covariance(
    format: str | Format,
    *,
    fields: int,
    embedding_dim: int,
    depth: int = 1,
    embedding_std: float = 1.0,
    post_activation: ActivationKind | None = None,
    draws: int = 1000,
    chains: int = 1,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Measured:
    """K(0)..K(fields): the mean product of the outputs for two rows that agree on that many fields.

    Args:
        format: an id, a formula or a `Format`; `qnn_theory.registry.qnn_alpha` makes those of QNN-α.
        fields: number of fields f.
        embedding_dim: width e of a field; the stack's input has the width d = f · e.
        depth: number of layers L.
        embedding_std: standard deviation of the embeddings.
        post_activation: activation after each layer, or None.
        draws: random starts of the layers; the standard errors shrink with their square root.
        chains: chains of rows (see the module) for each of them.
        seed: seed of all draws.
        device: where to compute, in double precision.

    Raises:
        KeyError: unknown format.
        ValueError: the format cannot have this width, or a number is out of its range.

    Example:
        >>> found = measured_covariance("Linear", fields=4, embedding_dim=8, draws=50)
        >>> abs(found.values[4] - 1) < 5 * found.errors[4]
        True
    """
    stack = _stack(
        format, fields, embedding_dim, depth, embedding_std, post_activation, device, draws=draws, chains=chains
    )
    rows = chains * (fields + 1)

    def one_chunk(parameters: Parameters, generator: torch.Generator, count: int) -> Tensor:
        x, _ = _chains(count, chains, fields, embedding_dim, embedding_std, generator)
        y = vmap(_apply(stack))(parameters, x.reshape(count, rows, -1)).reshape(count, chains, fields + 1, -1)
        return _by_agreement(y @ y.mT / y.shape[-1]).mean(1)

    return _measured(torch.cat(_chunks(stack, one_chunk, draws=draws, rows=rows, seed=seed, device=device)))


def measured_tangent_kernel(
    format: str | Format,
    *,
    fields: int,
    embedding_dim: int,
    depth: int = 1,
    embedding_std: float = 1.0,
    post_activation: ActivationKind | None = None,
    draws: int = 1000,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> MeasuredTangentKernel:
    """Θ(0)..Θ(fields): the mean product of the gradients of ``y = w · stack(x)`` at two rows that agree on that many fields.

    The head w is drawn, iid N(0, 1/width); its own group is ``Σ_i h_i(u) h_i(v)``, without the head's bias, whose gradient is 1
    for all rows. Rows share the embeddings of the fields on which they agree, and of no others.

    Args:
        format: as in `measured_covariance`, and so are the others.
        fields: number of fields.
        embedding_dim: width of a field.
        depth: number of layers.
        embedding_std: standard deviation of the embeddings.
        post_activation: activation after each layer, or None.
        draws: random starts, each with one head and one chain of rows.
        seed: seed of all draws.
        device: where to compute, in double precision.

    Raises:
        KeyError: unknown format.
        ValueError: the format cannot have this width, or a number is out of its range.
    """
    stack = _stack(format, fields, embedding_dim, depth, embedding_std, post_activation, device, draws=draws)
    apply = _apply(stack)

    def logit(parameters: Parameters, row: Tensor, head: Tensor) -> Tensor:
        return apply(parameters, row) @ head

    gradients = vmap(vmap(grad(logit, argnums=(0, 1, 2)), in_dims=(None, 0, None)))

    def one_chunk(parameters: Parameters, generator: torch.Generator, count: int) -> Tensor:
        x, agree = _chains(count, 1, fields, embedding_dim, embedding_std, generator)
        head = torch.randn(count, stack.out_dim, generator=generator, dtype=x.dtype, device=x.device)
        by_name, by_input, by_head = gradients(parameters, x.flatten(-2)[:, 0], head / math.sqrt(stack.out_dim))
        by_field = by_input.unflatten(-1, (fields, embedding_dim)).transpose(1, 2)
        products = [(by_field @ by_field.mT * agree[:, 0].permute(0, 3, 1, 2)).sum(1)]
        products += [each @ each.mT for each in (by_name[name].reshape(count, fields + 1, -1) for name in names)]
        products.append(by_head @ by_head.mT)
        return torch.stack([_by_agreement(product) for product in products], 1)

    names = [name for name, _ in stack.named_parameters()]
    # Each row of a chain has a gradient of its own for every parameter.
    rows = fields + 1
    found = torch.cat(_chunks(stack, one_chunk, draws=draws, rows=rows, seed=seed, device=device, copies=rows))
    total = _measured(found.sum(1))
    return MeasuredTangentKernel(
        values=total.values,
        errors=total.errors,
        draws=total.draws,
        heaviest=total.heaviest,
        groups={name: _measured(found[:, at]) for at, name in enumerate(["embedding", *names, "head"])},
    )


def measured_signal(
    format: str | Format,
    *,
    fields: int,
    embedding_dim: int,
    depth: int = 1,
    embedding_std: float = 1.0,
    post_activation: ActivationKind | None = None,
    draws: int = 1000,
    rows: int = 64,
    init: Init = "paper",
    operating_std: float | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> MeasuredSignal:
    """The second moment of each layer's output, its growth, and how much that growth differs from draw to draw.

    Args:
        format: as in `measured_covariance`, and so are the others.
        fields: number of fields.
        embedding_dim: width of a field.
        depth: number of layers.
        embedding_std: standard deviation of the embeddings.
        post_activation: activation after each layer, or None.
        draws: random starts of the layers.
        rows: random rows for each of them.
        init: start values of the maps, as in `QuadraticStack`.
        operating_std: what ``unit-gain`` is for; the embeddings' own standard deviation when left out.
        seed: seed of all draws.
        device: where to compute, in double precision.

    Raises:
        KeyError: unknown format.
        ValueError: the format cannot have this width, or a number is out of its range.
    """
    stack = _stack(
        format,
        fields,
        embedding_dim,
        depth,
        embedding_std,
        post_activation,
        device,
        init=init,
        operating_std=operating_std,
        draws=draws,
        rows=rows,
    )
    apply = _apply(_Moments(stack))

    def one_chunk(parameters: Parameters, generator: torch.Generator, count: int) -> Tensor:
        x = torch.randn(count, rows, stack.dim, generator=generator, dtype=torch.float64, device=generator.device)
        return vmap(apply)({f"stack.{name}": value for name, value in parameters.items()}, x * embedding_std)

    moments = torch.cat(_chunks(stack, one_chunk, draws=draws, rows=rows, seed=seed, device=device))
    second = _measured(moments)
    return MeasuredSignal(
        second_moment=second,
        gain=tuple(after / before if before else math.nan for before, after in pairwise(second.values)),
        log_gain_std=tuple((moments / moments[:, :1]).log().std(0).nan_to_num(nan=math.inf).tolist()),
    )


class _Moments(nn.Module):
    """The mean square of a stack's input and of each layer's output."""

    def __init__(self, stack: QuadraticStack) -> None:
        super().__init__()
        self.stack = stack

    def forward(self, x: Tensor) -> Tensor:
        outputs = [x]
        for layer in self.stack.layers:
            outputs.append(layer(outputs[-1], x))
        return torch.stack([output.square().mean() for output in outputs])


def _stack(
    format: str | Format,
    fields: int,
    embedding_dim: int,
    depth: int,
    embedding_std: float,
    post_activation: ActivationKind | None,
    device: str | torch.device,
    init: Init = "paper",
    operating_std: float | None = None,
    **counts: int,
) -> QuadraticStack:
    for name, value in {"fields": fields, "embedding_dim": embedding_dim, "depth": depth, **counts}.items():
        least = 2 if name == "draws" else 1
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} is an integer of at least {least}, however: {name}={value!r}.")
    if not (math.isfinite(embedding_std) and embedding_std > 0):
        raise ValueError(f"embedding_std is positive and finite, however: embedding_std={embedding_std!r}.")
    stack = QuadraticStack(
        format,
        dim=fields * embedding_dim,
        layers=depth,
        post_activation=post_activation,
        init=init,
        operating_std=embedding_std if operating_std is None else operating_std,
        seed=0,
    )
    return stack.to(device=device, dtype=torch.float64)


def _apply(module: nn.Module) -> Callable[[Parameters, Tensor], Tensor]:
    return lambda parameters, x: functional_call(module, parameters, (x,))


def _chunks(
    stack: QuadraticStack,
    one_chunk: Callable[[Parameters, torch.Generator, int], Tensor],
    *,
    draws: int,
    rows: int,
    seed: int,
    device: str | torch.device,
    copies: int = 1,
) -> list[Tensor]:
    """Results of as many draws as asked for, chunk by chunk; `copies` of the parameters are alive for each draw."""
    numbers = copies * sum(parameter.numel() for parameter in stack.parameters()) + rows * stack.dim * len(stack.layers)
    size = max(1, min(draws, _CHUNK_NUMBERS // numbers))
    results = []
    for index, start in enumerate(range(0, draws, size)):
        count = min(size, draws - start)
        generator = torch.Generator(device).manual_seed(derive(seed, "rows", index))
        parameters: Parameters = {}
        for number, layer in enumerate(stack.layers):
            assert isinstance(layer, QuadraticLayer)
            stacked = layer.drawn(count, seed=derive(seed, "layer", number, index))
            parameters |= {f"layers.{number}.{name}": value for name, value in stacked.items()}
        with torch.no_grad():
            results.append(one_chunk(parameters, generator, count))
    return results


def _chains(
    count: int, chains: int, fields: int, embedding_dim: int, std: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Rows (count, chains, f + 1, f, e), and which fields two rows share, (count, chains, f + 1, f + 1, f)."""
    device = generator.device
    shape = (count, chains, 2, fields, embedding_dim)
    two = torch.randn(shape, generator=generator, dtype=torch.float64, device=device) * std
    rank = torch.rand(count, chains, 1, fields, generator=generator, device=device).argsort(-1)
    from_first = rank < torch.arange(fields + 1, device=device)[:, None]
    rows = torch.where(from_first[..., None], two[:, :, :1], two[:, :, 1:])
    return rows, from_first[:, :, :, None] == from_first[:, :, None]


def _by_agreement(products: Tensor) -> Tensor:
    """Products of all pairs of a chain's rows (..., f + 1, f + 1) -> means by the number of agreeing fields, (..., f + 1)."""
    fields = products.shape[-1] - 1
    return torch.stack([products.diagonal(fields - s, -2, -1).mean(-1) for s in range(fields + 1)], -1)


def _measured(draws: Tensor) -> Measured:
    """Means over the first axis."""
    share = draws.abs().amax(0) / draws.abs().sum(0).clamp_min(torch.finfo(draws.dtype).tiny)
    return Measured(
        values=tuple(draws.mean(0).tolist()),
        errors=tuple((draws.std(0) / math.sqrt(len(draws))).tolist()),
        draws=len(draws),
        heaviest=tuple(share.tolist()),
    )
