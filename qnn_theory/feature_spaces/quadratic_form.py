"""The quadratic forms in a layer's outputs and their ranks: invariants that tell formats apart.

The part of degree 2 of an output is ``x^T Q x`` with a symmetric Q, and the rank of Q does not change under an invertible linear
change of the inputs: T4 squares one linear form (rank 1), T5 and T9 multiply two (rank 2), T1 takes any (rank d). Parameters are
random modulo p, so a rank is the generic one up to an error of degree / p per minor; it is a lower bound of it for certain.
With an activation the form is that of the region where every gate is active.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from qnn_theory.algebra.closed_form import ClosedForm, closed_form
from qnn_theory.algebra.linear_algebra import Array, PrimeField
from qnn_theory.algebra.modular import PRIME
from qnn_theory.grammar.evaluate import ParameterValues, Scalar, evaluate
from qnn_theory.grammar.expr import PIECEWISE, Activation
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.stacking import fill_parameters, layer_widths, parameter_count
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import get_format

_FIELD = PrimeField(PRIME)
_WIDEST = 8

WORK_LIMIT = 40_000_000
"""The largest number of parameters times d² that `quadratic_forms` takes on: about ten seconds."""


@dataclass(frozen=True, slots=True)
class QuadraticForms:
    """Generic ranks of the quadratic forms in one layer's outputs.

    Attributes:
        format_id: the format.
        dim: the input width d.
        ranks: per output, the rank of the matrix Q of its part of degree 2.
        homogeneous_ranks: per output, the rank of its part up to degree 2 as a quadratic form in (1, x), of size d + 1; it tells
            a square of an affine map (1) from a sum of a square and an affine map (2 or 3).
        pencil_rank: the rank of Q for a generic linear combination of all outputs.
        span: the dimension of the space that the outputs' matrices Q span.
        linear_rank: the rank of the matrix of the outputs' linear parts.
    """

    format_id: str
    dim: int
    ranks: tuple[int, ...]
    homogeneous_ranks: tuple[int, ...]
    pencil_rank: int
    span: int
    linear_rank: int


def quadratic_forms(format: str | Format, *, dim: int, seed: int = 0) -> QuadraticForms:
    """The quadratic forms in the outputs of one layer, at random parameters modulo 2^31 - 1.

    Args:
        format: an id or a `Format`.
        dim: the input width d.
        seed: seed of the random parameters.

    Raises:
        KeyError: unknown id.
        ValueError: a width the format cannot have, a smooth activation, or a size beyond `WORK_LIMIT`.
    """
    chosen = get_format(format)
    work = parameter_count(chosen.expr, layer_widths(chosen, dim=dim, depth=1)) * dim**2
    if work > WORK_LIMIT:
        raise ValueError(
            f"Quadratic forms are computed while parameters · d² is at most {WORK_LIMIT}, however: {chosen.id} at d={dim} has "
            f"{work}; use quadratic_rank_formulas, the closed forms in d."
        )
    generator = np.random.default_rng(
        int.from_bytes(hashlib.sha256(f"{chosen.id}|{dim}|{seed}".encode()).digest()[:8], "big")
    )
    weights = fill_parameters(
        chosen.expr, dim=dim, entry=lambda name, index: _number(int(generator.integers(1, PRIME)), dim)
    )
    outputs = evaluate(
        chosen.expr,
        [_variable(i, dim) for i in range(dim)],
        weights,
        activation=_identity,
        constant=lambda factor: _number(_FIELD.constant(factor), dim),
    )
    hessians = np.stack([output.hessian for output in outputs])
    mixture = generator.integers(1, PRIME, (1, len(outputs)))
    return QuadraticForms(
        format_id=chosen.id,
        dim=dim,
        ranks=tuple(_FIELD.rank(hessian) for hessian in hessians),
        homogeneous_ranks=tuple(_FIELD.rank(output.homogeneous) for output in outputs),
        pencil_rank=_FIELD.rank(_FIELD.matmul(mixture, hessians.reshape(len(outputs), -1)).reshape(dim, dim)),
        span=_FIELD.rank(hessians.reshape(len(outputs), -1)),
        linear_rank=_FIELD.rank(np.stack([output.gradient for output in outputs])),
    )


@dataclass(frozen=True, slots=True)
class RankFormula:
    """The rank of the quadratic form in a block of outputs.

    Attributes:
        start: where the block starts, as a fraction of the outputs.
        stop: where it stops.
        rank: the rank as a polynomial in d, with the widths it was found from and checked on.
    """

    start: Fraction
    stop: Fraction
    rank: ClosedForm


def quadratic_rank_formulas(format: str | Format) -> tuple[RankFormula, ...]:
    """The generic rank of the quadratic form in each output as a formula in d; one per block of outputs that share it.

    Raises:
        KeyError: unknown id.
        ValueError: a smooth activation, or the ranks follow no linear formula in d.
    """
    return _quadratic_rank_formulas(get_format(format))


@cache
def _quadratic_rank_formulas(format: Format) -> tuple[RankFormula, ...]:
    step = divisor(format.expr)
    ranks = cache(lambda width: quadratic_forms(format, dim=width).ranks)
    widest = ranks(_WIDEST * step)
    cuts = [0, *(i for i in range(1, len(widest)) if widest[i] != widest[i - 1]), len(widest)]
    fractions = [Fraction(cut, len(widest)) for cut in cuts]
    whole = math.lcm(step, *(fraction.denominator for fraction in fractions))

    def block(start: Fraction, stop: Fraction) -> RankFormula:
        def rank(width: int) -> int:
            own = set(ranks(width)[int(start * len(ranks(width))) : int(stop * len(ranks(width)))])
            if len(own) != 1:
                raise ValueError(
                    f"A block of outputs shares one rank, however: {format.id} at d={width} has {ranks(width)}; "
                    "use quadratic_forms."
                )
            return own.pop()

        return RankFormula(
            start=start, stop=stop, rank=closed_form(rank, step=whole, degree=1, what=f"{format.id}'s rank")
        )

    return tuple(block(start, stop) for start, stop in itertools.pairwise(fractions))


@dataclass(frozen=True, slots=True)
class _Jet:
    """A polynomial modulo p cut off above degree 2: its value and gradient at 0, and its matrix of second derivatives."""

    constant: int
    gradient: Array
    hessian: Array

    def __add__(self, other: _Jet) -> _Jet:
        return _Jet(
            constant=(self.constant + other.constant) % PRIME,
            gradient=(self.gradient + other.gradient) % PRIME,
            hessian=(self.hessian + other.hessian) % PRIME,
        )

    def __mul__(self, other: _Jet) -> _Jet:
        cross = self.gradient[:, None] * other.gradient[None, :] % PRIME
        scaled = self.constant * other.hessian % PRIME + other.constant * self.hessian % PRIME
        return _Jet(
            constant=self.constant * other.constant % PRIME,
            gradient=(self.constant * other.gradient % PRIME + other.constant * self.gradient % PRIME) % PRIME,
            hessian=(scaled + cross + cross.T) % PRIME,
        )

    @property
    def homogeneous(self) -> Array:
        """Twice the symmetric matrix of the quadratic form in (1, x)."""
        border = np.concatenate([[2 * self.constant % PRIME], self.gradient])
        return np.block([[border[:1, None], border[None, 1:]], [border[1:, None], self.hessian]])


def _number(value: int, dim: int) -> _Jet:
    return _Jet(constant=value, gradient=np.zeros(dim, dtype=np.int64), hessian=np.zeros((dim, dim), dtype=np.int64))


def _variable(index: int, dim: int) -> _Jet:
    gradient = np.zeros(dim, dtype=np.int64)
    gradient[index] = 1
    return _Jet(constant=0, gradient=gradient, hessian=np.zeros((dim, dim), dtype=np.int64))


def _identity(node: Activation, value: Scalar, parameters: ParameterValues) -> Scalar:
    if node.kind not in PIECEWISE:
        raise ValueError(
            f"A quadratic form needs activations that are polynomial in pieces ({', '.join(PIECEWISE)}), however: {node.kind}."
        )
    return value
