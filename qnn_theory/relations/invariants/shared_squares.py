"""Separation by squares that all outputs share: quadratic forms that no d squares span.

Where the outputs are ``P (W x + b)²`` plus a map that adds no quadratic terms, the matrices of their quadratic forms are
``Wᵀ D_i W`` with diagonal D_i. If some combination S of them is invertible, so is W, and ``S⁻¹ Q_i = W⁻¹ D_S⁻¹ D_i W``: these
matrices commute. A witness has two that do not.
"""

from __future__ import annotations

import itertools
import random
from fractions import Fraction
from typing import Any

import flint

from qnn_theory.algebra.polynomials import Polynomial
from qnn_theory.grammar.expr import Affine, Constant, Expr, Input, Multiple, Power, Sum, uses_activation
from qnn_theory.grammar.widths import width
from qnn_theory.relations.invariants.pair import Entries, Pair, Separation

_DRAWS = 3


def by_shared_squares(pair: Pair) -> Separation | None:
    """Quadratic forms of the outputs that are not combinations of d squares."""
    if uses_activation(pair.a) or not _shares_squares(pair.b) or width(pair.a) != width(pair.b):
        return None
    results = [_in_dim(pair, dim) for dim in pair.dims(3, 4)]
    return results[0] if all(result is not None for result in results) else None


def _in_dim(pair: Pair, dim: int) -> Separation | None:
    outputs = range(int(width(pair.a) * dim))
    for attempt in range(_DRAWS):
        entries = pair.draw(dim, attempt)
        if _clash(pair, entries, dim) is None:
            continue
        shown = pair.shown(entries, lambda some: _clash(pair, some, dim) is not None, dim, outputs)
        clash = _clash(pair, dict(shown.entries), dim)
        if clash is None:
            return None
        weights, i, j = clash
        combination = " + ".join(f"{weight} Q_{k + 1}" for k, weight in enumerate(weights) if weight)
        rule = (
            f"the quadratic forms Q_k of all outputs of {pair.target.id} are combinations of the same {dim} squares (d = {dim}), "
            "so if a combination S of them is invertible, the matrices S⁻¹ Q_k commute"
        )
        finding = f"S = {combination} of the witness is invertible, and S⁻¹ Q_{i + 1} and S⁻¹ Q_{j + 1} do not commute"
        return pair.separation("shared squares", rule, finding, shown, pair.dims(3, 4), closed=False, grows=True)
    return None


def _shares_squares(expr: Expr) -> bool:
    """Whether the layer is a map of d squares of affine forms, plus terms that are affine in x."""
    terms = expr.terms if isinstance(expr, Sum) else (expr,)
    squares = [term for term in terms if not _is_affine(term)]
    return len(squares) == 1 and _is_map_of_squares(squares[0])


def _is_map_of_squares(expr: Expr) -> bool:
    match expr:
        case Affine(of=Power(of=of, exponent=2)):
            return _is_affine(of) and width(of) <= 1
        case Multiple(of=of):
            return _is_map_of_squares(of)
        case _:
            return False


def _is_affine(expr: Expr) -> bool:
    match expr:
        case Input() | Constant():
            return True
        case Multiple(of=of) | Affine(of=of):
            return _is_affine(of)
        case Sum(terms=terms):
            return all(map(_is_affine, terms))
        case _:
            return False


def _clash(pair: Pair, entries: Entries, dim: int) -> tuple[list[int], int, int] | None:
    """(the combination S, two outputs whose matrices do not commute), or None."""
    pieces = pair.piece(entries, dim)
    if pieces is None or any(sum(m) > 2 for p in pieces for m, c in p.items() if c):
        return None
    forms = [_form(polynomial, dim) for polynomial in pieces]
    generator = random.Random("squares")
    for _ in range(_DRAWS):
        weights = [generator.randint(1, 5) for _ in forms]
        total = sum((weight * form for weight, form in zip(weights, forms, strict=True)), 0 * forms[0])
        if total.det() == 0:
            continue
        inverse = total.inv()
        scaled = [inverse * form for form in forms]
        for i, j in itertools.combinations(range(len(forms)), 2):
            if scaled[i] * scaled[j] != scaled[j] * scaled[i]:
                return weights, i, j
        return None
    return None


def _form(polynomial: Polynomial, dim: int) -> Any:
    """The symmetric matrix of the quadratic terms, times 2."""
    rows = [[Fraction(0)] * dim for _ in range(dim)]
    for monomial, coefficient in polynomial.items():
        if sum(monomial) == 2:
            places = [k for k, e in enumerate(monomial) for _ in range(e)]
            rows[places[0]][places[1]] += Fraction(coefficient)
            rows[places[1]][places[0]] += Fraction(coefficient)
    return flint.fmpq_mat(dim, dim, [flint.fmpq(v.numerator, v.denominator) for row in rows for v in row])
