"""Which formats are the same at every d, and have numbers that no prime of the rules takes for 0 or 1; all others stay open."""

from __future__ import annotations

from qnn_theory.grammar.expr import (
    Concat,
    Constant,
    Expr,
    HeadMajor,
    Multiple,
    Power,
    RowSum,
    Slice,
    Sum,
    children,
    walk,
)

_LARGEST_PRODUCT = 2**29
"""Fixed numbers that multiply up to more could vanish, or be 1, modulo a prime of the rules."""


def is_uniform(expr: Expr) -> bool:
    """Whether what holds at some d and modulo the primes of the rules holds at all.

    Head layouts one after another are permutations whose order depends on d; numbers multiply up beyond the primes.
    """
    if _size_of_numbers(expr) > _LARGEST_PRODUCT:
        return False
    below = (inner for node in walk(expr) if isinstance(node, HeadMajor) for inner in walk(node.of))
    return not any(isinstance(inner, HeadMajor | Slice | Concat) for inner in below)


def _size_of_numbers(expr: Expr) -> int:
    """A bound of what the fixed numbers of an expression multiply and add up to: ``x + x`` is 2 x."""
    match expr:
        case Constant(value=value):
            return max(abs(value.numerator), value.denominator, 1)
        case Multiple(factor=factor, of=of):
            return max(abs(factor.numerator), factor.denominator, 1) * _size_of_numbers(of)
        case Power(of=of, exponent=exponent):
            size = _size_of_numbers(of)
            return 1 if size == 1 else min(size ** min(exponent, 64), 2 * _LARGEST_PRODUCT)
        case _:
            product = len(expr.terms) if isinstance(expr, Sum) else expr.rows if isinstance(expr, RowSum) else 1
            for part in children(expr):
                product = min(product * _size_of_numbers(part), 2 * _LARGEST_PRODUCT)
            return product
