"""Effective dimension: how many directions of a stack's parameters change the function it computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qnn_theory.algebra.linear_algebra import TOLERANCE, Array, PrimeField, Reals
from qnn_theory.algebra.modular import PRIME
from qnn_theory.dimension.jacobian import StackJacobian
from qnn_theory.dimension.symmetries import Symmetry, symmetries
from qnn_theory.feature_spaces.degrees import total_degree
from qnn_theory.feature_spaces.feature_space import number_text
from qnn_theory.grammar.expr import Affine, Bilinear, children, has_parameters, uses_activation, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.stacking import layer_widths, parameter_count
from qnn_theory.registry import get_format

SMALLEST_GAP = 1e3
"""A float64 rank whose gap is below this is refused."""

PARAMETER_LIMIT = 10_000
"""The largest number of parameters whose Jacobian is computed: within a minute for one or two layers of maps of x."""

COUPLED_LIMIT = 2_000
"""The same for a format with a map of a map, where one large matrix is eliminated."""

_SPARE_POINTS = 8
_RETRIES = 6
_DRAWS = 5


@dataclass(frozen=True, slots=True)
class EffectiveDimension:
    """The rank of the map from parameters to functions, at generic parameters.

    Attributes:
        format_id: the format.
        dim: the input width d.
        depth: the number of layers.
        parameters: the number of parameters of the stack.
        dimension: the rank of the Jacobian of the evaluation map: the dimension of the set of functions the stack can compute.
        symmetries: the named directions along which the function does not change.
        arithmetic: ``GF(2147483647)`` (exact up to `error_bound`) or ``float64``.
        error_bound: upper bound of the probability that the true rank is larger (Schwartz-Zippel); None in float64.
        tolerance: relative size below which a singular value counts as zero; None over GF(p).
        gap: the smallest ratio between a singular value that counted and the next, over all ranks taken; None over GF(p).
    """

    format_id: str
    dim: int
    depth: int
    parameters: int
    dimension: int
    symmetries: tuple[Symmetry, ...]
    arithmetic: str
    error_bound: float | None
    tolerance: float | None
    gap: float | None

    @property
    def redundant(self) -> int:
        """The number of directions of the parameters that change nothing: parameters minus dimension."""
        return self.parameters - self.dimension

    @property
    def explained(self) -> int:
        """How many of the redundant directions a named symmetry accounts for."""
        return sum(symmetry.directions for symmetry in self.symmetries)

    @property
    def unexplained(self) -> int:
        """Redundant directions without a name."""
        return self.redundant - self.explained


def effective_dimension(format: str | Format, *, dim: int, depth: int = 1, seed: int = 0) -> EffectiveDimension:
    """Rank of the Jacobian of (outputs at random points) with respect to all parameters of a stack.

    Polynomial formats: over GF(2^31 - 1) with random parameters and points. A rank found is a lower bound for certain; the named
    symmetries bound it from above, and where the two do not meet, the rank must stay put when points are added (one generic point
    that adds nothing shows that no further point does). Formats with an activation: float64, singular values below 1e-9 of the
    largest count as zero, and the smallest gap between counted and uncounted ones is reported. There the rank differs between
    regions of the parameters (a unit may be dead at every input), so the largest of up to five draws is taken; regions of the
    input that no random point meets are not seen.

    Args:
        format: an id or a `Format`.
        dim: the input width d.
        depth: the number of layers.
        seed: seed of the random parameters and points.

    Raises:
        KeyError: unknown id.
        ValueError: a width or depth the format cannot have, or more than `PARAMETER_LIMIT` or `COUPLED_LIMIT` parameters.
        ArithmeticError: the rank did not settle as points were added, or has too small a gap in float64.
    """
    return _effective_dimension(get_format(format), dim, depth, seed)


@lru_cache(maxsize=256)
def _effective_dimension(format: Format, dim: int, depth: int, seed: int) -> EffectiveDimension:
    _check_size(format, layer_widths(format, dim=dim, depth=depth))
    if not uses_activation(format.expr):
        return _measured(format, dim=dim, depth=depth, seed=seed, scalars=PrimeField())
    best: EffectiveDimension | None = None
    for draw in range(_DRAWS):
        reals = Reals()
        try:
            found = _measured(format, dim=dim, depth=depth, seed=_DRAWS * seed + draw, scalars=reals)
        except ArithmeticError:
            continue
        if reals.smallest_gap >= SMALLEST_GAP and (best is None or found.dimension > best.dimension):
            best = found
        if best is not None and not best.unexplained:
            return best
    if best is None:
        raise ArithmeticError(
            f"A float64 rank needs a gap of at least {SMALLEST_GAP:g} between singular values, however: {format.id} at d={dim}, "
            f"depth={depth} has none in {_DRAWS} draws; use fewer layers."
        )
    return best


def _check_size(format: Format, widths: Sequence[int]) -> None:
    maps = (node for node in walk(format.expr) if isinstance(node, Affine | Bilinear))
    coupled = any(has_parameters(child) for node in maps for child in children(node))
    limit, count = COUPLED_LIMIT if coupled else PARAMETER_LIMIT, parameter_count(format.expr, widths)
    if count > limit:
        what = "maps of maps" if coupled else "maps of x"
        raise ValueError(
            f"The effective dimension of {what} is computed up to {limit} parameters, however: {format.id} at d={widths[0]}, "
            f"depth={len(widths) - 1} has {number_text(count)}; use a smaller size, or effective_dimension_closed_form for one "
            "layer."
        )


def _measured(format: Format, *, dim: int, depth: int, seed: int, scalars: PrimeField | Reals) -> EffectiveDimension:
    named = symmetries(format, dim=dim, depth=depth, seed=seed, scalars=scalars)
    jacobian = StackJacobian(format.expr, layer_widths(format, dim=dim, depth=depth), scalars=scalars, seed=seed)
    rank = _settled_rank(jacobian, at_most=jacobian.size - sum(symmetry.directions for symmetry in named))
    exact = isinstance(scalars, PrimeField)
    degree = total_degree(format, dim=dim, depth=depth) if exact else 0
    return EffectiveDimension(
        format_id=format.id,
        dim=dim,
        depth=depth,
        parameters=jacobian.size,
        dimension=rank,
        symmetries=named,
        arithmetic=f"GF({scalars.prime})" if isinstance(scalars, PrimeField) else "float64",
        error_bound=min(1.0, rank * degree / PRIME) if exact else None,
        tolerance=None if exact else TOLERANCE,
        gap=scalars.smallest_gap if isinstance(scalars, Reals) else None,
    )


def _settled_rank(jacobian: StackJacobian, *, at_most: int) -> int:
    if not jacobian.size:
        return 0
    columns = _Columns.of(jacobian)
    outputs = jacobian.widths[-1]
    points = jacobian.scalars.enough(columns.largest_private + math.ceil(len(columns.shared) / outputs) + _SPARE_POINTS)
    before = -1
    for _ in range(_RETRIES):
        rank = columns.rank(jacobian, points)
        if rank in (at_most, before):
            return rank
        before, points = rank, points + points // 2
    raise ArithmeticError(f"The rank must settle as points are added, however: it still grows at {points} points.")


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which columns of a Jacobian are worth a place in the elimination.

    Columns that are zero, or equal to another one, are left out. A *private* column acts on one output only (the last layer's
    maps have one row per output): it is eliminated within that output, so the large matrix is that of the shared columns alone.
    """

    private: tuple[Array, ...]
    shared: Array

    @property
    def largest_private(self) -> int:
        return max((len(own) for own in self.private), default=0)

    @staticmethod
    def of(jacobian: StackJacobian) -> _Columns:
        """Found at a few points of their own; over GF(p), columns that agree there agree everywhere (up to degree/p)."""
        exact = jacobian.scalars.exact
        probes = jacobian.outputs(jacobian.scalars.enough(4), batch=1)
        probe = np.stack([output.by_parameters for output in probes])
        touched = (probe != 0).any(axis=1)
        kept = np.flatnonzero(touched.any(axis=0))
        if exact:
            _, first = np.unique(probe.reshape(-1, jacobian.size)[:, kept], axis=1, return_index=True)
            kept = kept[np.sort(first)]
        alone = touched[:, kept].sum(axis=0) == 1
        owner = touched[:, kept].argmax(axis=0)
        private = tuple(kept[alone & (owner == k)] for k in range(jacobian.widths[-1]))
        return _Columns(private=private, shared=kept[~alone])

    def rank(self, jacobian: StackJacobian, points: int) -> int:
        """The rank of the Jacobian at this many points: private ranks plus that of what they leave of the shared columns."""
        scalars = jacobian.scalars
        if not len(self.shared):  # then ranks do, which cost a tenth of an annihilator
            ranks: dict[bytes, int] = {}  # outputs with equal blocks have equal ranks
            total = 0
            for own, output in zip(self.private, jacobian.outputs(points), strict=True):
                block = scalars.balanced(output.by_parameters)[:, own]
                key = block.tobytes()
                if key not in ranks:
                    ranks[key] = scalars.rank(block)
                total += ranks[key]
            return total
        annihilators: dict[bytes, Array] = {}
        rank, rest = 0, []
        for own, output in zip(self.private, jacobian.outputs(points), strict=True):
            rows = scalars.balanced(output.by_parameters)
            block = rows[:, own]
            key = block.tobytes()
            if key not in annihilators:
                annihilators[key] = scalars.annihilator(block)
            rank += points - len(annihilators[key])
            if len(self.shared):
                rest.append(scalars.matmul(annihilators[key], rows[:, self.shared]))
        return rank + (scalars.rank(np.concatenate(rest)) if rest else 0)
