"""Which formats are the same at every d, and have numbers that no prime of the rules takes for 0 or 1; all others stay open."""

from __future__ import annotations

import math

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
from qnn_theory.grammar.widths import width

_LARGEST_PRODUCT = 2**29
"""Fixed numbers that multiply up to more could vanish, or be 1, modulo a prime of the rules."""


def is_uniform(expr: Expr) -> bool:
    """Whether what holds at some d and modulo the primes of the rules holds at all.

    Head layouts one after another are permutations whose order depends on d; numbers multiply up beyond the primes. Where
    blocks change places they also do so from block to block: 2 x less its 31 blocks moved on by one has determinant 2^31 - 1.
    """
    if _size_of_numbers(expr, _blocks(expr)) > _LARGEST_PRODUCT:
        return False
    below = (inner for node in walk(expr) if isinstance(node, HeadMajor) for inner in walk(node.of))
    return not any(isinstance(inner, HeadMajor | Slice | Concat) for inner in below)


def _blocks(expr: Expr) -> int:
    """Into how many blocks of d coordinates the expression cuts what it moves; 1 where it moves nothing."""
    count = 1
    for node in walk(expr):
        match node:
            case Slice(blocks=blocks):
                count = math.lcm(count, blocks)
            case Concat(parts=parts):
                count = math.lcm(count, *(width(part).denominator for part in parts))
            case HeadMajor():
                count = math.lcm(count, 2)
            case _:
                pass
    return count


def _size_of_numbers(expr: Expr, blocks: int) -> int:
    """A bound of what the fixed numbers of an expression multiply and add up to, over all its blocks: ``x + x`` is 2 x."""
    own = 1
    match expr:
        case Constant(value=number) | Multiple(factor=number):
            own = max(abs(number.numerator), number.denominator)
        case Sum(terms=terms):
            own = len(terms)
        case RowSum(rows=rows):
            own = rows
        case _:
            pass
    size = _limited(max(own, 1), math.ceil(width(expr) * blocks) if blocks > 1 else 1)
    for part in children(expr):
        size = _limited(size * _size_of_numbers(part, blocks), 1)
    return _limited(size, expr.exponent) if isinstance(expr, Power) else size


def _limited(size: int, exponent: int) -> int:
    """The power, or a number beyond the largest product."""
    return 1 if size == 1 else min(size ** min(exponent, 64), 2 * _LARGEST_PRODUCT)
