"""Derivatives of a stack's outputs with respect to its parameters and inputs, at many points at once.

Reverse mode, written over `qnn_theory.algebra.linear_algebra.Scalars`: exact over GF(p) for polynomial formats, float64 where an
activation occurs. It shares no code with `evaluate`; tests/qnn_theory/dimension compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce as fold
from typing import TypeAlias, assert_never

import numpy as np

from qnn_theory.algebra.linear_algebra import Array, Scalars
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
)
from qnn_theory.grammar.widths import Parameter, head_major_order, parameters


@dataclass(slots=True)
class Gradient:
    """Derivatives of one scalar output per point; the points are the leading axis.

    Attributes:
        scalars: the arithmetic.
        x: with respect to the layer's input, shape (points, d).
        x0: with respect to the network's first input.
        parameters: with respect to each parameter, shape (points, *shape).
        written: the parameters (with their row) that already hold a part.
    """

    scalars: Scalars
    x: Array
    x0: Array
    parameters: dict[str, Array]
    written: set[tuple[str, int | None]] = field(default_factory=set)

    def add(self, name: str, row: int | None, part: Array) -> None:
        """Add a part to a parameter's gradient (to one of its rows inside a `RowSum`)."""
        target = self.parameters[name] if row is None else self.parameters[name][:, row]
        if (name, row) in self.written:
            target[...] = self.scalars.reduce(target + part)
        else:
            target[...] = part
            self.written.add((name, row))


Pullback: TypeAlias = Callable[[Array, Gradient], None]


def linearise(
    expr: Expr, x: Array, x0: Array, weights: Mapping[str, Array], scalars: Scalars
) -> tuple[Array, Pullback]:
    """The outputs of one layer at many points, and the map that takes cotangents of the outputs to gradients.

    Args:
        expr: the layer.
        x: inputs, shape (points, d).
        x0: the network's first inputs, shape (points, d).
        weights: name -> array in the parameter's shape.
        scalars: the arithmetic; activations need float64.

    Returns:
        The outputs, shape (points, width), and the pullback, which adds to a `Gradient`.
    """
    mod, total, matmul = scalars.reduce, scalars.total, scalars.matmul

    def visit(node: Expr, row: int | None) -> tuple[Array, Pullback]:
        def own(name: str) -> Array:
            return weights[name] if row is None else weights[name][row]

        match node:
            case Input():

                def to_input(cotangent: Array, gradient: Gradient) -> None:
                    gradient.x[...] = mod(gradient.x + cotangent)

                return x, to_input
            case FirstInput():

                def to_first(cotangent: Array, gradient: Gradient) -> None:
                    gradient.x0[...] = mod(gradient.x0 + cotangent)

                return x0, to_first
            case Constant(value=number, width=out):
                value = np.full((len(x), int(out * x.shape[1])), scalars.constant(number), dtype=x.dtype)
                return value, lambda cotangent, gradient: None
            case Affine(name=name, of=of, bias=bias):
                inner, back = visit(of, row)
                matrix = own(name)
                value = matmul(inner, matrix.T)

                def through_affine(cotangent: Array, gradient: Gradient) -> None:
                    gradient.add(name, row, mod(cotangent[:, :, None] * inner[:, None, :]))
                    if bias:
                        gradient.add(bias_name(name), row, cotangent)
                    back(matmul(cotangent, matrix), gradient)

                return mod(value + own(bias_name(name))) if bias else value, through_affine
            case Bilinear(name=name, left=left, right=right, bias=bias):
                a, back_a = visit(left, row)
                b, back_b = visit(right, row)
                tensor = own(name)
                out, in_a, in_b = tensor.shape
                right_applied = matmul(b, tensor.reshape(out * in_a, in_b).T).reshape(-1, out, in_a)
                value = total(mod(right_applied * a[:, None, :]), -1)

                def through_bilinear(cotangent: Array, gradient: Gradient) -> None:
                    outer = mod(a[:, :, None] * b[:, None, :])
                    part = np.zeros((len(a), out, in_a, in_b), dtype=a.dtype)
                    for k in np.flatnonzero(cotangent.any(axis=0)):  # in the last layer, a single output
                        part[:, k] = mod(cotangent[:, k, None, None] * outer)
                    gradient.add(name, row, part)
                    if bias:
                        gradient.add(bias_name(name), row, cotangent)
                    left_applied = matmul(a, tensor.transpose(1, 0, 2).reshape(in_a, out * in_b))
                    back_a(total(mod(cotangent[:, :, None] * right_applied), 1), gradient)
                    back_b(total(mod(cotangent[:, :, None] * left_applied.reshape(-1, out, in_b)), 1), gradient)

                return mod(value + own(bias_name(name))) if bias else value, through_bilinear
            case Scale(name=name, of=of):
                inner, back = visit(of, row)
                factor = own(name)

                def through_scale(cotangent: Array, gradient: Gradient) -> None:
                    gradient.add(name, row, mod(cotangent * inner))
                    back(mod(cotangent * factor), gradient)

                return mod(inner * factor), through_scale
            case Sum(terms=terms):
                return _summed([visit(term, row) for term in terms])
            case RowSum(rows=rows, of=of):
                return _summed([visit(of, m) for m in range(rows)])
            case Product(factors=factors):
                parts = [visit(f, row) for f in factors]
                values = [value for value, _ in parts]

                def through_product(cotangent: Array, gradient: Gradient) -> None:
                    for i, (_, back) in enumerate(parts):
                        others = values[:i] + values[i + 1 :]
                        back(fold(lambda p, v: mod(p * v), others, cotangent), gradient)

                return fold(lambda p, v: mod(p * v), values), through_product
            case Power(of=of, exponent=exponent):
                inner, back = visit(of, row)
                below = fold(lambda p, v: mod(p * v), [inner] * (exponent - 1), np.ones_like(inner))

                def through_power(cotangent: Array, gradient: Gradient) -> None:
                    back(mod(mod(cotangent * below) * exponent), gradient)

                return mod(below * inner), through_power
            case Multiple(factor=factor, of=of):
                inner, back = visit(of, row)
                constant = scalars.constant(factor)

                def through_multiple(cotangent: Array, gradient: Gradient) -> None:
                    back(mod(cotangent * constant), gradient)

                return mod(inner * constant), through_multiple
            case Activation(of=of, slope=slope):
                inner, back = visit(of, row)
                value, derivative = _activated(node, inner, weights)

                def through_activation(cotangent: Array, gradient: Gradient) -> None:
                    if slope is not None:
                        gradient.add(slope, None, (cotangent * np.minimum(inner, 0)).sum(axis=1))
                    back(cotangent * derivative, gradient)

                return value, through_activation
            case Concat(parts=operands):
                pieces = [visit(part, row) for part in operands]
                bounds = np.cumsum([value.shape[1] for value, _ in pieces])[:-1]

                def through_concat(cotangent: Array, gradient: Gradient) -> None:
                    for (_, back), part in zip(pieces, np.split(cotangent, bounds, axis=1), strict=True):
                        back(part, gradient)

                return np.concatenate([value for value, _ in pieces], axis=1), through_concat
            case Slice(index=index, blocks=blocks, of=of):
                inner, back = visit(of, row)
                size = inner.shape[1] // blocks

                def through_slice(cotangent: Array, gradient: Gradient) -> None:
                    padded = np.zeros_like(inner)
                    padded[:, index * size : (index + 1) * size] = cotangent
                    back(padded, gradient)

                return inner[:, index * size : (index + 1) * size], through_slice
            case HeadMajor(heads=heads, embedding_dim=embedding_dim, of=of):
                inner, back = visit(of, row)
                order = list(head_major_order(inner.shape[1], heads=heads, embedding_dim=embedding_dim))

                def through_order(cotangent: Array, gradient: Gradient) -> None:
                    unordered = np.zeros_like(inner)
                    unordered[:, order] = cotangent
                    back(unordered, gradient)

                return inner[:, order], through_order
            case _:
                assert_never(node)

    def _summed(parts: Sequence[tuple[Array, Pullback]]) -> tuple[Array, Pullback]:
        def through_sum(cotangent: Array, gradient: Gradient) -> None:
            for _, back in parts:
                back(cotangent, gradient)

        return fold(lambda s, v: mod(s + v), [value for value, _ in parts]), through_sum

    return visit(expr, None)


@dataclass(frozen=True, slots=True)
class Column:
    """The block of Jacobian columns that belongs to one parameter.

    Attributes:
        layer: the layer, from 1.
        parameter: its declaration.
        shape: its shape at the layer's width.
        start: its first column; the columns run in C order through the shape.
    """

    layer: int
    parameter: Parameter
    shape: tuple[int, ...]
    start: int

    @property
    def stop(self) -> int:
        """One past its last column."""
        return self.start + math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Differentiated:
    """One output coordinate at all points.

    Attributes:
        point: the first layer's input, shape (points, d).
        value: its values, shape (points,).
        by_parameters: the Jacobian, shape (points, parameters).
        by_input: derivatives with respect to the first layer's input, shape (points, d).
    """

    point: Array
    value: Array
    by_parameters: Array
    by_input: Array


class StackJacobian:
    """The Jacobian of a stack of layers with random parameters, at random points.

    Attributes:
        widths: input width and output width of each layer, as `layer_widths` gives them.
        columns: the column blocks, layer by layer in the order of `widths.parameters`.
        scalars: the arithmetic.
        free_first: whether ``x0`` is a point of its own rather than the input of the stack (a layer inside a deeper stack).
    """

    def __init__(
        self, expr: Expr, widths: Sequence[int], *, scalars: Scalars, seed: int = 0, free_first: bool = False
    ) -> None:
        self.widths, self.scalars, self.free_first = tuple(widths), scalars, free_first
        self._expr, self._seed = expr, seed
        generator = np.random.default_rng([seed, 0])
        columns: list[Column] = []
        self._parameters: list[dict[str, Array]] = []
        for layer, dim in enumerate(self.widths[:-1], start=1):
            values = {}
            for parameter in parameters(expr):
                shape = parameter.shape(dim)
                start = columns[-1].stop if columns else 0
                columns.append(Column(layer=layer, parameter=parameter, shape=shape, start=start))
                values[parameter.name] = scalars.parameters(generator, shape)
            self._parameters.append(values)
        self.columns = tuple(columns)

    @property
    def size(self) -> int:
        """The number of parameters."""
        return self.columns[-1].stop if self.columns else 0

    def value_of(self, column: Column) -> Array:
        """The random value at which a parameter is differentiated."""
        return self._parameters[column.layer - 1][column.parameter.name]

    def outputs(self, points: int, *, batch: int = 0) -> Iterator[Differentiated]:
        """One output coordinate after the other at `points` random points; another batch has other points."""
        generator = np.random.default_rng([self._seed, 1, batch])
        x = self.scalars.points(generator, (points, self.widths[0]))
        x0 = self.scalars.points(generator, x.shape) if self.free_first else x
        value, pullbacks = x, []
        for values in self._parameters:
            value, pullback = linearise(self._expr, value, x0, values, self.scalars)
            pullbacks.append(pullback)
        for k in range(self.widths[-1]):
            cotangent = np.zeros_like(value)
            cotangent[:, k] = 1
            by_layer: list[Array] = []
            for layer in range(len(pullbacks), 0, -1):
                own = [column for column in self.columns if column.layer == layer]
                gradient = Gradient(
                    scalars=self.scalars,
                    x=np.zeros((points, self.widths[layer - 1]), dtype=value.dtype),
                    x0=np.zeros_like(x),
                    parameters={c.parameter.name: np.zeros((points, *c.shape), dtype=value.dtype) for c in own},
                )
                pullbacks[layer - 1](cotangent, gradient)
                cotangent = gradient.x
                by_layer[:0] = [gradient.parameters[c.parameter.name].reshape(points, -1) for c in own]
            empty = np.zeros((points, 0), dtype=value.dtype)
            yield Differentiated(
                point=x,
                value=value[:, k],
                by_parameters=np.concatenate([empty, *by_layer], axis=1),
                by_input=cotangent,
            )


def _activated(node: Activation, u: Array, parameters: Mapping[str, Array]) -> tuple[Array, Array]:
    """Value and derivative of an activation in float64."""
    sigmoid = 0.5 * (1 + np.tanh(u / 2))
    match node.kind:
        case "relu":
            return np.maximum(u, 0), (u > 0).astype(u.dtype)
        case "relu6":
            return np.clip(u, 0, 6), ((u > 0) & (u < 6)).astype(u.dtype)
        case "prelu":
            slope = parameters[str(node.slope)]
            return np.where(u > 0, u, slope * u), np.where(u > 0, 1.0, slope)
        case "gelu":
            below = 0.5 * np.vectorize(math.erfc, otypes=[np.float64])(-u / math.sqrt(2))
            return u * below, below + u * np.exp(-u * u / 2) / math.sqrt(2 * math.pi)
        case "silu":
            return u * sigmoid, sigmoid * (1 + u * (1 - sigmoid))
        case "mish":
            gate = np.tanh(np.logaddexp(0, u))
            return u * gate, gate + u * (1 - gate**2) * sigmoid
        case "sigmoid":
            return sigmoid, sigmoid * (1 - sigmoid)
        case "tanh":
            return np.tanh(u), 1 - np.tanh(u) ** 2
        case _:
            assert_never(node.kind)
