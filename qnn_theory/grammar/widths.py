"""Shape rules: which parameters an expression has, how wide its parts are, and which d it accepts.

Everything is checked before any computation. Widths are multiples of d (`fractions.Fraction`), so one pass serves every d.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias, assert_never

from qnn_theory.grammar.expr import (
    ACTIVATION_KINDS,
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
    walk,
)
from qnn_theory.grammar.numbers import check_number

EXPONENT_LIMIT = 100
ROW_LIMIT = 10_000
WIDTH_LIMIT = 1_000

Role: TypeAlias = Literal["affine", "bilinear", "bias", "bilinear_bias", "scale", "slope"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One named parameter of an expression.

    Attributes:
        name: its name, ``W_a`` or ``b_a``.
        role: what it does, which decides its initialisation.
        axes: its shape as multiples of d, for instance ``(1, 1/2)`` for a ``(d, d/2)`` matrix; ``()`` for a scalar.
        rows: number of copies when it sits inside a `RowSum`, else None; the copies are a leading axis.
        initial: start value of a `scale`.
    """

    name: str
    role: Role
    axes: tuple[Fraction, ...]
    rows: int | None = None
    initial: float | None = None

    def shape(self, dim: int) -> tuple[int, ...]:
        """The shape at input width `dim`."""
        inner = tuple(int(axis * dim) for axis in self.axes)
        return inner if self.rows is None else (self.rows, *inner)


def width(expr: Expr) -> Fraction:
    """Output width of an expression as a multiple of d.

    Raises:
        ValueError: two operands of a sum, a product or a bilinear map differ in width, or a node is out of its range.
    """
    match expr:
        case Input() | FirstInput():
            return Fraction(1)
        case Constant(value=value, width=out):
            check_number(value)
            if out <= 0:
                raise ValueError(f"The width of a constant must be a positive multiple of d, however: {out}.")
            return out
        case Affine(name=name, width=out) | Bilinear(name=name, width=out):
            if out <= 0:
                raise ValueError(f"The output width of {name} must be a positive multiple of d, however: {out}.")
            if out > WIDTH_LIMIT:
                raise ValueError(f"The output width of {name} is at most {WIDTH_LIMIT} d, however: {out}.")
            if isinstance(expr, Affine):
                width(expr.of)
            else:
                _one_width((expr.left, expr.right), f"the two sides of the bilinear map {name}")
            return out
        case Scale(of=of):
            return width(of)
        case Activation(kind=kind, of=of, slope=slope):
            if kind not in ACTIVATION_KINDS:
                raise ValueError(f"An activation is one of {', '.join(ACTIVATION_KINDS)}, however: {kind!r}.")
            if (kind == "prelu") != (slope is not None):
                raise ValueError(
                    f"Exactly prelu names a learned slope, however: {kind} with slope={slope!r}; use activation(...)."
                )
            return width(of)
        case Multiple(factor=factor, of=of):
            check_number(factor)
            return width(of)
        case Power(of=of, exponent=exponent):
            if isinstance(exponent, bool) or not isinstance(exponent, int) or exponent < 1:
                raise ValueError(f"A power has an integer exponent of at least 1, however: {exponent}.")
            if exponent > EXPONENT_LIMIT:
                raise ValueError(f"A power has an exponent of at most {EXPONENT_LIMIT}, however: {exponent}.")
            return width(of)
        case RowSum(rows=rows, of=of):
            if rows < 1:
                raise ValueError(f"A row sum has at least 1 row, however: rows={rows}.")
            if rows > ROW_LIMIT:
                raise ValueError(f"A row sum has at most {ROW_LIMIT} rows, however: rows={rows}.")
            if any(isinstance(node, RowSum) for node in walk(of)):
                raise ValueError("A row sum inside a row sum is not supported; multiply the numbers of rows instead.")
            return width(of)
        case Sum(terms=terms):
            return _one_width(terms, "the terms of a sum")
        case Product(factors=factors):
            return _one_width(factors, "the factors of a Hadamard product")
        case Concat(parts=parts):
            return sum((width(part) for part in parts), Fraction(0))
        case Slice(index=index, blocks=blocks, of=of):
            if not 0 <= index < blocks:
                raise ValueError(f"A slice takes block 0 to blocks - 1, however: index={index}, blocks={blocks}.")
            return width(of) / blocks
        case HeadMajor(heads=heads, embedding_dim=embedding_dim, of=of):
            if heads < 1 or embedding_dim < 1 or embedding_dim % heads:
                raise ValueError(
                    f"Heads cut each embedding into equal parts, so heads must divide embedding_dim, however: "
                    f"heads={heads}, embedding_dim={embedding_dim}."
                )
            return width(of)
        case _:
            assert_never(expr)


def parameters(expr: Expr) -> tuple[Parameter, ...]:
    """All parameters of an expression, in reading order, each name once.

    Raises:
        ValueError: one name is used for two parameters of different shape or role, or two maps own a bias of one name.
    """
    found: dict[str, Parameter] = {}
    owners: dict[str, str] = {}

    def declare(name: str, role: Role, *axes: Fraction, rows: int | None, initial: float | None = None) -> None:
        new = Parameter(name=name, role=role, axes=axes, rows=rows, initial=initial)
        old = found.setdefault(name, new)
        if old != new:
            raise ValueError(
                f"The same name is the same parameter, however: {name} is used as {_describe(old)} and as "
                f"{_describe(new)}; rename one of them."
            )

    def own(name: str) -> str:
        bias = bias_name(name)
        owner = owners.setdefault(bias, name)
        if owner != name:
            raise ValueError(
                f"A bias belongs to one map, however: {bias} is that of {owner} and of {name}; rename one of them."
            )
        return bias

    def visit(node: Expr, rows: int | None) -> None:
        match node:
            case Input() | FirstInput() | Constant():
                pass
            case Affine(name=name, of=of, width=out, bias=bias):
                visit(of, rows)
                declare(name, "affine", out, width(of), rows=rows)
                if bias:
                    declare(own(name), "bias", out, rows=rows)
            case Bilinear(name=name, left=left, right=right, width=out, bias=bias):
                visit(left, rows)
                visit(right, rows)
                declare(name, "bilinear", out, width(left), width(right), rows=rows)
                if bias:
                    declare(own(name), "bilinear_bias", out, rows=rows)
            case Scale(name=name, of=of, initial=initial):
                visit(of, rows)
                declare(name, "scale", width(of), rows=rows, initial=initial)
            case Activation(of=of, slope=slope):
                visit(of, rows)
                if slope is not None:
                    declare(slope, "slope", rows=None)
            case Multiple(of=of) | Power(of=of) | Slice(of=of) | HeadMajor(of=of):
                visit(of, rows)
            case RowSum(rows=count, of=of):
                visit(of, count)
            case Sum(terms=parts) | Product(factors=parts) | Concat(parts=parts):
                for part in parts:
                    visit(part, rows)
            case _:
                assert_never(node)

    visit(expr, None)
    return tuple(found.values())


def check_expr(expr: Expr) -> None:
    """Reject an expression whose widths or names do not fit, whatever d is.

    Raises:
        ValueError: see `width` and `parameters`.
    """
    width(expr)
    copied = [parameter.name for parameter in parameters(expr) if "[" in parameter.name]
    if copied and any(isinstance(node, RowSum) for node in walk(expr)):
        raise ValueError(
            f"In a format with a sum over rows, names with brackets are those of the rows' own copies, however: {copied[0]}; "
            "rename it."
        )


def divisor(expr: Expr) -> int:
    """The smallest number that d must be a multiple of (2 for the formats that join two halves)."""
    result = 1
    for node in walk(expr):
        result = math.lcm(result, width(node).denominator)
        if isinstance(node, HeadMajor):
            # width·d must be a multiple of embedding_dim: with width = p/q in lowest terms, d of lcm(p, q·e)/p.
            p, q = width(node.of).as_integer_ratio()
            result = math.lcm(result, math.lcm(p, q * node.embedding_dim) // p)
    return result


def smallest_width(expr: Expr, at_least: int) -> int:
    """The smallest input width of at least this number that the expression accepts."""
    step = divisor(expr)
    return step * math.ceil(at_least / step)


def check_dim(expr: Expr, dim: int, *, label: str = "The expression") -> None:
    """Reject an input width that the expression cannot have.

    Args:
        expr: the format's expression.
        dim: the input width d.
        label: the format's id, for the message.

    Raises:
        ValueError: d is not a positive integer, or not a multiple of what the format needs.
    """
    if isinstance(dim, bool) or not isinstance(dim, int) or dim < 1:
        raise ValueError(f"The input width d is a positive integer, however: d={dim!r}.")
    for node in walk(expr):
        if isinstance(node, HeadMajor):
            inner = int(width(node.of) * dim)
            if inner % node.embedding_dim:
                raise ValueError(
                    f"{label} permutes embeddings of {node.embedding_dim}, so its width must be a multiple of "
                    f"{node.embedding_dim}, however: d={dim}."
                )
        part = width(node)
        if (part * dim).denominator != 1:
            need = divisor(expr)
            halves = (
                "joins two half-width parts"
                if part == Fraction(1, 2) and _joins(expr)
                else f"has a part of width {part}·d"
            )
            even = "even" if need == 2 else f"a multiple of {need}"
            raise ValueError(f"{label} {halves}, so d must be {even}, however: d={dim}.")


def head_major_order(dim: int, *, heads: int, embedding_dim: int) -> tuple[int, ...]:
    """The released head layout as indices: position i of the result takes coordinate ``order[i]`` of the input."""
    part = embedding_dim // heads
    return tuple(
        field * embedding_dim + head * part + offset
        for head in range(heads)
        for field in range(dim // embedding_dim)
        for offset in range(part)
    )


def _joins(expr: Expr) -> bool:
    return any(isinstance(node, Concat) for node in walk(expr))


def _one_width(parts: tuple[Expr, ...], what: str) -> Fraction:
    widths = [width(part) for part in parts]
    if not widths:
        raise ValueError(f"There must be at least one of {what}, however: none.")
    if any(other != widths[0] for other in widths):
        shown = ", ".join(f"{w}·d" for w in widths)
        raise ValueError(f"All of {what} must have one width, however: {shown}.")
    return widths[0]


def _describe(parameter: Parameter) -> str:
    shape = " × ".join(f"{axis}·d" for axis in parameter.axes) or "scalar"
    rows = "" if parameter.rows is None else f" in {parameter.rows} rows"
    return f"{parameter.role} of shape {shape}{rows}"
