"""The proof that a parameter map makes two formats the same function.

A map that was found is proved twice: with all parameters, inputs and indicators of activations as indeterminates over the
rationals at two small d, and at random points modulo p at a larger d (tests/qnn_theory/relations checks every map a third way,
in exact rational numbers, and on the torch modules).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import assert_never

from qnn_theory.algebra.deadline import check, limit
from qnn_theory.algebra.modular import PRIME, to_residue
from qnn_theory.algebra.polynomials import to_flint
from qnn_theory.feature_spaces.degrees import term_bound
from qnn_theory.grammar.expr import (
    Activation,
    Affine,
    Bilinear,
    Concat,
    Constant,
    Expr,
    FirstInput,
    HeadMajor,
    Input,
    Multiple,
    Power,
    Product,
    RowSum,
    Scale,
    Slice,
    Sum,
)
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import normal_form
from qnn_theory.grammar.widths import divisor
from qnn_theory.relations.containment.indeterminates import Indeterminates
from qnn_theory.relations.containment.parameter_map import AnyMap
from qnn_theory.relations.containment.sample import Sample, equal

_POINTS = 256
_SEED = 20250518


@dataclass(frozen=True, slots=True)
class MapProof:
    """How a parameter map was proved.

    Attributes:
        symbolic_dims: the d at which the identity was expanded with every parameter and input as an indeterminate.
        modular_dims: the d at which it was evaluated at random points modulo a prime.
        error_bound: upper bound of the probability that a wrong identity passes the evaluation.
    """

    symbolic_dims: tuple[int, ...]
    modular_dims: tuple[int, ...]
    error_bound: float


TERM_LIMIT = 2_000_000
"""The largest number of terms of an output that is multiplied out with every parameter as an indeterminate."""

_TERMS_PER_SECOND = 50_000


def can_prove(source: Format, target: Format) -> bool:
    """Whether a map between two formats is small enough to be multiplied out."""
    a, b = normal_form(source.expr), normal_form(target.expr)
    dim = symbolic_dims(a, b)[-1]
    most = limit(TERM_LIMIT, per_second=_TERMS_PER_SECOND)
    return term_bound(a, dim=dim) <= most and term_bound(b, dim=dim, parameter_terms=2) <= most


def symbolic_dims(a: Expr, b: Expr) -> tuple[int, int]:
    """The two small d at which an identity is multiplied out."""
    step = math.lcm(divisor(a), divisor(b))
    return (step, 2 * step) if step > 1 else (2, 3)


def prove_map(source: Format, target: Format, map: AnyMap) -> MapProof:
    """Prove that `target` at the mapped parameters is `source`, for all parameters and inputs.

    Raises:
        ValueError: it is not.
    """
    a, b = normal_form(source.expr), normal_form(target.expr)
    step = math.lcm(divisor(a), divisor(b))
    symbolic = symbolic_dims(a, b)
    for dim in symbolic:
        check()
        if not _identity_holds(a, b, map, dim):
            raise ValueError(
                f"A map must turn {target.id} into {source.id} for all parameters, however: they differ at d={dim} under "
                f"{'; '.join(map.lines)}."
            )
    check()
    large = max(3 * step, step * -(-6 // step))
    sample = Sample(a, large, points=_POINTS, seed=_SEED)
    mapped = map.apply(sample.values, dim=large, constant=to_residue)
    for left, right in zip(sample.outputs, sample.evaluate(b, mapped), strict=True):
        if not equal(left, right):
            raise ValueError(f"A map must turn {target.id} into {source.id}, however: they differ at d={large}.")
    degree = max(polynomial_degree(a), max(map.entry_degree, 1) * polynomial_degree(b))
    # A polynomial of degree k in indicators is not zero on at least 2^-k of their values.
    hit = (1 - degree / (PRIME - 1)) / 2 ** max(gate_degree(a), gate_degree(b))
    return MapProof(symbolic_dims=symbolic, modular_dims=(large,), error_bound=(1 - hit) ** _POINTS)


def _identity_holds(a: Expr, b: Expr, map: AnyMap, dim: int) -> bool:
    """Whether b at the mapped parameters is a, with everything an indeterminate over the rationals."""
    unknown = Indeterminates(a, b, dim=dim)
    mapped = map.apply(unknown.values, dim=dim, constant=to_flint)
    outputs = zip(unknown.evaluate(a, unknown.values), unknown.evaluate(b, mapped), strict=True)
    return unknown.vanish([left - right for left, right in outputs])


def gate_degree(expr: Expr) -> int:
    """An upper bound of the degree of an output in the indicators of the activations."""
    match expr:
        case Input() | FirstInput() | Constant():
            return 0
        case Activation(of=of):
            return gate_degree(of) + 1
        case Bilinear(left=left, right=right):
            return gate_degree(left) + gate_degree(right)
        case Sum(terms=parts) | Concat(parts=parts):
            return max(map(gate_degree, parts))
        case Product(factors=parts):
            return sum(map(gate_degree, parts))
        case Power(of=of, exponent=exponent):
            return exponent * gate_degree(of)
        case Affine(of=of) | Scale(of=of) | Multiple(of=of) | RowSum(of=of) | Slice(of=of) | HeadMajor(of=of):
            return gate_degree(of)
        case _:
            assert_never(expr)


def polynomial_degree(expr: Expr) -> int:
    """An upper bound of the degree of an output in parameters and inputs together."""
    match expr:
        case Input() | FirstInput():
            return 1
        case Constant():
            return 0
        case Affine(of=of) | Scale(of=of) | Activation(of=of):
            return polynomial_degree(of) + 1
        case Bilinear(left=left, right=right):
            return polynomial_degree(left) + polynomial_degree(right) + 1
        case Sum(terms=parts) | Concat(parts=parts):
            return max(map(polynomial_degree, parts))
        case Product(factors=parts):
            return sum(map(polynomial_degree, parts))
        case Power(of=of, exponent=exponent):
            return exponent * polynomial_degree(of)
        case Multiple(of=of) | RowSum(of=of) | Slice(of=of) | HeadMajor(of=of):
            return polynomial_degree(of)
        case _:
            assert_never(expr)
