"""Exact value of an expression, coordinate by coordinate, over any commutative ring.

The scalars may be `fractions.Fraction`, SymPy expressions, polynomials over GF(p), dual numbers: whatever has ``+`` and ``*``.
This one interpreter is the oracle of the torch modules and the engine behind the SymPy reading and the polynomial expansion.
It shares no code with the torch lowering.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from operator import mul
from typing import Any, TypeAlias, assert_never

from qnn_theory.algebra.deadline import check
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
    bias_name,
)
from qnn_theory.grammar.widths import head_major_order

Scalar: TypeAlias = Any
Values: TypeAlias = list[Scalar]
ParameterValues: TypeAlias = Mapping[str, Any]  # nested sequences (or arrays) in the parameter's shape
ActivationRule: TypeAlias = Callable[[Activation, Scalar, ParameterValues], Scalar]


def evaluate(
    expr: Expr,
    x: Sequence[Scalar],
    parameters: ParameterValues,
    *,
    x0: Sequence[Scalar] | None = None,
    activation: ActivationRule | None = None,
    constant: Callable[[Fraction], Scalar] = lambda factor: factor,
) -> Values:
    """The values of one layer at one point.

    Args:
        expr: the layer.
        x: the d coordinates of the layer's input.
        parameters: name -> nested sequences of scalars in the shape that `widths.parameters` states.
        x0: the coordinates of the network's first input; `x` when left out.
        activation: applies an activation node to one scalar; `relu_of_numbers` is the usual one.
        constant: turns a rational number, of a `Constant` or a `Multiple`, into a scalar.

    Returns:
        The output coordinates.

    Raises:
        ValueError: the expression has an activation and no rule for it was given.
    """
    first = x if x0 is None else x0

    def visit(node: Expr, own: ParameterValues) -> Values:
        check()  # polynomials grow from node to node
        match node:
            case Input():
                return list(x)
            case FirstInput():
                return list(first)
            case Constant(value=number, width=out):
                return [constant(number)] * int(out * len(x))
            case Affine(name=name, of=of, bias=bias):
                inner = visit(of, own)
                rows = [_dot(weights, inner) for weights in own[name]]
                return [row + b for row, b in zip(rows, own[bias_name(name)], strict=True)] if bias else rows
            case Bilinear(name=name, left=left, right=right, bias=bias):
                a, b = visit(left, own), visit(right, own)
                rows = [_dot([_dot(weights, b) for weights in matrix], a) for matrix in own[name]]
                return [row + c for row, c in zip(rows, own[bias_name(name)], strict=True)] if bias else rows
            case Scale(name=name, of=of):
                return [factor * value for factor, value in zip(own[name], visit(of, own), strict=True)]
            case Sum(terms=terms):
                return [_add(column) for column in zip(*(visit(term, own) for term in terms), strict=True)]
            case Product(factors=factors):
                return [reduce(mul, column) for column in zip(*(visit(f, own) for f in factors), strict=True)]
            case Power(of=of, exponent=exponent):
                return [reduce(mul, [value] * exponent) for value in visit(of, own)]
            case Multiple(factor=factor, of=of):
                return [constant(factor) * value for value in visit(of, own)]
            case Activation(of=of):
                if activation is None:
                    raise ValueError(f"{node.kind} is not a ring operation; pass the rule `activation`.")
                return [activation(node, value, own) for value in visit(of, own)]
            case Concat(parts=parts):
                return [value for part in parts for value in visit(part, own)]
            case RowSum(rows=count, of=of):
                return [_add(column) for column in zip(*(visit(of, _RowOf(own, m)) for m in range(count)), strict=True)]
            case Slice(index=index, blocks=blocks, of=of):
                inner = visit(of, own)
                size = len(inner) // blocks
                return inner[index * size : (index + 1) * size]
            case HeadMajor(heads=heads, embedding_dim=embedding_dim, of=of):
                inner = visit(of, own)
                return [inner[i] for i in head_major_order(len(inner), heads=heads, embedding_dim=embedding_dim)]
            case _:
                assert_never(node)

    return visit(expr, parameters)


def relu_of_numbers(node: Activation, value: Scalar, parameters: ParameterValues) -> Scalar:
    """The activation rule for ordered numbers; only the kinds that are exact on rationals."""
    match node.kind:
        case "relu":
            return value if value > 0 else value * 0
        case "relu6":
            return value * 0 if value <= 0 else (value if value < 6 else value * 0 + 6)
        case "prelu":
            return value if value > 0 else value * parameters[str(node.slope)]
        case _:
            raise ValueError(f"An exact value exists for relu, relu6 and prelu, however: {node.kind}.")


class _RowOf(Mapping[str, Any]):
    """The parameters of one row: the m-th copy of each. A prelu slope has no rows and is read as it is."""

    def __init__(self, parameters: ParameterValues, row: int) -> None:
        self._parameters, self._row = parameters, row

    def __getitem__(self, name: str) -> Any:
        value = self._parameters[name]
        return value[self._row] if hasattr(value, "__len__") and len(value) else value

    def __iter__(self) -> Any:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)


def _dot(weights: Sequence[Scalar], values: Sequence[Scalar]) -> Scalar:
    return _add([w * v for w, v in zip(weights, values, strict=True)])


def _add(values: Sequence[Scalar]) -> Scalar:
    return reduce(lambda a, b: a + b, values)
