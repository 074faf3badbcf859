"""Rewriting expressions bottom-up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as with_fields
from typing import assert_never

from qnn_theory.expr import (
    Activation,
    Affine,
    Bilinear,
    Concat,
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


def replace(expr: Expr, rule: Callable[[Expr], Expr]) -> Expr:
    """Apply `rule` to every node, children first; a rule that returns its argument leaves the node as it is."""
    match expr:
        case Input() | FirstInput():
            return rule(expr)
        case Sum(terms=parts):
            return rule(Sum(terms=tuple(replace(part, rule) for part in parts)))
        case Product(factors=parts):
            return rule(Product(factors=tuple(replace(part, rule) for part in parts)))
        case Concat(parts=parts):
            return rule(Concat(parts=tuple(replace(part, rule) for part in parts)))
        case Bilinear(left=left, right=right):
            return rule(with_fields(expr, left=replace(left, rule), right=replace(right, rule)))
        case Affine() | Scale() | Power() | Multiple() | Activation() | RowSum() | Slice() | HeadMajor():
            return rule(with_fields(expr, of=replace(expr.of, rule)))
        case _:
            assert_never(expr)
