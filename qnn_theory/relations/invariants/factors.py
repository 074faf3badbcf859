"""Separation by factors: outputs that are products of affine forms, whatever the parameters are.

Polynomials have unique factors, so a quadratic factor of such an output is itself a product of two affine forms: as a quadratic
form in (1, x) it has rank 2 at most, and with real coefficients it is not definite.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint

from qnn_theory.algebra.deadline import check
from qnn_theory.algebra.polynomials import Polynomial, from_flint, polynomial_text, rational_ring, to_flint, to_ring
from qnn_theory.feature_spaces.degrees import degree_bound
from qnn_theory.feature_spaces.pieces import piece
from qnn_theory.grammar.expr import (
    Concat,
    Expr,
    Multiple,
    Power,
    Product,
    Scale,
    Sum,
    has_parameters,
    uses_activation,
)
from qnn_theory.grammar.widths import width
from qnn_theory.relations.invariants.pair import Entries, Pair, Separation, generic_point

_MONOMIALS = 500
_DRAWS = 2


@dataclass(frozen=True, slots=True)
class _Part:
    """Outputs that are a fixed polynomial plus a product of affine forms."""

    first: Fraction
    width: Fraction
    fixed: Expr | None


def by_factors(pair: Pair) -> Separation | None:
    """A quadratic factor that is no product of two real affine forms, where the target has products of affine forms only."""
    if uses_activation(pair.a) or uses_activation(pair.b):
        return None
    parts = list(_parts(pair.b))
    (dim,) = pair.dims(4)
    if not parts or not pair.is_small(dim, _MONOMIALS):
        return None
    for attempt in range(_DRAWS):
        entries = pair.draw(dim, attempt)
        for part in parts:
            fixed = _fixed(part, dim)
            for i in range(int(part.width * dim)):
                found = _separated(pair, entries, dim, int(part.first * dim) + i, fixed[i])
                if found is not None:
                    return found
    return None


def _separated(pair: Pair, entries: Entries, dim: int, output: int, fixed: Polynomial) -> Separation | None:
    check()

    def bad_factor(some: Entries) -> tuple[Polynomial, str] | None:
        now = pair.piece(some, dim)
        return None if now is None else _no_product(now[output], fixed, dim)

    if bad_factor(entries) is None:
        return None
    shown = pair.shown(entries, lambda some: bad_factor(some) is not None, dim, [output])
    found = bad_factor(dict(shown.entries))
    if found is None:
        return None
    factor, why = found
    y = f"y_{output + 1}" + (f" - ({polynomial_text(fixed)})" if any(fixed.values()) else "")
    rule = f"in every function of {pair.target.id}, {y} is a product of affine forms"
    finding = (
        f"in the witness it has the factor {polynomial_text(factor)}, which {why}, so that it is no product of two"
    )
    return pair.separation("factors", rule, finding, shown, [dim])


def _parts(expr: Expr) -> Iterator[_Part]:
    first = Fraction(0)
    for part in expr.parts if isinstance(expr, Concat) else (expr,):
        terms = part.terms if isinstance(part, Sum) else (part,)
        varying = [term for term in terms if has_parameters(term)]
        rest = tuple(term for term in terms if not has_parameters(term))
        if len(varying) == 1 and _is_product(varying[0]):
            fixed = None if not rest else rest[0] if len(rest) == 1 else Sum(terms=rest)
            yield _Part(first, width(part), fixed)
        first += width(part)


def _is_product(expr: Expr) -> bool:
    """Whether every output is a product of affine forms of x, whatever the parameters are."""
    match expr:
        case Product(factors=factors):
            return all(map(_is_product, factors))
        case Power(of=of) | Multiple(of=of) | Scale(of=of):
            return _is_product(of)
        case _:
            return degree_bound(expr, depth=1) <= 1


def _fixed(part: _Part, dim: int) -> list[Polynomial]:
    if part.fixed is None:
        return [{} for _ in range(int(part.width * dim))]
    found = piece(part.fixed, dim=dim, values={}, point=generic_point(dim))
    return [] if found is None else found


def _no_product(polynomial: Polynomial, fixed: Polynomial, dim: int) -> tuple[Polynomial, str] | None:
    """A quadratic factor of the difference that is no product of two real affine forms, and why."""
    ring = rational_ring(dim)
    difference = to_ring(ring, polynomial) - to_ring(ring, fixed)
    if difference == 0:
        return None
    for factor, _ in difference.factor()[1]:
        terms = {tuple(map(int, m)): from_flint(c) for m, c in factor.to_dict().items()}
        if max(map(sum, terms)) != 2:
            continue
        matrix = _form(terms, dim)
        rank = matrix.rank()
        if rank > 2:
            return terms, f"has rank {rank} as a quadratic form in (1, x)"
        # The product of the two eigenvalues that are not zero is the sum of the principal minors.
        n = dim + 1
        minors: Any = sum(matrix[i, i] * matrix[j, j] - matrix[i, j] * matrix[j, i] for i in range(n) for j in range(i))
        if rank == 2 and minors > 0:
            return terms, "is a definite form of two squares in (1, x)"
    return None


def _form(terms: Polynomial, dim: int) -> Any:
    """Twice the symmetric matrix of a polynomial of degree 2 as a quadratic form in (1, x)."""

    def entry(i: int, j: int) -> Any:
        exponents = [0] * dim
        for k in (i, j):
            if k:
                exponents[k - 1] += 1
        value = to_flint(terms.get(tuple(exponents), Fraction(0)))
        return 2 * value if i == j else value

    n = dim + 1
    return flint.fmpq_mat(n, n, [entry(i, j) for i in range(n) for j in range(n)])
