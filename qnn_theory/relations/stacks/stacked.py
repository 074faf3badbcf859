"""Stacks as formats: L layers written as one expression, and one layer whose ``x0`` is an input of its own."""

from __future__ import annotations

import re
from dataclasses import replace as with_fields
from fractions import Fraction
from functools import cache

from qnn_theory.grammar.expr import (
    Activation,
    Affine,
    Bilinear,
    Constant,
    Expr,
    FirstInput,
    Input,
    RowSum,
    Scale,
    Slice,
    walk,
)
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import row_sum
from qnn_theory.grammar.rewrite import replace
from qnn_theory.grammar.widths import parameters, width

_HALF = Fraction(1, 2)


def reads_first_input(expr: Expr) -> bool:
    """Whether ``x0`` occurs."""
    return any(isinstance(node, FirstInput) for node in walk(expr))


def reads_input(expr: Expr) -> bool:
    """Whether ``x`` occurs; where it does not, a stack is its last layer."""
    return any(isinstance(node, Input) for node in walk(expr))


@cache
def one_layer(format: Format) -> Format:
    """The format with its row sums written out: the parameters of row m are named ``W[m]``."""
    expr = replace(format.expr, lambda node: row_sum(node.rows, node.of) if isinstance(node, RowSum) else node)
    return Format(format.id, expr)


def in_layer(name: str, suffix: str) -> str:
    """The name of a layer's parameter in the stack: ``W_2`` for ``W``, ``W_2r1`` for the ``W[1]`` of a row."""
    stem, _, row = name.partition("[")
    return f"{stem}{suffix}r{row.removesuffix(']')}" if row else name + suffix


def of_layer(name: str, suffix: str) -> str | None:
    """The inverse of `in_layer`; None for a parameter of another layer."""
    found = re.fullmatch(rf"(.+?){re.escape(suffix)}(?:r(\d+))?", name)
    return None if found is None else found[1] + (f"[{found[2]}]" if found[2] else "")


@cache
def suffixes(format: Format, depth: int) -> tuple[str, ...]:
    """What is put behind the parameters' names of each layer, so that all names differ."""
    names = {p.name for p in parameters(one_layer(format).expr)}
    mark = "_"
    while any(f"{name}{mark}{layer}" in names for name in names for layer in range(1, depth + 1)):
        mark += "_"
    return tuple(f"{mark}{layer}" for layer in range(1, depth + 1))


@cache
def stacked(format: Format, depth: int) -> Format:
    """The stack as one layer: ``W_l`` is the W of layer l (see `in_layer`), ``x0`` is the input of the stack.

    Raises:
        ValueError: the format reads ``x0`` and changes the width.
    """
    if depth == 1:
        return format
    if reads_first_input(format.expr) and width(format.expr) != 1:
        raise ValueError(
            f"A stack that reads the first input in every layer keeps the width, however: a layer of {format.id} has width "
            f"{width(format.expr)}·d; use depth=1."
        )
    expr: Expr = Input()
    for suffix in suffixes(format, depth):
        expr = _rewritten(one_layer(format).expr, below=expr, first=Input(), factor=width(expr), suffix=suffix)
    return Format(f"{format.id} at depth {depth}", expr)


@cache
def with_own_first_input(format: Format) -> Format:
    """One layer as a function of ``x | x0``, so that an identity holds whatever ``x0`` is."""
    halves = (Slice(index=k, blocks=2, of=Input()) for k in range(2))
    expr = _rewritten(format.expr, below=next(halves), first=next(halves), factor=_HALF, suffix="")
    return Format(f"{format.id} (x, x0 apart)", expr)


@cache
def with_signs(format: Format, before: int, after: int) -> Format:
    """The layer at `before` times its input x, times `after`; ``x0`` keeps its sign."""
    if (before, after) == (1, 1):
        return format
    expr = replace(format.expr, lambda node: -node if before < 0 and isinstance(node, Input) else node)
    return Format(f"{format.id} ({before}, {after})", expr if after > 0 else -expr)


def _rewritten(expr: Expr, *, below: Expr, first: Expr, factor: Fraction, suffix: str) -> Expr:
    """The layer with other inputs, on another width, with other names."""

    def rule(node: Expr) -> Expr:
        match node:
            case Input():
                return below
            case FirstInput():
                return first
            case Affine(name=own, width=out) | Bilinear(name=own, width=out):
                return with_fields(node, name=in_layer(own, suffix), width=out * factor)
            case Scale(name=own):
                return with_fields(node, name=in_layer(own, suffix))
            case Constant(width=out):
                return with_fields(node, width=out * factor)
            case Activation(slope=slope) if slope is not None:
                return with_fields(node, slope=in_layer(slope, suffix))
            case _:
                return node

    return replace(expr, rule)
