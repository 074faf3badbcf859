"""The form of a layer that relations are decided on: the same function class, written with fewer kinds of nodes.

Three rewrites, each an identity of functions:

* ``x0`` is ``x``: relations are about one layer, the first of a network;
* ``Σ_m of(θ_m)`` is written out, the parameters of row m are named ``W[m]`` (biases ``b[m]``);
* ``relu(u) = u`` where u is never negative, whatever the parameters are (a square, a sum of squares, another relu).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace as with_fields
from functools import cache
from typing import Any, Literal, TypeAlias, assert_never

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
from qnn_theory.rewrite import replace
from qnn_theory.widths import parameters

Sign: TypeAlias = Literal["+", "-", "0", "?"]
"""What is known of every coordinate: at least 0, at most 0, equal to 0, nothing."""


@cache
def normal_form(expr: Expr) -> Expr:
    """The rewritten layer; its parameters are those of `unrolled_values`."""

    def rule(node: Expr) -> Expr:
        match node:
            case FirstInput():
                return Input()
            case RowSum(rows=rows, of=of):
                return Sum(terms=tuple(_row(of, m) for m in range(1, rows + 1))) if rows > 1 else _row(of, 1)
            case Activation(kind="relu", of=of) if sign(of) in ("+", "0"):
                return of
            case _:
                return node

    return _flatten(replace(expr, rule))


def unrolled_values(expr: Expr, values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameter values of a layer under the names of its normal form."""
    result: dict[str, Any] = {}
    for parameter in parameters(expr):
        if parameter.rows is None:
            result[parameter.name] = values[parameter.name]
        else:
            result |= {f"{parameter.name}[{m + 1}]": values[parameter.name][m] for m in range(parameter.rows)}
    return result


def rolled_values(expr: Expr, values: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `unrolled_values`: the copies of a row sum as a leading axis."""
    return {
        parameter.name: values[parameter.name]
        if parameter.rows is None
        else [values[f"{parameter.name}[{m + 1}]"] for m in range(parameter.rows)]
        for parameter in parameters(expr)
    }


def sign(expr: Expr, *, inputs: Sign = "?") -> Sign:
    """The sign that every coordinate of an expression has for all parameter values.

    Args:
        expr: the expression.
        inputs: what is assumed of every coordinate of the input.
    """
    match expr:
        case Input() | FirstInput():
            return inputs
        case Affine() | Bilinear() | Scale():
            return "?"
        case Sum(terms=terms):
            kinds = {sign(term, inputs=inputs) for term in terms} - {"0"}
            return "0" if not kinds else kinds.pop() if len(kinds) == 1 else "?"
        case Product(factors=factors):
            return _product_sign([sign(factor, inputs=inputs) for factor in factors])
        case Power(of=of, exponent=exponent):
            inner = sign(of, inputs=inputs)
            return inner if exponent % 2 or inner == "0" else "+"
        case Multiple(factor=factor, of=of):
            inner = sign(of, inputs=inputs)
            return "0" if factor == 0 else inner if factor > 0 else _negated(inner)
        case Activation(kind=kind, of=of):
            inner = sign(of, inputs=inputs)
            if kind in ("relu", "relu6"):
                return "0" if inner in ("-", "0") else "+"
            if kind == "sigmoid":
                return "+"
            # gelu, silu, mish and tanh have the sign of their argument; prelu has it on the right side only.
            return inner if kind != "prelu" or inner in ("+", "0") else "?"
        case Concat(parts=parts):
            kinds = {sign(part, inputs=inputs) for part in parts}
            known = kinds - {"0"}
            return "0" if not known else known.pop() if len(known) == 1 else "?"
        case RowSum(of=of) | Slice(of=of) | HeadMajor(of=of):
            return sign(of, inputs=inputs)
        case _:
            assert_never(expr)


def _product_sign(signs: list[Sign]) -> Sign:
    if "0" in signs:
        return "0"
    if "?" in signs:
        return "?"
    return "-" if signs.count("-") % 2 else "+"


def _negated(value: Sign) -> Sign:
    negated: dict[Sign, Sign] = {"+": "-", "-": "+", "0": "0", "?": "?"}
    return negated[value]


def _row(expr: Expr, m: int) -> Expr:
    def rule(node: Expr) -> Expr:
        return (
            with_fields(node, name=f"{node.name}[{m}]") if isinstance(node, Affine | Bilinear | Scale) else node
        )

    return replace(expr, rule)


def _flatten(expr: Expr) -> Expr:
    """Nested sums become one sum, so that the terms of a written-out row sum stand beside the residual."""

    def rule(node: Expr) -> Expr:
        if not isinstance(node, Sum):
            return node
        terms: list[Expr] = []
        for term in node.terms:
            terms.extend(term.terms if isinstance(term, Sum) else (term,))
        return Sum(terms=tuple(terms))

    return replace(expr, rule)
