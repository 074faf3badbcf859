"""Fixed numbers folded, so that a layer with some of its maps at 0, 1 or x shows what is left of it."""

from __future__ import annotations

from fractions import Fraction

from qnn_theory.grammar.expr import (
    Activation,
    Affine,
    Bilinear,
    Constant,
    Expr,
    Input,
    Multiple,
    Power,
    Product,
    RowSum,
    Scale,
    Slice,
    Sum,
)
from qnn_theory.grammar.rewrite import replace
from qnn_theory.grammar.widths import width

_ZERO_AT_ZERO = ("relu", "relu6", "prelu", "gelu", "silu", "mish", "tanh")


def number(value: Fraction | int, like: Expr) -> Constant:
    """A fixed number of the width of an expression."""
    return Constant(value=Fraction(value), width=width(like))


def total(terms: list[Expr]) -> Expr:
    """The sum of at least one term."""
    return simplified(Sum(terms=tuple(terms)) if len(terms) > 1 else terms[0])


def times(factors: list[Expr]) -> Expr:
    """The product of at least one factor."""
    return simplified(Product(factors=tuple(factors)) if len(factors) > 1 else factors[0])


def negative(expr: Expr) -> Expr:
    """``-expr``."""
    return simplified(Multiple(factor=Fraction(-1), of=expr))


def simplified(expr: Expr) -> Expr:
    """The same functions; products with 0 and 1, sums with 0 and activations of fixed numbers are gone."""
    return replace(expr, _rule)


def without_parameters(expr: Expr) -> Expr:
    """The layer at all parameters zero."""
    return simplified(
        replace(expr, lambda node: number(0, node) if isinstance(node, Affine | Bilinear | Scale) else node)
    )


def _rule(node: Expr) -> Expr:
    match node:
        case Multiple(factor=factor, of=Constant(value=value)):
            return number(factor * value, node)
        case Multiple(factor=factor, of=Multiple(factor=inner, of=of)):
            return _rule(Multiple(factor=factor * inner, of=of))
        case Multiple(factor=factor, of=of) if factor == 1:
            return of
        case Multiple(factor=factor) if factor == 0:
            return number(0, node)
        case Power(of=of, exponent=exponent) if isinstance(of, Constant):
            return number(of.value**exponent, node)
        case Power(of=of, exponent=1):
            return of
        case Slice(of=Constant(value=value)) | RowSum(rows=1, of=Constant(value=value)):
            return number(value, node)
        case Scale(of=Constant(value=value)) if value == 0:
            return number(0, node)
        case Activation(kind=kind, of=Constant(value=value)):
            if value == 0 and kind in _ZERO_AT_ZERO:
                return number(0, node)
            if (value >= 0 and kind in ("relu", "prelu")) or (0 <= value <= 6 and kind == "relu6"):
                return number(value, node)
            if value <= 0 and kind in ("relu", "relu6"):
                return number(0, node)
            return number(Fraction(1, 2), node) if value == 0 and kind == "sigmoid" else node
        case Product(factors=factors):
            return _product(node, factors)
        case Sum(terms=terms):
            return _sum(node, terms)
        case _:
            return node


def _product(node: Expr, factors: tuple[Expr, ...]) -> Expr:
    value, rest = Fraction(1), list[Expr]()
    for factor in factors:
        match factor:
            case Constant(value=own):
                value *= own
            case Multiple(factor=own, of=of):
                value *= own
                rest += of.factors if isinstance(of, Product) else (of,)
            case Product(factors=inner):
                rest += inner
            case _:
                rest.append(factor)
    if value == 0 or not rest:
        return number(value, node)
    product = Product(factors=tuple(rest)) if len(rest) > 1 else rest[0]
    return product if value == 1 else Multiple(factor=value, of=product)


def _sum(node: Expr, terms: tuple[Expr, ...]) -> Expr:
    counts: dict[Expr, Fraction] = {}
    constant = Fraction(0)

    def add(term: Expr, factor: Fraction) -> None:
        nonlocal constant
        match term:
            case Constant(value=value):
                constant += factor * value
            case Multiple(factor=own, of=of):
                add(of, factor * own)
            case Sum(terms=inner):
                for part in inner:
                    add(part, factor)
            case _:
                counts[term] = counts.get(term, Fraction(0)) + factor

    for term in terms:
        add(term, Fraction(1))
    rest: list[Expr] = [_rule(Multiple(factor=c, of=term)) for term, c in counts.items() if c]
    if constant or not rest:
        rest.append(number(constant, node))
    return Sum(terms=tuple(rest)) if len(rest) > 1 else rest[0]


def is_input_power(expr: Expr) -> int | None:
    """The n of ``x^n``, or None."""
    match expr:
        case Input():
            return 1
        case Power(of=of, exponent=exponent):
            inner = is_input_power(of)
            return None if inner is None else inner * exponent
        case Product(factors=factors):
            powers = [is_input_power(factor) for factor in factors]
            return None if None in powers else sum(p for p in powers if p is not None)
        case _:
            return None
