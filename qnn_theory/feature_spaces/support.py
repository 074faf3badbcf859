"""Set rules: which monomials of the input a layer's outputs hold, without expanding anything.

A sum unites supports, a product multiplies them (Minkowski sum of exponents), an affine map unites the supports of its inputs
with {1}. The rules are *exact* for generic parameters whenever no fixed factor is negative: each coefficient of the expanded
layer is then a polynomial in the parameters without a negative coefficient, so nothing cancels, shared parameters (T14, T15,
T20) included. With a negative factor the rules still contain the support.

Activations are read on one region, where each of them is a polynomial: the identity (`active`), zero (`inactive`) or a
constant (`saturated`, relu6 only).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import mul, or_
from typing import Literal, TypeAlias, assert_never

from qnn_theory.algebra.monomials import MonomialSet
from qnn_theory.grammar.expr import (
    PIECEWISE,
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
    walk,
)
from qnn_theory.grammar.widths import head_major_order

GateState: TypeAlias = Literal["active", "inactive", "saturated"]


def support(
    expr: Expr,
    x: Sequence[MonomialSet],
    *,
    x0: Sequence[MonomialSet] | None = None,
    pattern: Iterator[GateState] | None = None,
) -> list[MonomialSet]:
    """The monomials of each output coordinate of one layer.

    Args:
        expr: the layer.
        x: the supports of the d coordinates of its input, over one `Diagrams`.
        x0: the supports of the network's first input; `x` when left out.
        pattern: the state of every activation coordinate, in the order in which `evaluate` reaches them; every gate is active
            when left out.

    Returns:
        One set per output coordinate.

    Raises:
        ValueError: the expression has a smooth activation, which is a polynomial nowhere.
    """
    first = x if x0 is None else x0
    diagrams = x[0].diagrams
    one, empty = diagrams.one(), diagrams.empty()

    def visit(node: Expr) -> list[MonomialSet]:
        match node:
            case Input():
                return list(x)
            case FirstInput():
                return list(first)
            case Constant(value=number, width=out):
                return [one if number else empty] * int(out * len(x))
            case Affine(of=of, width=out, bias=bias):
                united = reduce(or_, visit(of), one if bias else empty)
                return [united] * int(out * len(x))
            case Bilinear(left=left, right=right, width=out, bias=bias):
                products = reduce(or_, visit(left)) * reduce(or_, visit(right))
                return [products | one if bias else products] * int(out * len(x))
            case Scale(of=of):
                return visit(of)
            case Sum(terms=terms):
                return [reduce(or_, column) for column in zip(*(visit(term) for term in terms), strict=True)]
            case Product(factors=factors):
                return [reduce(mul, column) for column in zip(*(visit(f) for f in factors), strict=True)]
            case Power(of=of, exponent=exponent):
                return [reduce(mul, [value] * exponent) for value in visit(of)]
            case Multiple(factor=factor, of=of):
                inner = visit(of)
                return inner if factor else [empty] * len(inner)
            case Activation(kind=kind, of=of):
                if kind not in PIECEWISE:
                    raise ValueError(
                        f"Only piecewise polynomial activations ({', '.join(PIECEWISE)}) have a feature space, however: "
                        f"{kind}, which is a polynomial on no region; use with_mid_activation or drop the activation."
                    )
                return [_on_region(value, next(pattern) if pattern is not None else "active") for value in visit(of)]
            case Concat(parts=parts):
                return [value for part in parts for value in visit(part)]
            case RowSum(rows=rows, of=of):
                return [reduce(or_, column) for column in zip(*(visit(of) for _ in range(rows)), strict=True)]
            case Slice(index=index, blocks=blocks, of=of):
                inner = visit(of)
                size = len(inner) // blocks
                return inner[index * size : (index + 1) * size]
            case HeadMajor(heads=heads, embedding_dim=embedding_dim, of=of):
                inner = visit(of)
                return [inner[i] for i in head_major_order(len(inner), heads=heads, embedding_dim=embedding_dim)]
            case _:
                assert_never(node)

    def _on_region(value: MonomialSet, state: GateState) -> MonomialSet:
        match state:
            case "active":
                return value
            case "inactive":
                return empty
            case "saturated":
                return one
            case _:
                assert_never(state)

    return visit(expr)


def is_exact(expr: Expr) -> bool:
    """Whether the set rules are the support for generic parameters: no negative fixed number, so nothing can cancel."""
    return not any(
        (isinstance(node, Multiple) and node.factor < 0) or (isinstance(node, Constant) and node.value < 0)
        for node in walk(expr)
    )
