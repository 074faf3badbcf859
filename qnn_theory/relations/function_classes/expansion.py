"""A layer multiplied out in its inputs, over whatever ring its parameters are from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias, assert_never

from qnn_theory.grammar.evaluate import ParameterValues, evaluate
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
)

Monomial: TypeAlias = tuple[int, ...]
Coefficients: TypeAlias = Mapping[Monomial, Any]


def expand(
    expr: Expr, values: ParameterValues, *, dim: int, constant: Callable[[Fraction], Any]
) -> list[dict[Monomial, Any]]:
    """Each output as monomial -> coefficient, in the ring of the parameter values.

    Args:
        expr: a layer without activations.
        values: its parameter values, nested lists of ring elements.
        dim: the input width d.
        constant: turns a rational number into a ring element.
    """
    one = (0,) * dim
    inputs = [_Polynomial({tuple(int(i == j) for j in range(dim)): 1}) for i in range(dim)]

    def lifted(value: Any) -> Any:
        return [lifted(part) for part in value] if isinstance(value, list | tuple) else _Polynomial({one: value})

    outputs = evaluate(
        expr,
        inputs,
        {name: lifted(value) for name, value in values.items()},
        constant=lambda number: _Polynomial({one: constant(number)}),
    )
    return [output.terms for output in outputs]


def degree(expr: Expr) -> int | None:
    """An upper bound of the degree in x that holds at every d, or None where an activation is no polynomial."""
    match expr:
        case Input() | FirstInput():
            return 1
        case Constant():
            return 0
        case Affine(of=of) | Scale(of=of) | Multiple(of=of) | RowSum(of=of) | Slice(of=of) | HeadMajor(of=of):
            return degree(of)
        case Sum(terms=parts) | Concat(parts=parts):
            known = [degree(part) for part in parts]
            return None if None in known else max(d for d in known if d is not None)
        case Product(factors=parts):
            known = [degree(part) for part in parts]
            return None if None in known else sum(d for d in known if d is not None)
        case Bilinear(left=left, right=right):
            return degree(Product(factors=(left, right)))
        case Power(of=of, exponent=exponent):
            inner = degree(of)
            return None if inner is None else inner * exponent
        case Activation():
            return None
        case _:
            assert_never(expr)


class _Polynomial:
    """A polynomial in the inputs as a scalar of `evaluate`."""

    __slots__ = ("terms",)

    def __init__(self, terms: dict[Monomial, Any]) -> None:
        self.terms = terms

    def __add__(self, other: _Polynomial) -> _Polynomial:
        terms = dict(self.terms)
        for monomial, coefficient in other.terms.items():
            terms[monomial] = terms[monomial] + coefficient if monomial in terms else coefficient
        return _Polynomial(terms)

    def __mul__(self, other: _Polynomial) -> _Polynomial:
        terms: dict[Monomial, Any] = {}
        for left, a in self.terms.items():
            for right, b in other.terms.items():
                monomial = tuple(map(int.__add__, left, right))
                product = a * b
                terms[monomial] = terms[monomial] + product if monomial in terms else product
        return _Polynomial(terms)
