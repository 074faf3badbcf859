"""A source as a sum of products of affine forms, its terms joined where they share their other factors."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from qnn_theory.grammar.expr import Concat, Constant, Expr, Multiple, Power, Product, Scale, Slice, Sum
from qnn_theory.grammar.widths import width
from qnn_theory.relations.function_classes.expansion import degree
from qnn_theory.relations.function_classes.simplify import negative, number, simplified, times, total

TERM_LIMIT = 24


@dataclass(frozen=True, slots=True)
class Term:
    """A product of affine forms of x.

    Attributes:
        scale: what multiplies it and does not depend on x, or None for 1.
        cores: the forms; a single core of a degree above 1 is one that could not be taken apart.
    """

    scale: Expr | None
    cores: tuple[Expr, ...]
    width: Fraction

    @property
    def expr(self) -> Expr:
        """The term as one expression."""
        factors = [*(() if self.scale is None else (self.scale,)), *self.cores]
        return times(factors) if factors else Constant(value=Fraction(1), width=self.width)

    @property
    def forms(self) -> bool:
        """Whether all cores are affine forms."""
        return all(degree(core) in (0, 1) for core in self.cores)


def terms_of(expr: Expr) -> list[Term]:
    """A layer without activations as a sum of terms."""
    expr = simplified(expr)
    if isinstance(expr, Sum):
        return [term for part in expr.terms for term in terms_of(part)]
    low = degree(expr)
    if low == 0:
        return [] if expr == number(0, expr) else [Term(None if expr == number(1, expr) else expr, (), width(expr))]
    match expr:
        case Multiple(factor=factor, of=of):
            return [_scaled(term, number(factor, of)) for term in terms_of(of)]
        case Scale(name=name, of=of):
            return [_scaled(term, Scale(name=name, of=number(1, of))) for term in terms_of(of)]
        case Product(factors=factors):
            return _multiplied([_one(factor) for factor in factors], expr)
        case Power(of=of, exponent=exponent) if exponent <= TERM_LIMIT:
            return _multiplied([_one(of)] * exponent, expr)
        case Slice(index=index, blocks=blocks, of=of):
            return _everywhere(terms_of(of), lambda part: _block(part, index, blocks), expr)
        case Concat(parts=parts):
            return _joined([terms_of(part) for part in parts], expr)
        case _:
            return [Term(None, (expr,), width(expr))]


def joined_terms(terms: list[Term]) -> list[Term]:
    """Fewer terms: two that share all forms but one each become one, ``x*W + x = x*(W + 1)``."""
    result = list(terms)
    while True:
        found = None
        for (i, left), (j, right) in itertools.combinations(enumerate(result), 2):
            one = _join(left, right)
            if one is not None and (found is None or len(one.cores) > len(found[2].cores)):
                found = (i, j, one)
        if found is None:
            return result
        i, j, one = found
        result = [*(term for k, term in enumerate(result) if k not in (i, j)), one]


def _join(left: Term, right: Term) -> Term | None:
    if not (left.forms and right.forms):
        return None
    ours, theirs = Counter(left.cores), Counter(right.cores)
    common = ours & theirs
    rest = [list((ours - common).elements()), list((theirs - common).elements())]
    if all(len(own) == 2 and own[0] == own[1] for own in rest) and _are_opposite(left, right):
        # s a² - s b² = s (a + b) (a - b)
        a, b = rest[0][0], rest[1][0]
        return Term(left.scale, (*common.elements(), total([a, b]), total([a, negative(b)])), left.width)
    if any(len(own) > 1 for own in rest):
        return None
    own = total([Term(t.scale, tuple(r), t.width).expr for t, r in zip((left, right), rest, strict=True)])
    shared = tuple(common.elements())
    return Term(None, (*shared, own), left.width)


def _are_opposite(left: Term, right: Term) -> bool:
    """Whether the numbers in front are s and -s."""
    scales = [number(1, term.expr) if term.scale is None else term.scale for term in (left, right)]
    values = [scale.value for scale in scales if isinstance(scale, Constant)]
    return len(values) == 2 and values[0] == -values[1]


def _one(factor: Expr) -> list[Term]:
    """A factor that is an affine form stays whole, with what does not depend on x taken out."""
    if degree(factor) == 1:
        if not isinstance(factor, Sum | Concat):
            return terms_of(factor)
        return [Term(None, (factor,), width(factor))]
    return terms_of(factor)


def _scaled(term: Term, by: Expr) -> Term:
    return Term(by if term.scale is None else times([by, term.scale]), term.cores, term.width)


def _multiplied(options: list[list[Term]], whole: Expr) -> list[Term]:
    found = [Term(None, (), width(whole))]
    for terms in options:
        if len(found) * len(terms) > TERM_LIMIT:
            return [Term(None, (whole,), width(whole))]
        found = [
            _scaled(Term(left.scale, (*left.cores, *right.cores), left.width), right.scale)
            if right.scale is not None
            else Term(left.scale, (*left.cores, *right.cores), left.width)
            for left in found
            for right in terms
        ]
    if any(len(term.cores) > 1 and not term.forms for term in found):
        return [Term(None, (whole,), width(whole))]
    return found


def _everywhere(terms: list[Term], change: Callable[[Expr], Expr], whole: Expr) -> list[Term]:
    if not all(term.forms for term in terms):
        return [Term(None, (whole,), width(whole))]
    return [
        Term(None if term.scale is None else change(term.scale), tuple(map(change, term.cores)), width(whole))
        for term in terms
    ]


def _joined(parts: list[list[Term]], whole: Concat) -> list[Term]:
    """The r-th terms of all parts side by side; a missing factor is 1, a missing term is 0."""
    if not all(term.forms for terms in parts for term in terms):
        return [Term(None, (whole,), width(whole))]
    result: list[Term] = []
    for row in itertools.zip_longest(*parts):
        count = max(len(term.cores) for term in row if term is not None)
        scales: list[Expr] = []
        cores: list[list[Expr]] = [[] for _ in range(count)]
        for term, part in zip(row, whole.parts, strict=True):
            scale = number(0, part) if term is None else term.scale
            scales.append(number(1, part) if scale is None else scale)
            own = () if term is None else term.cores
            for k in range(count):
                cores[k].append(own[k] if k < len(own) else number(1, part))
        one = all(isinstance(s, Constant) and s.value == 1 for s in scales)
        result.append(
            Term(None if one else Concat(tuple(scales)), tuple(Concat(tuple(c)) for c in cores), width(whole))
        )
    return result


def part_of(expr: Expr, first: Fraction, out: Fraction) -> Expr | None:
    """Some consecutive outputs of a layer: a joined part, or a block of equal blocks."""
    whole = width(expr)
    if first == 0 and out == whole:
        return expr
    if isinstance(expr, Concat):
        position = Fraction(0)
        for part in expr.parts:
            if position <= first and first + out <= position + width(part):
                return part_of(part, first - position, out)
            position += width(part)
    if (whole / out).denominator == 1 and (first / out).denominator == 1:
        return _block(expr, int(first / out), int(whole / out))
    return None


def _block(expr: Expr, index: int, blocks: int) -> Expr:
    return simplified(Slice(index=index, blocks=blocks, of=expr)) if blocks > 1 else expr
