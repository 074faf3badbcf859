"""A covariance kernel at the width that a network has: exactly, to first order in 1/d, or by simulation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from qnn_theory.grammar.expr import uses_activation
from qnn_theory.kernels.exact_width import exact_kernel
from qnn_theory.kernels.finite_width import FiniteWidth
from qnn_theory.kernels.moments.laws import Entry
from qnn_theory.kernels.sampling import simulate
from qnn_theory.kernels.setting import Setting, floats, has_rules

_TOLERANCE = 0.03
_NEARLY_EXACT = 4  # times the width from which the 1/d term is within the tolerance: then it is within 0.2 %
_VISIBLE = 0.1  # relative standard error
_LARGEST_WIDTH = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWidth:
    """K(0) .. K(f) of a stack.

    Attributes:
        leading: the limit of large d.
        values: at the width of the setting.
        exact: whether `values` hold as they are: no order in 1/d, no quadrature, no simulation is left out of them.
        reliable_from: the width from which the 1/d term suffices, or None.
        errors: standard errors of a simulation.
    """

    leading: tuple[float, ...]
    values: tuple[float, ...]
    exact: bool
    reliable_from: int | None
    errors: tuple[float, ...]


def at_width(setting: Setting, *, width_correction: bool) -> AtWidth:
    """The kernel in its limit and, if asked for, at its width."""
    if not has_rules(setting):
        found = simulate(setting, width_correction=width_correction)
        return AtWidth(
            leading=tuple(map(float, found.leading[-1])),
            values=tuple(map(float, found.values[-1])),
            exact=False,
            reliable_from=from_ratios(found.shift * setting.dim, found.spread * setting.dim),
            errors=tuple(map(float, found.errors[-1])),
        )
    if width_correction:
        return _values(setting, tuple(range(setting.fields)))
    pair, same = setting.stacks()
    leading = (*floats(pair.kernel(setting.depth), setting.fields), *floats(same.kernel(setting.depth), 1))
    exact = not uses_activation(setting.format.expr)
    return AtWidth(leading=leading, values=leading, exact=exact, reliable_from=None, errors=(0.0,) * len(leading))


def _values(setting: Setting, agreeing: tuple[int, ...]) -> AtWidth:
    """Limit and values for some numbers of agreeing fields below f, and for f."""
    depth, count = setting.depth, len(agreeing)
    pair = setting.stack(np.array(agreeing) / setting.fields, 2)
    same = setting.stack(np.ones(1), 1)
    below = floats(pair.kernel(depth), count) if count else ()
    leading = (*below, *floats(same.kernel(depth), 1))
    wide = FiniteWidth(same, (same.output_entry(depth),))
    reliable = reliable_from(wide, same.output_entry(depth))
    values: tuple[float, ...] = ()
    errors = (0.0,) * len(leading)
    exact = None
    if reliable is None or setting.dim < _NEARLY_EXACT * reliable:
        exact = exact_kernel(setting.stack(np.ones(1), 2), embedding_dim=setting.embedding_dim)
    if exact is not None:
        values = tuple(float(exact[s]) for s in (*agreeing, setting.fields))
    elif reliable is None or setting.dim < reliable:
        simulated = simulate(setting, same_only=not agreeing)
        values, errors = (tuple(map(float, found[-1])) for found in (simulated.values, simulated.errors))
        if not errors[-1] < _VISIBLE * values[-1]:  # rare draws decide, and the simulation has not seen enough of them
            values = errors = (math.nan,) * len(leading)
    else:
        shifts: list[float] = []
        for stack, number in ((pair, count), (same, 1)):
            if number:
                target = stack.output_entry(depth)
                shift = (wide if stack is same else FiniteWidth(stack, (target,))).shift(target)
                shifts += floats(shift / stack.number(stack.ratios[-1]), number)
        values = tuple(k + shift / setting.dim for k, shift in zip(leading, shifts, strict=True))
    return AtWidth(leading=leading, values=values, exact=exact is not None, reliable_from=reliable, errors=errors)


def second_moments(setting: Setting, *, width_correction: bool) -> tuple[float, ...]:
    """K(f) after each layer, of a format with rules."""
    levels = range(1, setting.depth + 1)
    if not width_correction:
        same = setting.stack(np.ones(1), 1)
        return tuple(floats(same.kernel(level), 1)[0] for level in levels)
    return tuple(_values(replace(setting, depth=level), ()).values[-1] for level in levels)


def is_lost(reliable: int | None, dim: int) -> bool:
    """Whether the 1/d term is larger than what it corrects."""
    return reliable is None or dim < reliable * math.sqrt(2 * _TOLERANCE)


def reliable_from(wide: FiniteWidth, target: Entry) -> int | None:
    """Where a second-order term, taken as half the square of the first, is 3 %: the correction is part of an exponential."""
    position = wide.position[target]
    limit = floats(wide.stack.overlap(target), 1)[0]
    if limit <= 0:
        return None
    first = abs(wide.shifts[0, position]) / limit
    spread = abs(wide.covariances[0, position, position]) / limit**2
    return from_ratios(first, spread)


def from_ratios(first: float, spread: float) -> int | None:
    """The same from the 1/d term and the variance over draws, both relative and times d."""
    width = max(abs(first), spread / 4) / math.sqrt(2 * _TOLERANCE)
    return max(1, math.ceil(width)) if width < _LARGEST_WIDTH else None
