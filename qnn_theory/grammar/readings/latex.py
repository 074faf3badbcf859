r"""LaTeX of an expression, in the paper's notation: ``X \odot W_a X + X``. Biases belong to their maps and are not printed."""

from __future__ import annotations

import re
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
from qnn_theory.grammar.readings.text import split_sign

_NAMES = {"relu": "ReLU", "relu6": "ReLU6", "prelu": "PReLU", "gelu": "GELU", "silu": "SiLU", "mish": "Mish"}

# How tightly an operator binds; a child that binds less tightly than its parent needs is put in parentheses.
_CONCAT, _SUM, _PRODUCT, _MAP, _POWER, _ATOM = range(6)


def to_latex(expr: Expr) -> str:
    """The formula of an expression, without dollar signs."""
    return _render(expr, _CONCAT, row=False)


def _render(expr: Expr, needed: int, *, row: bool) -> str:
    text, binding = _text(expr, row)
    return text if binding >= needed else rf"\left({text}\right)"


def _text(expr: Expr, row: bool) -> tuple[str, int]:
    match expr:
        case Input():
            return "X", _ATOM
        case FirstInput():
            return "X_1", _ATOM
        case Constant(value=value) if value >= 0:
            return _number(value), _ATOM if value.denominator == 1 else _MAP
        case Constant() | Multiple(factor=-1):
            return f"-{_render(split_sign(expr)[1], _PRODUCT, row=row)}", _SUM
        case Affine(name=name, of=of):
            return f"{_symbol(name, row)} {_render(of, _MAP, row=row)}", _MAP
        case Bilinear(name=name, left=left, right=right):
            left_text = _render(left, _POWER, row=row)
            return rf"{left_text}^{{\top}} {_symbol(name, row)} {_render(right, _MAP, row=row)}", _MAP
        case Scale(name=name, of=of):
            return rf"{_symbol(name, row)} \odot {_render(of, _PRODUCT, row=row)}", _PRODUCT
        case Sum(terms=terms):
            first, *others = terms
            text = _render(first, _SUM, row=row)
            for negative, term in map(split_sign, others):
                text += f" - {_render(term, _PRODUCT, row=row)}" if negative else f" + {_render(term, _SUM, row=row)}"
            return text, _SUM
        case Product(factors=factors):
            return r" \odot ".join(_render(factor, _PRODUCT, row=row) for factor in factors), _PRODUCT
        case Power(of=of, exponent=exponent):
            return f"{_render(of, _ATOM, row=row)}^{{{exponent}}}", _POWER
        case Multiple(factor=factor, of=of):
            between = r" \cdot " if isinstance(of, Constant | Multiple) else " "
            return f"{_number(factor)}{between}{_render(of, _PRODUCT, row=row)}", _SUM if factor < 0 else _PRODUCT
        case Activation(kind=kind, of=of):
            return rf"\operatorname{{{_NAMES.get(kind, kind)}}}\left({_render(of, _CONCAT, row=row)}\right)", _ATOM
        case Concat(parts=parts):
            return r" \,\Vert\, ".join(_render(part, _SUM, row=row) for part in parts), _CONCAT
        case RowSum(rows=rows, of=of):
            return rf"\sum_{{m=1}}^{{{rows}}} {_render(of, _PRODUCT, row=True)}", _PRODUCT
        case Slice(index=index, of=of):
            return f"{_render(of, _ATOM, row=row)}^{{({index + 1})}}", _ATOM
        case HeadMajor(heads=heads, of=of):
            return rf"\pi_{{{heads}}}\left({_render(of, _CONCAT, row=row)}\right)", _ATOM
        case _:
            assert_never(expr)


def _number(value: Fraction) -> str:
    sign = "-" if value < 0 else ""
    if value.denominator == 1:
        return str(value)
    return rf"{sign}\tfrac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def _symbol(name: str, row: bool) -> str:
    match = re.fullmatch(r"([A-Za-z]+)(?:_(\w+))?", name)
    base, index = match.groups() if match else (name, None)
    indices = [part for part in (index, "m" if row else None) if part]
    base = "\\" + base if base in ("alpha", "beta", "gamma") else base
    return f"{base}_{{{','.join(indices)}}}" if indices else base
