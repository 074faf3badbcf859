"""From an expression to straight-line torch code.

`lower` builds a `torch.fx` graph once; `forward` then runs plain tensor operations, without a walk over the expression.
All affine maps of one argument become one matrix product, a sub-expression that occurs twice is computed once, and what
does not depend on the row leaves a row sum (Σ_m x⊙relu(W_m x) = x⊙Σ_m relu(W_m x)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import Any, assert_never

import torch
import torch.nn.functional as F
from torch import fx, nn

from qnn_models.layers.bilinear import quadratic_form, two_sided_form, two_sided_form_by_row
from qnn_models.layers.gate import row_gate
from qnn_models.layers.graphs import AFTER, fuse_layer, two_passes
from qnn_models.layers.operations import ACTIVATIONS, affine_by_row, item
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
    children,
    has_parameters,
)
from qnn_theory.grammar.rewrite import factor_row_sums
from qnn_theory.grammar.widths import head_major_order, parameters, width


@dataclass(frozen=True, slots=True)
class Lowered:
    """Straight-line code of one layer.

    Attributes:
        code: ``code(module, x, x0) -> y``; reads the parameters from `module` by name.
        code_pair: ``code_pair(module, x, x0) -> (y1, y2)``: two stochastic passes that share everything before the
            first dropout; None where there is no dropout inside the layer.
        source: the generated Python source of `code`, to read.
        norms: channels (rows included) of each BatchNorm that the code calls, by sub-module name.
        dropouts: names of the dropout sub-modules that the code calls; `AFTER` is the one on the result.
        orders: index buffers that the code reads from `module`, by name.
    """

    code: Callable[..., torch.Tensor]
    code_pair: Callable[..., tuple[torch.Tensor, torch.Tensor]] | None
    source: str
    norms: dict[str, int]
    dropouts: tuple[str, ...]
    orders: dict[str, tuple[int, ...]]


@dataclass(slots=True)
class _Value:
    node: fx.Node
    by_row: bool  # shape (batch, rows, width) instead of (batch, width)


@dataclass(slots=True)
class _Builder:
    """State of one lowering."""

    expr: Expr
    dim: int
    mid_norm: bool
    mid_dropout: bool
    post_norm: bool
    graph: fx.Graph = field(default_factory=fx.Graph)
    known: dict[tuple[Expr, int | None], _Value] = field(default_factory=dict)
    norms: dict[str, int] = field(default_factory=dict)
    dropouts: list[str] = field(default_factory=list)
    orders: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def call(self, function: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> fx.Node:
        if isinstance(function, str):
            return self.graph.call_method(function, args, kwargs)
        return self.graph.call_function(function, args, kwargs)

    def size(self, expr: Expr) -> int:
        return int(width(expr) * self.dim)


def lower(
    expr: Expr,
    dim: int,
    *,
    mid_norm: bool = False,
    mid_dropout: bool = False,
    post_norm: bool = False,
    dropout: bool = False,
) -> Lowered:
    """Lower an expression at input width `dim`.

    An activation at the root of the expression is a post-activation; all others are mid-activations.

    Args:
        expr: the layer; its shapes must have been checked (`widths.check_expr`, `widths.check_dim`).
        dim: the input width d.
        mid_norm: BatchNorm on the channels of each mid-activation, before it.
        mid_dropout: dropout after each mid-activation.
        post_norm: BatchNorm before the post-activation.
        dropout: dropout on the result.

    Returns:
        The code and the sub-modules it calls, to be run by `layer.QuadraticLayer`.
    """
    expr = factor_row_sums(expr)
    build = _Builder(expr=expr, dim=dim, mid_norm=mid_norm, mid_dropout=mid_dropout, post_norm=post_norm)
    x = build.graph.placeholder("x")
    x0 = build.graph.placeholder("x0")
    shared = {parameter.name: build.graph.get_attr(parameter.name) for parameter in parameters(expr)}
    build.known[Input(), None] = _Value(x, by_row=False)
    build.known[FirstInput(), None] = _Value(x0, by_row=False)
    result = _visit(build, expr, None, shared).node
    if dropout:
        build.dropouts.append(AFTER)
        result = build.graph.call_module(AFTER, (result,))
    build.graph.output(result)
    fuse_layer(build.graph)
    root = _attribute_root(tuple(shared), build)
    single = fx.GraphModule(root, build.graph)
    pair = fx.GraphModule(root, two_passes(build.graph)) if build.dropouts else None
    return Lowered(
        code=type(single).forward,
        code_pair=None if pair is None else type(pair).forward,
        source=single.code,
        norms=build.norms,
        dropouts=tuple(build.dropouts),
        orders=build.orders,
    )


def _visit(build: _Builder, expr: Expr, rows: int | None, shared: dict[str, fx.Node]) -> _Value:
    if rows is not None and not has_parameters(expr):
        return _visit(build, expr, None, shared)
    if (expr, rows) not in build.known:
        build.known[expr, rows] = _lower_node(build, expr, rows, shared)
    return build.known[expr, rows]


def _lower_node(build: _Builder, expr: Expr, rows: int | None, shared: dict[str, fx.Node]) -> _Value:
    call = build.call

    def visit(child: Expr) -> _Value:
        return _visit(build, child, rows, shared)

    def visit_all(children: tuple[Expr, ...]) -> list[_Value]:
        """Values of one shape: where one has rows, the others are broadcast over them."""
        values = [visit(child) for child in children]
        if any(value.by_row for value in values):
            values = [v if v.by_row else _Value(call("unsqueeze", v.node, 1), by_row=True) for v in values]
        return values

    match expr:
        case Input() | FirstInput():
            raise AssertionError("the inputs are known from the start")
        case Constant(value=number):
            x = build.known[Input(), None].node
            return _Value(call(_filled_like, x, float(number), build.size(expr)), by_row=False)
        case Affine(of=of):
            return _affine(build, expr, visit(of), rows, shared)
        case Bilinear(name=name, left=left, right=right, bias=bias):
            a, b = visit(left), visit(right)
            weight, own_bias = shared[name], shared[bias_name(name)] if bias else None
            if rows is None:
                if left == right:
                    return _Value(call(quadratic_form, a.node, weight, own_bias), by_row=False)
                return _Value(call(two_sided_form, a.node, b.node, weight, own_bias), by_row=False)
            return _Value(call(two_sided_form_by_row, a.node, b.node, weight, own_bias), by_row=True)
        case Scale(name=name, of=of):
            inner = visit(of)
            if rows is not None and not inner.by_row:
                inner = _Value(call("unsqueeze", inner.node, 1), by_row=True)
            return _Value(call(torch.mul, inner.node, shared[name]), by_row=rows is not None)
        case Sum(terms=terms):
            return _with_number(build, torch.add, terms, visit_all)
        case Product(factors=factors):
            return _with_number(build, torch.mul, factors, visit_all)
        case Power(of=of, exponent=exponent):
            value = visit(of)
            return _fold(call, torch.mul, [value] * exponent)
        case Multiple(factor=factor, of=of):
            value = visit(of)
            return _Value(call(torch.mul, value.node, float(factor)), by_row=value.by_row)
        case Activation(kind=kind, of=of, slope=slope):
            value = visit(of)
            node = value.node
            post = expr is build.expr
            if build.post_norm if post else build.mid_norm:
                node = _norm(build, value, build.size(of), rows)
            if slope is None:
                node = call(ACTIVATIONS[kind], node)
            else:
                node = call(ACTIVATIONS[kind], node, call("reshape", shared[slope], 1))
            if build.mid_dropout and not post:
                node = build.graph.call_module(_declare_dropout(build), (node,))
            return _Value(node, by_row=value.by_row)
        case Concat(parts=parts) if rows is None and (heads := _aligned_heads(build.expr, parts)) is not None:
            gate = _row_gate(build, heads.projected, visit(heads.projected[0].of), heads.rows, shared)
            return _Value(call(torch.mul, visit(heads.factor).node, gate.node), by_row=False)
        case Concat(parts=parts):
            values = visit_all(parts)
            nodes = [value.node for value in values]
            if values[0].by_row:  # concatenation does not broadcast
                nodes = [call("expand", node, -1, rows, -1) for node in nodes]
            return _Value(call(torch.cat, nodes, dim=-1), by_row=values[0].by_row)
        case RowSum(rows=count, of=Activation(kind="relu", of=Affine(bias=True) as projected)) if rows is None:
            if _siblings(build.expr, projected, count) == [projected]:
                return _row_gate(build, [projected], visit(projected.of), count, shared)
            return _Value(call("sum", _visit(build, expr.of, count, shared).node, 1), by_row=False)
        case RowSum(rows=count, of=of):
            value = _visit(build, of, count, shared)
            if not value.by_row:
                return _Value(call(torch.mul, value.node, float(count)), by_row=False)
            return _Value(call("sum", value.node, 1), by_row=False)
        case Slice(index=index, blocks=blocks, of=of):
            value = visit(of)
            size = build.size(of) // blocks
            return _Value(call("narrow", value.node, -1, index * size, size), by_row=value.by_row)
        case HeadMajor(heads=heads, embedding_dim=embedding_dim, of=of):
            value = visit(of)
            order = head_major_order(build.size(of), heads=heads, embedding_dim=embedding_dim)
            name = f"head_major_{heads}_{embedding_dim}_{len(order)}"
            build.orders[name] = order
            return _Value(call("index_select", value.node, -1, build.graph.get_attr(name)), by_row=value.by_row)
        case _:
            assert_never(expr)


def _affine(build: _Builder, expr: Affine, value: _Value, rows: int | None, shared: dict[str, fx.Node]) -> _Value:
    """All affine maps of one argument (in one row context) as one matrix product; the others become known as well."""
    call = build.call
    if value.by_row:
        bias = shared[bias_name(expr.name)] if expr.bias else None
        return _Value(call(affine_by_row, value.node, shared[expr.name], bias), by_row=True)
    siblings = _siblings(build.expr, expr, rows)
    weights, biases = [], []
    for sibling in siblings:
        weight = shared[sibling.name]
        bias_node = shared[bias_name(sibling.name)] if sibling.bias else None
        if rows is not None:
            weight = call("flatten", weight, 0, 1)
            bias_node = None if bias_node is None else call("flatten", bias_node)
        weights.append(weight)
        biases.append(bias_node)
    if len(siblings) == 1:
        out = call(F.linear, value.node, weights[0], biases[0])
        parts = [out]
    else:
        joined = call(F.linear, value.node, call(torch.cat, weights), call(torch.cat, biases))
        sizes = [build.size(sibling) * (rows or 1) for sibling in siblings]
        split = call(torch.split, joined, sizes, -1)
        parts = [call(item, split, index) for index in range(len(siblings))]
    for sibling, part in zip(siblings, parts, strict=True):
        node = part if rows is None else call("unflatten", part, -1, (rows, build.size(sibling)))
        build.known[sibling, rows] = _Value(node, by_row=rows is not None)
    return build.known[expr, rows]


def _row_gate(
    build: _Builder, projected: list[Affine], argument: _Value, rows: int, shared: dict[str, fx.Node]
) -> _Value:
    """``Σ_m relu(W_m v + b_m)`` as the one fused operation of `gate`; the maps of several heads are stacked within each row."""
    norm = dropout = None
    if build.mid_norm:
        norm = build.graph.get_attr(_declare_norm(build, sum(map(build.size, projected)) * rows))
    if build.mid_dropout:
        dropout = build.graph.get_attr(_declare_dropout(build))
    weights = [shared[affine.name] for affine in projected]
    biases = [shared[bias_name(affine.name)] for affine in projected]
    if len(projected) > 1:
        weights, biases = [build.call(torch.cat, weights, 1)], [build.call(torch.cat, biases, 1)]
    gates = build.call(row_gate, argument.node, *weights, *biases, norm, dropout)
    return _Value(build.call(item, gates, 0), by_row=False)


@dataclass(frozen=True, slots=True)
class _Heads:
    """``factor ⊙ concat_h(Σ_m relu(W_hm u + b_hm))``: heads that gate the blocks of one factor in order."""

    factor: Expr
    rows: int
    projected: list[Affine]


def _aligned_heads(root: Expr, parts: tuple[Expr, ...]) -> _Heads | None:
    """The same as ``concat_h(factor^h ⊙ Σ_m relu(W_hm u + b_hm))``, if that is what the parts are."""
    factors: list[Expr] = []
    counts: list[int] = []
    projected: list[Affine] = []
    for position, part in enumerate(parts):
        match part:
            case Product(
                factors=(
                    Slice(index=index, blocks=blocks, of=factor),
                    RowSum(rows=rows, of=Activation(kind="relu", of=Affine(bias=True) as affine)),
                )
            ) if (index, blocks) == (position, len(parts)):
                factors.append(factor)
                counts.append(rows)
                projected.append(affine)
            case _:
                return None
    if len({*factors}) > 1 or len({*counts}) > 1 or _siblings(root, projected[0], counts[0]) != projected:
        return None
    return _Heads(factors[0], counts[0], projected)


def _siblings(root: Expr, expr: Affine, rows: int | None) -> list[Affine]:
    """The affine maps with the same argument, in the same row context, and a bias as well; each once."""
    if not expr.bias:
        return [expr]
    found: dict[Affine, None] = {}

    def search(node: Expr, context: int | None) -> None:
        if isinstance(node, Affine) and node.of == expr.of and context == rows and node.bias:
            found.setdefault(node)
        inner = node.rows if isinstance(node, RowSum) else context
        for child in children(node):
            search(child, inner)

    search(root, None)
    return list(found)


def _norm(build: _Builder, value: _Value, size: int, rows: int | None) -> fx.Node:
    if not value.by_row:
        return build.graph.call_module(_declare_norm(build, size), (value.node,))
    name = _declare_norm(build, size * (rows or 1))
    flat = build.call("flatten", value.node, 1)
    return build.call("unflatten", build.graph.call_module(name, (flat,)), -1, (rows, size))


def _declare_norm(build: _Builder, channels: int) -> str:
    name = f"norm_{len(build.norms)}"
    build.norms[name] = channels
    return name


def _declare_dropout(build: _Builder) -> str:
    build.dropouts.append(f"dropout_{len(build.dropouts)}")
    return build.dropouts[-1]


def _fold(call: Callable[..., fx.Node], operation: Callable[..., Any], values: list[_Value]) -> _Value:
    node = values[0].node
    for value in values[1:]:
        node = call(operation, node, value.node)
    return _Value(node, by_row=values[0].by_row)


def _with_number(
    build: _Builder,
    operation: Callable[..., Any],
    parts: tuple[Expr, ...],
    visit_all: Callable[[tuple[Expr, ...]], list[_Value]],
) -> _Value:
    """A sum or product whose constants, if any, enter as plain numbers at its end."""
    numbers = [part.value for part in parts if isinstance(part, Constant)]
    varying = tuple(part for part in parts if not isinstance(part, Constant))
    value = _fold(build.call, operation, visit_all(varying or parts))
    if not numbers or not varying:
        return value
    number = sum(numbers, Fraction(0)) if operation is torch.add else prod(numbers)
    return _Value(build.call(operation, value.node, float(number)), by_row=value.by_row)


def _filled_like(x: torch.Tensor, number: float, size: int) -> torch.Tensor:
    """(..., d) -> (..., size), the number everywhere."""
    return x.new_full((*x.shape[:-1], size), number)


def _attribute_root(names: tuple[str, ...], build: _Builder) -> nn.Module:
    """A module with the attributes that the graph names, so that fx accepts them; its values are never used."""
    root = nn.Module()
    for name in (*names, *build.orders):
        root.register_buffer(name, torch.empty(0))
    for name in (*build.norms, *build.dropouts):
        root.add_module(name, nn.Identity())
    return root
