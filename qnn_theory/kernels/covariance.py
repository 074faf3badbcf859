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
from typing import Any, Literal

import numpy as np

from qnn_theory.grammar.expr import ActivationKind, uses_activation
from qnn_theory.grammar.format import Format
from qnn_theory.kernels import spectrum
from qnn_theory.kernels.at_width import at_width, from_ratios, is_lost, reliable_from, second_moments
from qnn_theory.kernels.backward import Backward
from qnn_theory.kernels.finite_width import FiniteWidth
from qnn_theory.kernels.moments.laws import Entry
from qnn_theory.kernels.moments.layer_rules import NoRuleError
from qnn_theory.kernels.moments.stack import Stack
from qnn_theory.kernels.results import Kernel, Signal, Spectrum
from qnn_theory.kernels.sampling import simulate
from qnn_theory.kernels.setting import Setting, check_rules, checked_setting, floats, has_rules


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
        width_correction: whether `values` are those at the width d = fields · embedding_dim: exactly for polynomial formats where
            that takes a second at most, with the 1/d term where that suffices (see `Kernel.reliable_from_dim`), by simulation
            elsewhere, with a standard error; not a number where rare draws decide.

    Raises:
        NoRuleError: the format has a node without a rule.
        ValueError: a number is out of its range, or the format cannot have this width.
    """
    setting = checked_setting(format, fields, embedding_dim, depth, embedding_std, post_activation)
    found = at_width(setting, width_correction=width_correction)
    return Kernel(
        values=found.values,
        leading=found.leading,
        exact=found.exact,
        setting=setting,
        groups={},
        reliable_from_dim=found.reliable_from,
        standard_error=found.errors,
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
    if not has_rules(setting):
        return _simulated_signal(setting, width_correction)
    stack = setting.stack(np.ones(1), 1)
    inputs = stack.input_entry()
    targets = [stack.output_entry(level) for level in range(1, depth + 1)]
    wide = FiniteWidth(stack, (inputs, *targets))
    deviations = [_log_deviation(wide, inputs, target) / math.sqrt(setting.dim) for target in targets]
    moments = second_moments(setting, width_correction=width_correction)
    return _signal(setting, moments, deviations, reliable_from(wide, targets[-1]))


def _simulated_signal(setting: Setting, width_correction: bool) -> Signal:
    found = simulate(setting, width_correction=width_correction)
    moments = tuple(float(v) for v in (found.values if width_correction else found.leading)[:, -1])
    deviations = [math.sqrt(spread) for spread in found.log_spreads]
    reliable = from_ratios(found.shift * setting.dim, found.spread * setting.dim)
    return _signal(setting, moments, deviations, reliable, float(found.errors[-1, -1]))


def _signal(
    setting: Setting, moments: tuple[float, ...], deviations: list[float], reliable: int | None, error: float = 0.0
) -> Signal:
    embedding_std = setting.embedding_std
    before = (embedding_std**2, *moments)
    gains = tuple(after / first for first, after in zip(before, moments, strict=False))
    gain = moments[-1] / embedding_std**2
    return Signal(
        second_moment=moments,
        layer_gains=gains,
        gain=gain,
        log_gain=-math.inf if gain <= 0 else math.log(gain),
        log_gains_std=tuple(deviations),
        log_gain_std=deviations[-1],
        reliable_from_dim=reliable,
        standard_error=error,
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
    if kernel not in ("covariance", "tangent"):
        raise ValueError(f"The kernel is 'covariance' or 'tangent', however: {kernel!r}.")
    check_rules(setting)
    same = setting.stack(np.ones(1), 1, join_rows=kernel == "covariance")
    share, radius = spectrum.circle(same.degree())
    total = floats(_of(same, kernel, width_correction), 1)[0]
    values = _of(setting.stack(share, 2, join_rows=kernel == "covariance"), kernel, width_correction) + 0 * share
    variance = spectrum.with_collisions(
        spectrum.variances(spectrum.coefficients(values, radius), fields, total), collision
    )
    interactions = sum(variance[1:])
    return Spectrum(
        variance=variance,
        shares=(0.0, *(v / interactions if interactions else 0.0 for v in variance[1:])),
        constant=variance[0] / sum(variance) if sum(variance) else 0.0,
    )


def _of(stack: Stack, kernel: str, width_correction: bool) -> Any:
    depth = len(stack.layers)
    if kernel == "tangent":
        check_leading(width_correction)
        return sum(Backward(stack).groups().values())
    if not width_correction:
        return stack.kernel(depth)
    target = stack.output_entry(depth)
    wide = FiniteWidth(stack, (target,))
    if stack.rows == 1 and is_lost(reliable_from(wide, target), stack.dim):
        raise NoRuleError(
            "A spectrum at a finite width has a rule where the 1/d term is smaller than what it corrects, however: here it "
            "is larger; take width_correction=False, or smaller embeddings or more of them."
        )
    shift = wide.shift(target) / stack.number(stack.ratios[-1])
    return stack.kernel(depth) + shift / stack.dim


def tangent_kernel(
    format: str | Format,
    *,
    fields: int,
    embedding_dim: int = 16,
    depth: int = 1,
    embedding_std: float = 1.0,
    post_activation: ActivationKind | None = None,
    width_correction: bool = False,
) -> Kernel:
    """The tangent kernel Θ of the outputs for two rows that agree on s = 0 .. fields fields, at leading order in 1/d.

    Its `groups` are those of torch's parameters: ``embedding``, ``layers.0.W_a``, ``layers.0.b_a``, .., ``head`` (the weights; a
    bias of the head adds 1 everywhere). Gradient flow learns with Θ; Adam rescales groups: compare shares within a group there.

    Args:
        format: this and the following as for `covariance`.
        fields: number of fields f.
        embedding_dim: width e of each embedding.
        depth: number of layers L.
        embedding_std: standard deviation of an embedding's entries.
        post_activation: activation after each layer.
        width_correction: must be off; there is no rule for the 1/d term.

    Raises:
        NoRuleError: the format has a node without a rule.
        ValueError: a number is out of its range, or the format cannot have this width.
    """
    check_leading(width_correction)
    setting = checked_setting(format, fields, embedding_dim, depth, embedding_std, post_activation)
    check_rules(setting)
    parts = [Backward(stack).groups() for stack in setting.stacks(join_rows=False)]
    groups = {name: (*floats(parts[0][name], fields), *floats(parts[1][name], 1)) for name in parts[0]}
    values = tuple(math.fsum(column) for column in zip(*groups.values(), strict=True))
    exact = not uses_activation(setting.format.expr)
    return Kernel(values=values, leading=values, exact=exact, setting=setting, groups=groups)


def check_leading(width_correction: bool) -> None:
    """Refuse what the tangent kernel has no rule for."""
    if width_correction:
        raise NoRuleError(
            "The tangent kernel has a rule at leading order, however: width_correction=True; leave it out."
        )


def _log_deviation(wide: FiniteWidth, before: Entry, after: Entry) -> float:
    """The standard deviation of log(after / before), times √d."""
    i, j = wide.position[before], wide.position[after]
    a, b = (floats(wide.stack.overlap(entry), 1)[0] for entry in (before, after))
    if b <= 0:
        return math.inf
    c = wide.covariances[0]
    return math.sqrt(max(0.0, c[i, i] / a**2 + c[j, j] / b**2 - 2 * c[i, j] / (a * b)))
