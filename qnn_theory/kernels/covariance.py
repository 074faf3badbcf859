"""The covariance kernel of a format, how its signal grows, and which interactions its variance lies in.

The setting: a row has f fields with embeddings of width e, drawn from N(0, s²); L layers of one format with parameters at their
start distribution; a linear head with weights of variance 1/width. Then K(s) = E[y(u) y(v)] for two rows that agree on s fields.
Claim: `leading` is its limit for large d = f e (a bilinear map's factor d kept), `values` has the 1/d term besides, both for the
distribution that `qnn_models` starts from.

Sources: yang2019fine for kernels by degree, cho2009kernel for relu, kernels.md for the rules. Checked in tests/qnn_theory/kernels
against the torch modules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np

from qnn_theory.grammar.expr import ActivationKind, uses_activation
from qnn_theory.grammar.format import Format, with_post_activation
from qnn_theory.grammar.widths import smallest_width
from qnn_theory.kernels import spectrum
from qnn_theory.kernels.stack import Stack
from qnn_theory.registry import get_format

Formula: TypeAlias = Any  # a SymPy expression; SymPy ships no types


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a kernel is asked for."""

    format: Format
    fields: int
    embedding_dim: int
    depth: int
    embedding_std: float

    def stack(self, share: Any, rows: int) -> Stack:
        """The moments for some shares of agreeing fields."""
        return Stack(
            self.format,
            fields=self.fields,
            embedding_dim=self.embedding_dim,
            depth=self.depth,
            second_moment=self.embedding_std**2,
            share=share,
            rows=rows,
        )

    def stacks(self) -> tuple[Stack, Stack]:
        """For s = 0 .. f - 1, and for s = f."""
        return self.stack(np.arange(self.fields) / self.fields, 2), self.stack(np.ones(1), 1)


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel as a function of the number s of fields on which two rows agree.

    Attributes:
        values: K(0) .. K(fields), with the 1/d term where it was asked for.
        leading: the same without it.
        exact: whether these are polynomials in t, without a quadrature or a series.
        groups: of a tangent kernel, the part of each group of parameters, summing up to `values`; empty for a covariance.
        reliable_from_dim: the width d from which `values` are within 3 %, judged by the size of the 1/d term, or None
            where that is no width below a million: then the moments are those of rare draws.
    """

    values: tuple[float, ...]
    leading: tuple[float, ...]
    exact: bool
    setting: Setting
    groups: dict[str, tuple[float, ...]]
    reliable_from_dim: int | None = None

    @cached_property
    def formula(self) -> Formula | None:
        """The leading order as a SymPy polynomial in t = s / f, or None where it is none (or for a tangent kernel)."""
        if not self.exact or self.groups:
            return None
        setting = self.setting
        found = covariance_formula(setting.format, depth=setting.depth)
        return found.subs({"sigma": setting.embedding_std, "d": setting.fields * setting.embedding_dim})


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """The variance of the output by interaction order.

    Attributes:
        variance: V_0 .. V_fields; their sum is K(fields).
        shares: V_k / Σ_(k >= 1) V_k, with a 0 for k = 0.
        constant: V_0 / K(fields).
    """

    variance: tuple[float, ...]
    shares: tuple[float, ...]
    constant: float


@dataclass(frozen=True, kw_only=True)
class Signal:
    """How large a row's signal is, layer by layer.

    Attributes:
        second_moment: the mean square of a coordinate after layer 1 .. L.
        mean: the mean of a coordinate.
        layer_gains: second moment after a layer over that before it.
        gain: second moment after the last layer over that of the embeddings.
        log_gain: its logarithm.
    """

    second_moment: tuple[float, ...]
    layer_gains: tuple[float, ...]
    gain: float
    log_gain: float


def covariance(
    format: str | Format,
    *,
    fields: int,
    embedding_dim: int = 16,
    depth: int = 1,
    embedding_std: float = 1.0,
    post_activation: ActivationKind | None = None,
    width_correction: bool = True,
) -> Kernel:
    """The covariance of the outputs for two rows that agree on s = 0 .. fields fields.

    Args:
        format: a registered id, a formula or a `Format`.
        fields: number of fields f.
        embedding_dim: width e of each embedding.
        depth: number of layers L.
        embedding_std: standard deviation s of an embedding's entries.
        post_activation: activation after each layer.
        width_correction: whether `values` have the 1/d term.

    Raises:
        NoRuleError: the format has a node without a rule.
        ValueError: a number is out of its range, or the format cannot have this width.
    """
    setting = checked_setting(format, fields, embedding_dim, depth, embedding_std, post_activation)
    pair, same = setting.stacks()
    leading = (*_floats(pair.kernel(depth), fields), *_floats(same.kernel(depth), 1))
    return Kernel(
        values=leading, leading=leading, exact=not uses_activation(setting.format.expr), setting=setting, groups={}
    )


def signal(
    format: str | Format,
    *,
    fields: int,
    embedding_dim: int = 16,
    depth: int = 1,
    embedding_std: float = 1.0,
    post_activation: ActivationKind | None = None,
    width_correction: bool = True,
) -> Signal:
    """How a row's signal grows from layer to layer; arguments as for `covariance`."""
    setting = checked_setting(format, fields, embedding_dim, depth, embedding_std, post_activation)
    same = setting.stack(np.ones(1), 1)
    moments = tuple(_floats(same.kernel(level), 1)[0] for level in range(1, depth + 1))
    before = (embedding_std**2, *moments)
    gains = tuple(after / first for first, after in zip(before, moments, strict=False))
    gain = moments[-1] / embedding_std**2
    return Signal(
        second_moment=moments, layer_gains=gains, gain=gain, log_gain=math.log(gain) if gain > 0 else -math.inf
    )


def interaction_spectrum(
    format: str | Format,
    *,
    fields: int,
    embedding_dim: int = 16,
    depth: int = 1,
    embedding_std: float = 1.0,
    post_activation: ActivationKind | None = None,
    kernel: Literal["covariance", "tangent"] = "covariance",
    width_correction: bool = False,
    collision: float = 0.0,
) -> Spectrum:
    """The variance by interaction order.

    Args:
        format: this and the following as for `covariance`.
        fields: number of fields f.
        embedding_dim: width e of each embedding.
        depth: number of layers L.
        embedding_std: standard deviation of an embedding's entries.
        post_activation: activation after each layer.
        width_correction: whether the kernel has its 1/d term.
        kernel: whose expansion: the outputs' covariance, or the tangent kernel (how fast each order is learnt by gradient flow).
        collision: the probability that two random rows agree on a field, 1/V for V ids of equal frequency; 0 stands for
            large vocabularies.
    """
    setting = checked_setting(format, fields, embedding_dim, depth, embedding_std, post_activation)
    if not 0 <= collision < 1:
        raise ValueError(f"The probability of a collision is at least 0 and below 1, however: collision={collision!r}.")
    same = setting.stack(np.ones(1), 1)
    share, radius = spectrum.circle(same.degree())
    total = _floats(same.kernel(depth), 1)[0]
    values = setting.stack(share, 2).kernel(depth) + 0 * share
    variance = spectrum.with_collisions(
        spectrum.variances(spectrum.coefficients(values, radius), fields, total), collision
    )
    interactions = sum(variance[1:])
    return Spectrum(
        variance=variance,
        shares=(0.0, *(v / interactions if interactions else 0.0 for v in variance[1:])),
        constant=variance[0] / sum(variance) if sum(variance) else 0.0,
    )


def covariance_formula(
    format: str | Format, *, depth: int = 1, post_activation: ActivationKind | None = None
) -> Formula:
    """The leading order of K as a SymPy polynomial in t = s / f, `sigma` and `d`.

    `sigma` is the embeddings' standard deviation; the width `d` occurs where a format has a bilinear map.

    Raises:
        NoRuleError: the format is no polynomial.
    """
    import sympy

    given = with_post_activation(get_format(format), post_activation)
    t, sigma, d = (sympy.Symbol(name) for name in ("t", "sigma", "d"))
    stack = Stack(
        given,
        fields=smallest_width(given.expr, 1),
        embedding_dim=1,
        depth=depth,
        second_moment=sigma**2,
        share=t,
        dim=d,
    )
    return sympy.expand(stack.kernel(depth))


def checked_setting(
    format: str | Format,
    fields: int,
    embedding_dim: int,
    depth: int,
    embedding_std: float,
    post_activation: ActivationKind | None,
) -> Setting:
    """The setting, if its numbers are in their ranges."""
    for name, number in (("fields", fields), ("embedding_dim", embedding_dim), ("depth", depth)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"{name} is a positive integer, however: {name}={number!r}.")
    if not 0 < embedding_std < math.inf:
        raise ValueError(f"embedding_std is a positive number, however: embedding_std={embedding_std!r}.")
    return Setting(
        format=with_post_activation(get_format(format), post_activation),
        fields=fields,
        embedding_dim=embedding_dim,
        depth=depth,
        embedding_std=float(embedding_std),
    )


def _floats(values: Any, count: int) -> tuple[float, ...]:
    return tuple(float(v) for v in np.broadcast_to(np.asarray(values, dtype=float), (count,)))
