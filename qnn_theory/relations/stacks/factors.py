"""Separations of stacks by factors: outputs, or their parts of the highest degree, that are products; outputs that divide others.

Polynomials have unique factors. A factor that is irreducible over the rationals and has a rational zero where its gradient is not
zero is irreducible over the complex numbers: conjugate factors would all vanish there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import flint

from qnn_theory.algebra.deadline import check
from qnn_theory.algebra.polynomials import Polynomial, from_flint, to_flint
from qnn_theory.feature_spaces.degrees import degree_bound
from qnn_theory.grammar.expr import Concat, Expr, Multiple, Power, Product, Scale, Sum, uses_activation
from qnn_theory.grammar.widths import width
from qnn_theory.relations.invariants.pair import Entries, Separation
from qnn_theory.relations.stacks.pair import StackPair, axes
from qnn_theory.relations.stacks.stacked import suffixes
from qnn_theory.relations.witness import Entry

_DRAWS = 2
_POINTS = ((1, 1, 1), (0, 0, 0))


def by_prime_factors(pair: StackPair) -> Separation | None:
    """A prime factor of larger degree than the factors that an output of the target is a product of."""
    if uses_activation(pair.a) or uses_activation(pair.b):
        return None
    (dim,) = pair.dims(4)
    where = axes(dim, 3)
    for output, bound, top in _products(pair.target.expr, dim):
        for attempt in range(_DRAWS):
            entries = _with_zero(pair, pair.draw(dim, attempt, signed=True), output, where, top)
            if _prime_factor(pair, entries, output, where, bound, top) is None:
                continue

            def holds(some: Entries, output: int = output, bound: int = bound, top: int | None = top) -> bool:
                return _prime_factor(pair, some, output, where, bound, top) is not None

            shown = pair.shown(entries, holds, dim, [output])
            found = _prime_factor(pair, dict(shown.entries), output, where, bound, top)
            if found is None:
                continue
            degree, point = found
            y = f"y_{output + 1}" if top is None else f"the part of degree {top} of y_{output + 1}"
            rule = f"in every function of {pair.target.id}, {y} is a product of polynomials of degree at most {bound}"
            finding = (
                f"in the witness, with x_4 = ... = x_{dim} = 0, it has a factor of degree {degree} that is irreducible over the "
                f"rationals and vanishes, but for its gradient, at ({', '.join(map(str, point))}): so it is irreducible over the "
                "complex numbers too"
            )
            return pair.separation("factors", rule, finding, shown, [dim])
    return None


def by_common_factor(pair: StackPair) -> Separation | None:
    """Two outputs of the source of which one does not divide the other, as it does in the target."""
    if uses_activation(pair.a) or uses_activation(pair.b) or not isinstance(pair.target.expr, Concat):
        return None
    (dim,) = pair.dims(4)
    where = axes(dim, 3)
    starts = list(itertools.accumulate((width(part) for part in pair.target.expr.parts), initial=Fraction(0)))
    placed = list(zip(pair.target.expr.parts, (int(start * dim) for start in starts), strict=False))
    for (product, output), (factor, by) in itertools.permutations(placed, 2):
        if factor not in _factors(product):
            continue

        def divides(some: Entries, output: int = output, by: int = by) -> bool:
            now = pair.source_piece(some, where)
            if now is None or not any(now[by].values()):
                return True
            return bool(divmod(_ring_element(now[output]), _ring_element(now[by]))[1] == 0)

        entries = pair.draw(dim, 0)
        if divides(entries):
            continue
        shown = pair.shown(entries, lambda some: not divides(some), dim, [output, by])
        rule = f"in every function of {pair.target.id}, y_{by + 1} divides y_{output + 1}, or both are 0"
        return pair.separation("factors", rule, "in the witness it does not", shown, [dim])
    return None


def _products(expr: Expr, dim: int) -> Iterator[tuple[int, int, int | None]]:
    """Outputs that are products: (output, largest degree of a factor, the degree of the part that is meant or None for all)."""
    start = Fraction(0)
    for part in expr.parts if isinstance(expr, Concat) else (expr,):
        terms = part.terms if isinstance(part, Sum) else (part,)
        degrees = [degree_bound(term, depth=1) for term in terms]
        top = max(degrees)
        highest = [term for term, degree in zip(terms, degrees, strict=True) if degree == top]
        factors = _factors(highest[0]) if len(highest) == 1 else []
        if factors:
            output = int(start * dim)
            bound = max(degree_bound(factor, depth=1) for factor in factors)
            if bound < top:
                yield output, bound, top if len(terms) > 1 else None
        start += width(part)


def _factors(expr: Expr) -> list[Expr]:
    """The factors of a product; none where the expression is no product."""
    match expr:
        case Product(factors=factors):
            return [inner for factor in factors for inner in (_factors(factor) or [factor])]
        case Power(of=of, exponent=exponent) if exponent > 1:
            return _factors(of) or [of]
        case Multiple(of=of) | Scale(of=of):
            return _factors(of)
        case _:
            return []


def _with_zero(
    pair: StackPair, entries: Entries, output: int, where: Sequence[Sequence[int]], top: int | None
) -> Entries:
    """The parameters, one of the last layer changed so that the polynomial in question vanishes at s = (1, 1, 1)."""
    last = suffixes(pair.layers[0], pair.depth)[-1]
    ones = [flint.fmpq(1)] * len(where)

    def height(entry: Entry, value: int) -> Fraction | None:
        now = pair.source_piece({**entries, entry: Fraction(value)}, where)
        return None if now is None else from_flint(_ring_element(_chosen(now[output], top))(*ones))

    for entry in entries:
        name, index = entry
        if not name.endswith(last) or index[:1] != (output,):
            continue
        at = [height(entry, value) for value in (0, 1, 2)]
        zero, one, two = (Fraction(0) if h is None else h for h in at)
        if None not in at and one != zero and two - one == one - zero:
            return {**entries, entry: -zero / (one - zero)}
    return entries


def _chosen(polynomial: Polynomial, top: int | None) -> Polynomial:
    return {m: c for m, c in polynomial.items() if c and (top is None or sum(m) == top)}


def _prime_factor(
    pair: StackPair, entries: Entries, output: int, where: Sequence[Sequence[int]], bound: int, top: int | None
) -> tuple[int, tuple[int, ...]] | None:
    """The degree of a factor above the bound that is irreducible over C, and the point that shows it."""
    check()
    now = pair.source_piece(entries, where)
    if now is None:
        return None
    chosen = _chosen(now[output], top)
    if max(map(sum, chosen), default=0) <= bound or (top is not None and max(map(sum, now[output])) > top):
        return None
    for factor, _ in _ring_element(chosen).factor()[1]:
        degree = int(factor.total_degree())
        if degree <= bound:
            continue
        gradient = [factor.derivative(j) for j in range(len(where))]
        for point in _POINTS:
            at = [flint.fmpq(c) for c in point]
            if factor(*at) == 0 and any(g(*at) != 0 for g in gradient):
                return degree, point
    return None


def _ring_element(polynomial: Polynomial) -> Any:
    ring = flint.fmpq_mpoly_ctx.get(["s_1", "s_2", "s_3"], "degrevlex")
    return ring.from_dict({m: to_flint(c) for m, c in polynomial.items() if c})
