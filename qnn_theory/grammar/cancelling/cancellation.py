"""Cancellation: relu(a) - relu(-a) = a, relu(a) relu(-a) = 0, relu(a)² + relu(-a)² = a², relu(relu(a)) = relu(a), and all others.

Every part of an expression is read as a piecewise polynomial (`piecewise`). An argument is needed when the polynomials on two
cells that differ in its sign alone differ; cells that differ in another sign are joined. What is left is written as
Σ q Π relu(±u)^m with polynomials q, over the signs that make it shortest, read again and compared. It replaces the part where
it has fewer activations, or as many and fewer nodes (a relu(a) = relu(a)², a - relu(a) = -relu(-a)). The range that `intervals`
sees never grows: |a| stays relu(a) + relu(-a), which is seen to be nonnegative.

The parameters of the result are some of the expression's: what cancels may take its parameters with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache, reduce
from itertools import combinations, product
from typing import TypeAlias

from qnn_theory.algebra.polynomials import from_flint
from qnn_theory.grammar.cancelling.piecewise import (
    Cell,
    Learned,
    Opaque,
    Pieces,
    Polynomial,
    Reading,
    TooLargeError,
    same_function,
)
from qnn_theory.grammar.expr import (
    PIECEWISE,
    Activation,
    Affine,
    Bilinear,
    Constant,
    Expr,
    FirstInput,
    Input,
    Multiple,
    Power,
    Product,
    Scale,
    Sum,
    relu,
    walk,
)
from qnn_theory.grammar.intervals import Interval, interval
from qnn_theory.grammar.rewrite import replace
from qnn_theory.grammar.widths import width

_ARGUMENTS = 4  # needed ones; each doubles the ways to write them
_NODES = 400  # a larger part is left as it is
_OPAQUE: tuple[tuple[Opaque, ...], ...] = ((), ("scale",), ("prelu",), ("prelu", "relu6"), ("prelu", "relu6", "scale"))


def cancelled(expr: Expr) -> Expr:
    """The same function of x and x0 for all parameter values, with fewer nodes where activations cancel."""
    result = replace(expr, _shorter)
    return expr if result == expr else without_zeros(result)


def without_zeros(expr: Expr) -> Expr:
    """Without the constants 0 that a part leaves behind which cancelled."""
    return replace(expr, _without_zeros)


@lru_cache(maxsize=4096)
def _shorter(expr: Expr) -> Expr:
    """The expression, or the shortest way found to write it; its parts are as short as they get."""
    if not isinstance(expr, Sum | Product | Power | Multiple | Scale | Activation):
        return expr
    least = _kinks(expr)
    if not least or sum(1 for _ in walk(expr)) > _NODES:
        return expr
    if isinstance(expr, Sum) and len(expr.terms) > 2:
        joined = _pair_joined(expr)
        if joined is not None:
            return _shorter(joined)
    found = [way for opaque in _opaque_choices(expr) for way in _ways(expr, opaque)]
    found.sort(key=lambda way: _cost(expr, way))
    for way in found:
        better = _kinks(way) < least or (_cost(expr, way) < _cost(expr, expr) and _tells_more(expr, way))
        if better and _keeps_range(expr, way) and same_function(expr, way):
            return way
    return expr


def _opaque_choices(expr: Expr) -> list[tuple[Opaque, ...]]:
    """What to take for an atom: everything is read, then less of what there is."""
    present = {node.kind for node in walk(expr) if isinstance(node, Activation)}
    scales = any(isinstance(node, Scale) for node in walk(expr))
    return list(dict.fromkeys(tuple(k for k in some if k in present or (k == "scale" and scales)) for some in _OPAQUE))


def _pair_joined(expr: Sum) -> Expr | None:
    """The sum with two terms of common inner parts joined, if that takes fewer activations; other terms stay as they are."""
    kinked = [(k, _inner_parts(term)) for k, term in enumerate(expr.terms) if _kinks(term)]
    for (i, ours), (j, theirs) in combinations(kinked, 2):
        if ours.isdisjoint(theirs):
            continue
        pair = Sum(terms=(expr.terms[i], expr.terms[j]))
        joined = _shorter(pair)
        if _kinks(joined) < _kinks(pair):
            parts = joined.terms if isinstance(joined, Sum) else (joined,)
            return Sum(terms=(*expr.terms[:i], *parts, *expr.terms[i + 1 : j], *expr.terms[j + 1 :]))
    return None


def _inner_parts(expr: Expr) -> frozenset[Expr]:
    return frozenset(
        part
        for node in walk(expr)
        if isinstance(node, Activation)
        for part in walk(node.of)
        if isinstance(part, Input | FirstInput | Affine | Bilinear)
    ) - {part for node in walk(expr) if isinstance(node, Affine | Bilinear) for part in walk(node) if part is not node}


def _tells_more(old: Expr, new: Expr) -> bool:
    """A way with as many activations is wanted for fewer factors, fewer terms or a smaller range; a sum stays a sum."""
    if isinstance(old, Sum) and isinstance(new, Sum):
        return len(new.terms) < len(old.terms) or interval(new) != interval(old)
    return isinstance(old, Product) or interval(new) != interval(old)


def _kinks(expr: Expr) -> int:
    return sum(isinstance(node, Activation) and node.kind in PIECEWISE for node in walk(expr))


def _cost(old: Expr, new: Expr) -> tuple[int, bool, int]:
    """Activations first; a residual x stays a term of a sum, where others look for it; then nodes."""
    return _kinks(new), _has_residual(old) and not _has_residual(new), sum(1 for _ in walk(new))


def _has_residual(expr: Expr) -> bool:
    return isinstance(expr, Sum) and Input() in expr.terms


def _keeps_range(old: Expr, new: Expr) -> bool:
    """Whether the new range lies in the old one, for all inputs and on the orthants that separations look at."""
    zero = Fraction(0)
    for inputs in (Interval(), Interval(zero, None), Interval(None, zero)):
        ours, theirs = interval(new, inputs), interval(old, inputs)
        if theirs.low is not None and (ours.low is None or ours.low < theirs.low):
            return False
        if theirs.high is not None and (ours.high is None or ours.high > theirs.high):
            return False
    return True


def _without_zeros(node: Expr) -> Expr:
    """What a part that cancelled leaves behind: u + 0 is u, 0 u is 0, affine maps keep their bias."""
    match node:
        case Sum(terms=terms):
            kept = tuple(term for term in terms if not _is_zero(term))
            return terms[0] if not kept else kept[0] if len(kept) == 1 else Sum(terms=kept)
        case Product(factors=factors):
            return next((factor for factor in factors if _is_zero(factor)), node)
        case Power(of=of) | Multiple(of=of) | Scale(of=of):
            return of if _is_zero(of) else node
        case Activation(kind=kind, of=of) if kind != "sigmoid":
            return of if _is_zero(of) else node
        case _:
            return node


def _is_zero(expr: Expr) -> bool:
    return isinstance(expr, Constant) and not expr.value


def _ways(expr: Expr, opaque: Sequence[Opaque]) -> list[Expr]:
    """Other ways to write a part; none where it is too large, or where a number is too large for a format."""
    reading = Reading(expr, opaque=opaque)
    try:
        pieces = reading.read(expr)
        needed, values = _needed(reading, pieces)
        if len(needed) > _ARGUMENTS:
            return []
        found: list[Expr] = []
        for signs in product((True, False), repeat=len(needed)):
            terms = _in_relus(reading, needed, values, signs)
            if terms is not None:
                writer = _Writer(reading, [reading.arguments[k] for k in needed], signs, width(expr))
                found += [writer.factored(terms), writer.expanded(terms)]
                if any(isinstance(node, Activation) and node.kind == "relu6" for node in walk(expr)):
                    found.append(writer.expanded(terms, capped=True))
        for way in found:
            width(way)
    except (TooLargeError, ValueError):
        return []
    return list(dict.fromkeys(found))


def _needed(reading: Reading, pieces: Pieces) -> tuple[list[int], dict[Cell, Polynomial]]:
    """The arguments whose signs matter, and the polynomial on every cell of them."""
    used = sorted(frozenset().union(*pieces))
    values = {cell: reading.on_cell(pieces, used, cell) for cell in reading.cells(used)}
    places = [
        k
        for k in range(len(used))
        if any(values[cell] != values.get(_flipped(cell, k), values[cell]) for cell in values)
    ]
    return [used[k] for k in places], {tuple(cell[k] for k in places): value for cell, value in values.items()}


def _flipped(cell: Cell, k: int) -> Cell:
    return (*cell[:k], not cell[k], *cell[k + 1 :])


Term: TypeAlias = tuple[Polynomial, tuple[tuple[int, int], ...]]  # q, and (place of the argument, exponent of its relu)


def _in_relus(
    reading: Reading, needed: Sequence[int], values: dict[Cell, Polynomial], signs: Cell
) -> list[Term] | None:
    """``Σ q Π relu(±u)^m`` with the given signs, or None where the jumps do not divide so."""
    sums: dict[tuple[int, ...], Polynomial] = {}
    coefficients: dict[frozenset[int], Polynomial] = {}
    for positive in _subsets(len(needed)):
        cell = tuple(sign == (k in positive) for k, sign in enumerate(signs))
        below = sum((c for smaller, c in coefficients.items() if smaller < positive), reading.zero)
        coefficients[positive] = values[cell] - below if cell in values else reading.zero
        if coefficients[positive] != 0:
            key = _enough(positive, signs, values)
            sums[key] = sums.get(key, reading.zero) + coefficients[positive]
    terms: list[Term] = []
    for key, polynomial in sums.items():
        if polynomial == 0:
            continue
        quotient, relus = polynomial, []
        for k in key:
            argument = reading.arguments[needed[k]] * (1 if signs[k] else -1)
            exponent = 0
            while (divided := divmod(quotient, argument))[1] == 0:
                quotient, exponent = divided[0], exponent + 1
            if not exponent:
                return None
            relus.append((k, exponent))
        terms.append((quotient, tuple(relus)))
    return terms


def _subsets(count: int) -> list[frozenset[int]]:
    """All subsets of 0, ..., count - 1, smaller ones first."""
    return sorted((frozenset(k for k in range(count) if bits >> k & 1) for bits in range(2**count)), key=len)


def _enough(positive: frozenset[int], signs: Cell, values: dict[Cell, Polynomial]) -> tuple[int, ...]:
    """Some of these signed arguments that are positive together only where all are: of u > 0 and u - 6 > 0 the second."""
    kept = sorted(positive)
    for k in sorted(positive):
        fewer = [other for other in kept if other != k]
        if all(cell[k] == signs[k] for cell in values if all(cell[j] == signs[j] for j in fewer)):
            kept = fewer
    return tuple(kept)


class _Writer:
    """Polynomials in atoms and relus, written as expressions of one width."""

    def __init__(self, reading: Reading, arguments: Sequence[Polynomial], signs: Cell, out: Fraction) -> None:
        self._reading, self._out = reading, out
        self._signed = [u * (1 if sign else -1) for u, sign in zip(arguments, signs, strict=True)]

    def factored(self, terms: Sequence[Term]) -> Expr:
        """A product where the terms have a common factor."""
        if not terms:
            return Constant(value=Fraction(0), width=self._out)
        if len(terms) == 1:
            return self._polynomial(terms[0][0], self._relus(terms[0][1]))
        common = reduce(lambda a, b: a.gcd(b), (quotient for quotient, _ in terms))
        rest = _sum([self._polynomial(divmod(q, common)[0], self._relus(relus)) for q, relus in terms])
        return self._polynomial(common, [rest])

    def expanded(self, terms: Sequence[Term], *, capped: bool = False) -> Expr:
        """A sum, without activations by monomials; `capped`: relu(u) - relu(u - 6) is relu6(u)."""
        parts: list[Expr] = []
        left = list(terms)
        while left:
            quotient, relus = left.pop(0)
            partner = (
                next((other for other in left if self._is_cap((quotient, relus), other)), None) if capped else None
            )
            if not relus:
                parts += self._monomials(quotient)
            elif partner is not None:
                left.remove(partner)
                lower, higher = sorted((self._signed[r[1][0][0]] for r in ((quotient, relus), partner)), key=str)
                if (lower - higher) != 6:
                    lower, higher = higher, lower
                factor = quotient if self._signed[relus[0][0]] == lower else -quotient
                parts.append(self._polynomial(factor, [Activation(kind="relu6", of=self._argument(lower))]))
            else:
                parts.append(self._polynomial(quotient, self._relus(relus)))
        return _sum(parts) if parts else Constant(value=Fraction(0), width=self._out)

    def _is_cap(self, first: Term, second: Term) -> bool:
        """Whether two terms are q relu(u) and -q relu(u - 6), in any order."""
        (p, ours), (q, theirs) = first, second
        if p != -q or [e for _, e in ours] != [1] or [e for _, e in theirs] != [1]:
            return False
        return (self._signed[ours[0][0]] - self._signed[theirs[0][0]]) in (6, -6)

    def _relus(self, relus: Sequence[tuple[int, int]]) -> list[Expr]:
        return [_power(relu(self._argument(self._signed[k])), exponent) for k, exponent in relus]

    def _argument(self, polynomial: Polynomial) -> Expr:
        ways = self._polynomial(polynomial), _sum(self._monomials(polynomial))
        return min(ways, key=lambda way: sum(1 for _ in walk(way)))

    def _polynomial(self, polynomial: Polynomial, others: Sequence[Expr] = ()) -> Expr:
        """A polynomial in the atoms, in factors, times other expressions."""
        number, powers = polynomial.factor()
        factors: list[Expr] = []
        learned: list[Learned] = []
        for base, exponent in powers:
            if len(base) == 1:
                single, scales = self._monomial(base.to_dict().popitem()[0])
                number *= base.leading_coefficient() ** exponent
                learned += scales * exponent
                factors += [] if single is None else [_power(single, exponent)]
            else:
                factors.append(_power(_sum(self._monomials(base)), exponent))
        return self._scaled(_product([*factors, *others]), from_flint(number), learned)

    def _monomials(self, polynomial: Polynomial) -> list[Expr]:
        result = []
        for exponents, number in polynomial.to_dict().items():
            node, learned = self._monomial(exponents)
            result.append(self._scaled(node, from_flint(number), learned))
        return result

    def _monomial(self, exponents: Sequence[int]) -> tuple[Expr | None, list[Learned]]:
        factors: list[Expr] = []
        learned: list[Learned] = []
        for atom, exponent in zip(self._reading.atoms, map(int, exponents), strict=False):
            if isinstance(atom, Learned):
                learned += [atom] * exponent
            elif exponent:
                factors.append(_power(atom, exponent))
        return _product(factors), learned

    def _scaled(self, node: Expr | None, number: Fraction, learned: Sequence[Learned]) -> Expr:
        result = node
        for entry in learned:
            if entry.initial is None:  # a slope s by itself is -prelu(-1)
                minus_one = Constant(value=Fraction(-1), width=self._out)
                slope = Activation(kind="prelu", of=minus_one, slope=entry.name)
                number, result = -number, slope if result is None else slope * result
            else:
                one = Constant(value=Fraction(1), width=self._out)
                result = Scale(name=entry.name, of=one if result is None else result, initial=entry.initial)
        return number * (Constant(value=Fraction(1), width=self._out) if result is None else result)


def _power(expr: Expr, exponent: int) -> Expr:
    return expr if exponent == 1 else Power(of=expr, exponent=exponent)


def _sum(terms: Sequence[Expr]) -> Expr:
    return reduce(lambda a, b: a + b, terms)


def _product(factors: Sequence[Expr]) -> Expr | None:
    return reduce(lambda a, b: a * b, factors) if factors else None
