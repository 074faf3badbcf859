"""Cost of a format as formulas: parameters, floating-point operations, memory kept for the backward pass.

Claim: `Cost.parameters` is the number of scalars of the torch module and `Cost.flops` what torch's ``FlopCounterMode``
counts in one forward pass for one sample, both at every admissible d (tests/qnn_theory/test_costs.py).

Semantics: a value that occurs twice is computed once, and what does not depend on the row leaves a row sum, as in the
torch lowering. Work on parameters alone (folding a bilinear form to its triangle) does not grow with the batch and is
not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, TypeAlias, assert_never

import sympy

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
    children,
    has_parameters,
)
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.rewrite import factor_row_sums
from qnn_theory.grammar.widths import parameters, width
from qnn_theory.registry import get_format

Formula: TypeAlias = Any  # a SymPy expression; SymPy ships no types
Count: TypeAlias = Any  # int or a SymPy expression
NormPlace: TypeAlias = Literal["gates", "outputs"]

# Plain symbols without assumptions: a caller's own `sympy.Symbol("d")` is the same symbol.
D, FIELDS, EMBEDDING, LAYERS, ROWS, BATCH, VOCABULARY = (
    sympy.Symbol(name) for name in ("d", "f", "e", "L", "M", "B", "V")
)

_FLOAT_BYTES = 4
_ADAM_COPIES = 4  # the parameter, its gradient, two moments

# Activations whose backward pass reads the result; that of the others reads the argument.
_READS_RESULT = frozenset({"relu", "sigmoid", "tanh"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Cost of one layer, formulas in d; all but `parameters` are for one sample.

    Attributes:
        parameters: scalars of the layer, biases included.
        flops: operations of the matrix products, forward; a multiply-add is 2, so an (out, in) map has 2·out·in.
        elementwise_flops: everything else, forward: one operation per element and operand joined (biases included),
            one per activation.
        training_flops: matrix products of a training step: forward, gradient of the weights, gradient of the input.
        activation_elements: distinct scalars that the forward pass keeps for the backward pass, one torch operation after
            the other. Fused on a CPU, the gate Σ_m relu(W_m x) keeps a bit for each of its `gate_channels` in place of a scalar;
            a bilinear map inside a row sum may keep copies besides, which torch makes to broadcast.
        gate_channels: width of what enters the mid-activations, where QNN-α places its BatchNorm.
        output_width: width of the layer's output.
    """

    parameters: Formula
    flops: Formula
    elementwise_flops: Formula
    training_flops: Formula
    activation_elements: Formula
    gate_channels: Formula
    output_width: Formula


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCost:
    """Cost of embedding → L layers → Linear(d, 1), formulas in f, e, L, M, batch B and vocabulary V.

    Attributes:
        parameters: scalars outside the embedding table.
        embedding_parameters: scalars of the embedding table, V·e.
        flops: matrix products of the forward pass of one batch.
        training_flops: matrix products of a training step on one batch.
        activation_bytes: float32 bytes that a batch keeps for the backward pass, layers only.
        embedding_bytes: float32 bytes of the embedding table.
        lookup_bytes: float32 bytes of embeddings read for one batch.
        optimizer_bytes: float32 bytes of all parameters with their gradients and Adam's two moments.
    """

    parameters: Formula
    embedding_parameters: Formula
    flops: Formula
    training_flops: Formula
    activation_bytes: Formula
    embedding_bytes: Formula
    lookup_bytes: Formula
    optimizer_bytes: Formula


def cost(format: str | Format, *, rows: Count | None = None) -> Cost:
    """Cost of one layer of a format.

    Args:
        format: a registered id or a format of your own.
        rows: takes the place of the number of rows of every row sum, for instance ``sympy.Symbol("M")``.

    Returns:
        Formulas in the symbol d; exact wherever the format accepts d (even d where halves are joined).

    Raises:
        KeyError: unknown id.
    """
    expr = get_format(format).expr
    factored = factor_row_sums(expr)
    values = _values(factored)

    def copies(context: int | None) -> Count:
        return 1 if context is None else (context if rows is None else rows)

    def size(node: Expr, context: int | None) -> Count:
        return copies(context) * _width(node)

    flops = sum((_matmul_flops(node, context) * copies(context) for node, context in values), sympy.Integer(0))
    elementwise = sum((_elementwise_flops(node, context, size, copies) for node, context in values), sympy.Integer(0))
    gates = sum((size(node, context) for node, context in values if isinstance(node, Activation)), sympy.Integer(0))
    return Cost(
        parameters=sympy.expand(
            sum(prod((_sym(axis) * D for axis in p.axes), start=copies(p.rows)) for p in parameters(expr))
        ),
        flops=sympy.expand(flops),
        elementwise_flops=sympy.expand(elementwise),
        training_flops=sympy.expand(3 * flops),
        activation_elements=sympy.expand(_kept_elements(values, size, copies)),
        gate_channels=sympy.expand(gates),
        output_width=_width(expr),
    )


def network_cost(
    format: str | Format,
    *,
    layers: Count = LAYERS,
    fields: Count = FIELDS,
    embedding_dim: Count = EMBEDDING,
    rows: Count | None = None,
    batch: Count = BATCH,
    vocabulary: Count = VOCABULARY,
    batch_norm: NormPlace | None = None,
    projection: Count | None = None,
) -> NetworkCost:
    """Cost of the whole network that the paper trains, at d = fields·embedding_dim.

    Args:
        format: a registered id or a format of your own.
        layers: number of layers L.
        fields: number of fields f.
        embedding_dim: embedding width e.
        rows: as in `cost`.
        batch: samples in a batch B.
        vocabulary: rows of the embedding table over all fields V.
        batch_norm: ``gates`` normalises what enters the mid-activations (QNN-α), ``outputs`` each layer's output; two
            parameters a channel.
        projection: width of a bias-free linear map in front of the layers (100 for T1, T2, T6 in li2025qnn-code).

    Returns:
        Formulas in the symbols that were left open; numbers where all were given.

    Raises:
        KeyError: unknown id.
        ValueError: an unknown place for BatchNorm.
    """
    if batch_norm not in (None, "gates", "outputs"):
        raise ValueError(f"batch_norm is None, 'gates' or 'outputs', however: {batch_norm!r}.")
    layer = cost(format, rows=rows)
    norm = {None: 0, "gates": 2 * layer.gate_channels, "outputs": 2 * layer.output_width}[batch_norm]
    inputs = sympy.sympify(fields) * embedding_dim
    first = inputs if projection is None else sympy.sympify(projection)
    projection_weights = 0 if projection is None else inputs * projection
    growth = layer.output_width / D
    last = first * growth**layers

    def over_layers(formula: Formula) -> Formula:
        if growth == 1:
            return layers * formula.subs(D, first)
        index = sympy.Dummy("l", integer=True)
        return sympy.summation(formula.subs(D, first * growth**index), (index, 0, layers - 1))

    flops = over_layers(layer.flops) + 2 * last + 2 * projection_weights
    own = over_layers(layer.parameters + norm) + last + 1 + projection_weights
    table = sympy.sympify(vocabulary) * embedding_dim
    return NetworkCost(
        parameters=sympy.expand(own),
        embedding_parameters=table,
        flops=sympy.expand(batch * flops),
        training_flops=sympy.expand(3 * batch * flops),
        activation_bytes=sympy.expand(_FLOAT_BYTES * batch * over_layers(layer.activation_elements)),
        embedding_bytes=_FLOAT_BYTES * table,
        lookup_bytes=sympy.expand(_FLOAT_BYTES * batch * inputs),
        optimizer_bytes=sympy.expand(_FLOAT_BYTES * _ADAM_COPIES * (own + table)),
    )


# A value is an expression and the number of rows it is computed for; None where it does not depend on the row.
_Value: TypeAlias = tuple[Expr, "int | None"]


def _values(root: Expr) -> dict[_Value, None]:
    """All distinct values of one layer, in order of first use."""
    found: dict[_Value, None] = {}

    def visit(node: Expr, rows: int | None) -> None:
        value = (node, _context(node, rows))
        if value not in found:
            found[value] = None
            for child in children(node):
                visit(child, _inner_context(node, rows))

    visit(root, None)
    return found


def _context(node: Expr, rows: int | None) -> int | None:
    return rows if has_parameters(node) else None


def _inner_context(node: Expr, rows: int | None) -> int | None:
    return node.rows if isinstance(node, RowSum) else rows


def _width(node: Expr) -> Formula:
    return _sym(width(node)) * D


def _sym(fraction: Any) -> Formula:
    return sympy.Rational(fraction.numerator, fraction.denominator)


def _matmul_flops(node: Expr, context: int | None) -> Formula:
    """Operations of one copy's matrix products."""
    match node:
        case Affine(of=of):
            return 2 * _width(node) * _width(of)
        case Bilinear(left=left, right=right):
            out, inner = _width(node), _width(left)
            if left == right and context is None:
                return out * inner * (inner + 1)  # one product with the inner·(inner + 1)/2 products x_i x_j
            return 2 * out * inner**2 + 2 * out * inner  # A_k right, then left^T of it
        case _:
            return sympy.Integer(0)


def _elementwise_flops(node: Expr, context: int | None, size: Any, copies: Any) -> Formula:
    match node:
        case Input() | FirstInput() | Constant() | Concat() | Slice() | HeadMajor():
            return 0
        case Affine(bias=bias):
            return size(node, context) if bias else 0
        case Bilinear(left=left, right=right, bias=bias):
            inner = _width(left)
            products = inner * (inner + 1) / 2 if left == right and context is None else 0
            return products + (size(node, context) if bias else 0)
        case Scale() | Multiple() | Activation():
            return size(node, context)
        case Sum(terms=parts) | Product(factors=parts):
            return (len(parts) - 1) * size(node, context)
        case Power(exponent=exponent):
            return (exponent - 1) * size(node, context)
        case RowSum(rows=rows, of=of):
            # Without a parameter inside, all rows are equal: one multiplication by their number.
            return (copies(rows) - 1 if _context(of, rows) is not None else 1) * _width(node)
        case _:
            assert_never(node)


def _kept_elements(values: dict[_Value, None], size: Any, copies: Any) -> Formula:
    """Distinct scalars the backward pass reads; a slice of a kept value is part of it."""
    kept = {value for node, context in values for value in _kept_by(node, context)}
    total = sympy.Integer(0)
    for node, context in kept:
        base = node
        while isinstance(base, Slice):
            base = base.of
        if base == node or (base, context) not in kept:
            total += size(node, context)
    for node, context in values:
        if isinstance(node, Bilinear) and not (node.left == node.right and context is None):
            total += copies(context) * _width(node) * _width(node.left)  # A_k right, one vector per output
    return total


def _kept_by(node: Expr, context: int | None) -> Iterator[_Value]:
    """The values that the backward pass of this node reads."""

    def value(part: Expr) -> _Value:
        return part, _context(part, context)

    match node:
        case Input() | FirstInput() | Constant() | Sum() | Multiple() | Concat() | RowSum() | Slice() | HeadMajor():
            pass
        case Affine(of=of) | Scale(of=of):
            yield value(of)
        case Bilinear(left=left, right=right):
            yield value(left)
            yield value(right)
        case Product(factors=factors):
            varying = tuple(
                factor for factor in factors if not isinstance(factor, Constant)
            )  # a number is kept nowhere
            if len(varying) > 1:
                yield from (value(factor) for factor in varying)
                yield from (value(Product(factors=varying[:k])) for k in range(2, len(varying)))
        case Power(of=of, exponent=exponent):
            if exponent > 1:
                yield value(of)
                yield from (value(Power(of=of, exponent=k)) for k in range(2, exponent))
        case Activation(kind=kind, of=of):
            yield value(node if kind in _READS_RESULT else of)
        case _:
            assert_never(node)
