"""Rewriting expressions bottom-up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace as with_fields
from fractions import Fraction
from typing import assert_never

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
    has_parameters,
)


def replace(expr: Expr, rule: Callable[[Expr], Expr]) -> Expr:
    """Apply `rule` to every node, children first; a rule that returns its argument leaves the node as it is."""
    match expr:
        case Input() | FirstInput() | Constant():
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


def factor_row_sums(expr: Expr) -> Expr:
    """Take what does not depend on the row out of row sums: Σ_m x⊙g_m = x⊙Σ_m g_m."""

    def rule(node: Expr) -> Expr:
        match node:
            case RowSum(rows=rows, of=Product(factors=factors)):
                constant = tuple(f for f in factors if not has_parameters(f))
                varying = tuple(f for f in factors if has_parameters(f))
                if not constant or not varying:
                    return node
                inner = varying[0] if len(varying) == 1 else Product(factors=varying)
                return Product(factors=(*constant, RowSum(rows=rows, of=inner)))
            case _:
                return node

    return replace(expr, rule)


def scale_maps(expr: Expr, factors: Mapping[str, float]) -> Expr:
    """Multiply affine and bilinear maps, biases included, by fixed numbers, by the maps' names; each rounded to a fraction.

    Raises:
        ValueError: a factor is not positive, or so small or large that no fraction of the grammar is near it.
    """

    def rule(node: Expr) -> Expr:
        if not isinstance(node, Affine | Bilinear):
            return node
        factor = factors[node.name]
        if not 1e-6 <= factor <= 1e6:
            raise ValueError(f"A map is multiplied by a number from 1e-6 to 1e6, however: {node.name} by {factor!r}.")
        return Multiple(factor=Fraction(factor).limit_denominator(int(1e9 / max(factor, 1))), of=node)

    return replace(expr, rule)
