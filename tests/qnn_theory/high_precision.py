"""Layers in mpmath's high-precision arithmetic, their activations written independently of `qnn_theory`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import mpmath

from qnn_theory.grammar.evaluate import evaluate
from qnn_theory.grammar.expr import Activation, Expr


def apply(node: Activation, u: Any, parameters: Any) -> Any:
    """Activations of mpmath numbers."""
    match node.kind:
        case "relu":
            return max(u, mpmath.mpf(0))
        case "relu6":
            return min(max(u, mpmath.mpf(0)), mpmath.mpf(6))
        case "prelu":
            return u if u > 0 else u * parameters[node.slope]
        case "gelu":
            return u * mpmath.ncdf(u)
        case "silu":
            return u / (1 + mpmath.exp(-u))
        case "mish":
            return u * mpmath.tanh(mpmath.log1p(mpmath.exp(u)))
        case "sigmoid":
            return 1 / (1 + mpmath.exp(-u))
        case "tanh":
            return mpmath.tanh(u)
    raise NotImplementedError(node.kind)


def to_mp(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: to_mp(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [to_mp(inner) for inner in value]
    return mpmath.mpf(value.numerator) / value.denominator if isinstance(value, Fraction) else mpmath.mpf(value)


def outputs(expr: Expr, parameters: Sequence[Any], point: list[Any]) -> list[Any]:
    values = point
    for layer in parameters:
        values = evaluate(expr, values, layer, x0=point, activation=apply, constant=to_mp)
    return values
