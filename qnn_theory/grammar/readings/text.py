"""One line of plain text for an expression: ``x ⊙ W_a x + x``. As in the paper, biases belong to their maps and are not shown."""

from __future__ import annotations

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

# How tightly an operator binds; a child that binds less tightly than its parent needs is put in parentheses.
_CONCAT, _SUM, _PRODUCT, _MAP, _POWER, _ATOM = range(6)
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def to_text(expr: Expr) -> str:
    """The formula of an expression."""
    return _render(expr, _CONCAT)


def coordinate_text(expr: Expr, index: str) -> str:
    """The name of one coordinate: ``x_i``, ``(W_a x)_i``."""
    if isinstance(expr, Constant):
        return to_text(expr)  # the same in every coordinate
    return f"{_render(expr, _ATOM)}_{index}" if isinstance(expr, Input | FirstInput) else f"({to_text(expr)})_{index}"


def split_sign(expr: Expr) -> tuple[bool, Expr]:
    """Whether a term is subtracted, and what is: ``-2 x`` is 2 x subtracted."""
    match expr:
        case Multiple(factor=factor, of=of) if factor < 0:
            return True, of if factor == -1 else Multiple(factor=-factor, of=of)
        case Constant(value=value, width=width) if value < 0:
            return True, Constant(value=-value, width=width)
        case _:
            return False, expr


def _render(expr: Expr, needed: int) -> str:
    text, binding = _text(expr)
    return text if binding >= needed else f"({text})"


def _text(expr: Expr) -> tuple[str, int]:
    match expr:
        case Input():
            return "x", _ATOM
        case FirstInput():
            return "x₁", _ATOM
        case Constant(value=value) if value >= 0:
            return str(value), _ATOM if value.denominator == 1 else _PRODUCT
        case Constant() | Multiple(factor=-1):
            return f"-{_render(split_sign(expr)[1], _PRODUCT)}", _SUM
        case Affine(name=name, of=of):
            return f"{name} {_render(of, _MAP)}", _MAP
        case Bilinear(name=name, left=left, right=right):
            return f"{_render(left, _ATOM)}ᵀ {name} {_render(right, _MAP)}", _MAP
        case Scale(name=name, of=of):
            return f"{name} ⊙ {_render(of, _PRODUCT)}", _PRODUCT
        case Sum(terms=terms):
            first, *others = terms
            text = _render(first, _SUM)
            for negative, term in map(split_sign, others):
                text += f" - {_render(term, _PRODUCT)}" if negative else f" + {_render(term, _SUM)}"
            return text, _SUM
        case Product(factors=factors):
            return " ⊙ ".join(_render(factor, _PRODUCT) for factor in factors), _PRODUCT
        case Power(of=of, exponent=exponent):
            return f"{_render(of, _ATOM)}{str(exponent).translate(_SUPERSCRIPTS)}", _POWER
        case Multiple(factor=factor, of=of):
            return f"{factor}·{_render(of, _MAP)}", _SUM if factor < 0 else _PRODUCT
        case Activation(kind=kind, of=of):
            return f"{kind}({_render(of, _CONCAT)})", _ATOM
        case Concat(parts=parts):
            return " ‖ ".join(_render(part, _SUM) for part in parts), _CONCAT
        case RowSum(rows=rows, of=of):
            return f"Σ_{rows} {_render(of, _MAP)}", _PRODUCT
        case Slice(index=index, of=of):
            return f"{_render(of, _ATOM)}[{index + 1}]", _ATOM
        case HeadMajor(of=of):
            return f"π({_render(of, _CONCAT)})", _ATOM
        case _:
            assert_never(expr)
