"""The SymPy reading of a format: one expression per output coordinate, with a symbol for every parameter entry.

For display, and as a slow independent oracle on small d; the counts of `feature_space` never go through SymPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import assert_never

import sympy

from qnn_theory.grammar.evaluate import ParameterValues, Scalar, evaluate
from qnn_theory.grammar.expr import Activation, Expr, uses_activation
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.stacking import fill_parameters, layer_widths
from qnn_theory.registry import get_format


def inputs(dim: int) -> tuple[sympy.Symbol, ...]:
    """The input symbols ``x_1, ..., x_d``."""
    return tuple(sympy.Symbol(f"x_{i + 1}") for i in range(dim))


def to_sympy(format: str | Format | Expr, *, dim: int, depth: int = 1) -> list[sympy.Expr]:
    """The outputs of a stack as SymPy expressions in the inputs ``x_1..x_d`` and the parameters.

    The entry of ``W_a`` in row 1 and column 2 is the symbol ``W_a[1,2]``; in layer l of a deeper stack, ``W_a^(l)[1,2]``; a row
    of a Khatri-Rao sum is the first index.

    Args:
        format: an id, a `Format`, or a bare expression.
        dim: the input width d.
        depth: the number of layers.

    Returns:
        One expression per output coordinate, not expanded (see `expanded`).

    Raises:
        KeyError: unknown id.
        ValueError: the format cannot have this width or depth.
    """
    chosen = get_format(format) if isinstance(format, str | Format) else Format(id="The expression", expr=format)
    widths = layer_widths(chosen, dim=dim, depth=depth)
    first = list(inputs(dim))
    values: Sequence[sympy.Expr] = first
    for layer in range(1, depth + 1):
        entry = partial(_symbol, f"^({layer})" if depth > 1 else "")
        symbols = fill_parameters(chosen.expr, dim=widths[layer - 1], entry=entry)
        values = evaluate(
            chosen.expr,
            values,
            symbols,
            x0=first if layer > 1 else None,
            activation=_activate,
            constant=lambda factor: sympy.Rational(factor.numerator, factor.denominator),
        )
    return list(values)


def expanded(format: str | Format | Expr, *, dim: int, depth: int = 1) -> list[sympy.Expr]:
    """The outputs multiplied out and, without activations, collected by the monomials of the inputs; for small d.

    Raises:
        KeyError: unknown id.
        ValueError: the format cannot have this width or depth.
    """
    values = to_sympy(format, dim=dim, depth=depth)
    gated = uses_activation(format if not isinstance(format, str | Format) else get_format(format).expr)
    return [sympy.expand(value) if gated else _by_monomial(value, dim) for value in values]


def _by_monomial(value: sympy.Expr, dim: int) -> sympy.Expr:
    polynomial = sympy.Poly(value, *inputs(dim))
    return sympy.Add(
        *(
            coefficient * sympy.Mul(*(x**e for x, e in zip(inputs(dim), monomial, strict=True)))
            for monomial, coefficient in polynomial.terms()
        ),
    )


def _symbol(mark: str, name: str, index: tuple[int, ...]) -> sympy.Symbol:
    return sympy.Symbol(f"{name}{mark}[{','.join(str(i + 1) for i in index)}]" if index else name + mark)


def _activate(node: Activation, u: Scalar, parameters: ParameterValues) -> sympy.Expr:
    match node.kind:
        case "relu":
            return sympy.Max(0, u)
        case "relu6":
            return sympy.Min(6, sympy.Max(0, u))
        case "prelu":
            return sympy.Max(0, u) + parameters[str(node.slope)] * sympy.Min(0, u)
        case "gelu":
            return u * (1 + sympy.erf(u / sympy.sqrt(2))) / 2
        case "silu":
            return u / (1 + sympy.exp(-u))
        case "mish":
            return u * sympy.tanh(sympy.log(1 + sympy.exp(u)))
        case "sigmoid":
            return 1 / (1 + sympy.exp(-u))
        case "tanh":
            return sympy.tanh(u)
        case _:
            assert_never(node.kind)
