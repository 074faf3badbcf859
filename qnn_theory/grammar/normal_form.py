"""The form of a layer that relations are decided on: the same function class, written with fewer kinds of nodes.

Five rewrites, each an identity of functions:

* ``x0`` is ``x``: relations are about one layer, the first of a network;
* ``Σ_m of(θ_m)`` is written out, the parameters of row m are named ``W[m]`` (biases ``b[m]``);
* ``relu(u) = u`` where u is never negative, whatever the parameters are (a square, a sum of squares, another relu), 0 where
  it is never positive;
* ``relu6(u) = relu(u) - relu(u - 6)``;
* what cancels is left out (`cancelling`): ``relu(u) - relu(-u) = u``, ``relu(u) ⊙ relu(-u) = 0``. Its parameters go with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace as with_fields
from fractions import Fraction
from functools import cache
from typing import Any

from qnn_theory.grammar.cancelling.cancellation import cancelled, without_zeros
from qnn_theory.grammar.expr import (
    Activation,
    Affine,
    Bilinear,
    Constant,
    Expr,
    FirstInput,
    Input,
    Multiple,
    RowSum,
    Scale,
    Sum,
    relu,
)
from qnn_theory.grammar.intervals import interval
from qnn_theory.grammar.rewrite import replace
from qnn_theory.grammar.widths import Parameter, parameters, width


@cache
def normal_form(expr: Expr) -> Expr:
    """The rewritten layer; its parameters are some of `unrolled_parameters`, on which alone its function depends."""
    return _flatten(cancelled(_flatten(without_zeros(_written_out(expr)))))


def unrolled_parameters(expr: Expr) -> tuple[Parameter, ...]:
    """The parameters of a layer under the names of its normal form, with those that cancel."""
    return parameters(_written_out(expr))


@cache
def _written_out(expr: Expr) -> Expr:
    """The layer without x0, row sums, relu6 and needless relus."""

    def rule(node: Expr) -> Expr:
        match node:
            case FirstInput():
                return Input()
            case RowSum(rows=rows, of=of):
                return row_sum(rows, of)
            case Activation(kind="relu", of=of):
                return _relu(of)
            case Activation(kind="relu6", of=of):
                above = _relu(of - 6)
                return Sum(terms=(_relu(of), Multiple(factor=Fraction(-1), of=above)))
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


def _relu(of: Expr) -> Expr:
    values = interval(of)
    if values.at_least(0):
        return of
    return Constant(value=Fraction(0), width=width(of)) if values.at_most(0) else relu(of)


def row_sum(rows: int, of: Expr) -> Expr:
    """Σ_m of(θ_m), written out; the parameters of row m are named ``W[m]``."""
    return Sum(terms=tuple(_row(of, m) for m in range(1, rows + 1))) if rows > 1 else _row(of, 1)


def _row(expr: Expr, m: int) -> Expr:
    def rule(node: Expr) -> Expr:
        return with_fields(node, name=f"{node.name}[{m}]") if isinstance(node, Affine | Bilinear | Scale) else node

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
