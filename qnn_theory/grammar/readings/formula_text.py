"""The registry's own syntax, written: `grammar.readings.formula` reads it back as an equal expression."""

from __future__ import annotations

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
)

# Binding strengths of Python's operators, loosest first.
_JOIN, _SUM, _PRODUCT, _POWER, _ATOM = range(5)


def to_formula(expr: Expr) -> str:
    """The expression in the registry's syntax; `parse` reads it back as an equal expression.

    Operators flatten sums, products and joins as they are built; an expression whose nodes were nested by hand reads back flat.
    """
    return _written(expr, _JOIN)


def _written(expr: Expr, needed: int) -> str:
    text, strength = _write(expr)
    return text if strength >= needed else f"({text})"


def _write(expr: Expr) -> tuple[str, int]:
    match expr:
        case Input():
            return "x", _ATOM
        case FirstInput():
            return "x0", _ATOM
        case Affine(name=name, of=of, width=width, bias=bias):
            inner = "" if isinstance(of, Input) else f", {_written(of, _JOIN)}"
            return f'affine("{name}"{inner}{_options(width, bias)})', _ATOM
        case Bilinear(name=name, left=left, right=right, width=width, bias=bias):
            plain = isinstance(left, Input) and isinstance(right, Input)
            inner = "" if plain else f", {_written(left, _JOIN)}, {_written(right, _JOIN)}"
            return f'bilinear("{name}"{inner}{_options(width, bias)})', _ATOM
        case Scale(name=name, of=of, initial=initial):
            inner = "" if isinstance(of, Input) else f", {_written(of, _JOIN)}"
            start = "" if initial == 1.0 else f", initial={initial!r}"
            return f'scale("{name}"{inner}{start})', _ATOM
        case Constant(value=value, width=width):
            return f"constant({value}{_options(width, True)})", _ATOM
        case Sum(terms=terms):
            return _sum(terms), _SUM
        case Product(factors=factors):
            return " * ".join(_written(factor, _POWER) for factor in factors), _PRODUCT
        case Power(of=of, exponent=exponent):
            return f"{_written(of, _ATOM)} ** {exponent}", _POWER
        case Multiple(factor=factor, of=of):
            # In brackets what the operators would multiply out or join with the number.
            inner = f"({to_formula(of)})" if isinstance(of, Multiple | Constant) else _written(of, _POWER)
            return f"{'-' if factor == -1 else f'{factor} * '}{inner}", _PRODUCT
        case Activation(kind=kind, of=of, slope=slope):
            extra = f', slope="{slope}"' if kind == "prelu" and slope != "slope" else ""
            return f"{kind}({_written(of, _JOIN)}{extra})", _ATOM
        case Concat(parts=parts):
            return " | ".join(_written(part, _SUM) for part in parts), _JOIN
        case RowSum(rows=rows, of=of):
            return f"row_sum({rows}, {_written(of, _JOIN)})", _ATOM
        case Slice(index=index, blocks=blocks, of=of):
            return f"block({index}, {blocks}, {_written(of, _JOIN)})", _ATOM
        case HeadMajor(heads=heads, embedding_dim=embedding_dim, of=of):
            return f"head_major({heads}, {embedding_dim}, {_written(of, _JOIN)})", _ATOM
        case _:
            assert_never(expr)


def _sum(terms: tuple[Expr, ...]) -> str:
    """Terms with their signs; a number needs no `constant` where the terms before it, or the one after, tell its width."""
    text = ""
    for number, term in enumerate(terms):
        beside = number > 0 or not isinstance(terms[1] if len(terms) > 1 else term, Constant)
        if isinstance(term, Constant) and beside and len(terms) > 1:
            sign, part = ("-", str(-term.value)) if term.value < 0 and number else ("+", str(term.value))
        elif isinstance(term, Multiple) and term.factor < 0 and number and not isinstance(term.of, Multiple | Constant):
            positive = Multiple(factor=-term.factor, of=term.of)
            sign, part = "-", _written(term.of if positive.factor == 1 else positive, _PRODUCT)
        else:
            sign, part = "+", _written(term, _PRODUCT)
        text = f"{text} {sign} {part}" if number else part
    return text


def _options(width: Fraction, bias: bool) -> str:
    return ("" if width == 1 else f", width={width}") + ("" if bias else ", bias=False")
