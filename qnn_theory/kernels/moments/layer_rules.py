"""What a layer does to one coordinate: the rules for the nodes, in one `match`.

At the start distribution an affine map of a vector is, given the vectors, a Gaussian vector of independent coordinates, whose
covariance is that of the vectors' overlaps. So a coordinate of a layer's output is a polynomial in the same coordinate of the
layer's input, in Gaussian numbers of its own and in activations of those. A vector is a tuple of *pieces*, one polynomial each:
coordinates of one piece have one law.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, TypeAlias, assert_never

from qnn_theory.grammar.expr import (
    Activation,
    ActivationKind,
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
from qnn_theory.kernels.moments import polynomials as poly
from qnn_theory.kernels.moments.functions import PRELU_SLOPE, Gate, activation_value
from qnn_theory.kernels.moments.polynomials import Polynomial

Pieces: TypeAlias = tuple[Polynomial, ...]
Role: TypeAlias = Literal["input", "first", "gaussian", "bias", "scale", "slope", "gate", "tangent", "rows"]


ROW_LIMIT = 32
"""The largest number of rows that are written out."""


class NoRuleError(ValueError):
    """The kernels have no rule for a part of a format; the message names it."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A number that belongs to one coordinate.

    Attributes:
        role: ``input`` and ``first``: the layer's input and the network's; ``tangent``: a derivative of the layer's input;
            ``gaussian``: of a map; ``gate``: an activation of a Gaussian; ``rows``: a sum over a map's rows of gates of their
            Gaussians, where `of` is that of the first row; ``bias``: of a bilinear map; ``scale``, ``slope``: a parameter.
        piece: the piece of the input, or of the map's output.
        map: index of the map.
        argument: which of the map's arguments.
        value: start value of a parameter; of a sum over rows, their number and the exponents of the Gaussian and of its gates.
        name: name of a parameter.
        gate: the activation.
        of: its Gaussian variable.
    """

    role: Role
    piece: int
    map: int = -1
    argument: int = 0
    value: Any = None
    name: str = ""
    gate: Gate | None = None
    of: int = -1


@dataclass(slots=True)
class Map:
    """An affine or bilinear map of one layer.

    Attributes:
        name: of its weight.
        row: of a row sum, from 1; 0 outside.
        width: of its output, in multiples of the network's d.
        arguments: indices of vectors: one for an affine map, left and right for a bilinear one; several uses of one map.
        bias: whether it has one.
    """

    name: str
    row: int
    width: Fraction
    bilinear: bool
    bias: bool
    arguments: list[tuple[int, ...]] = field(default_factory=list)


@dataclass(slots=True)
class Layer:
    """One layer, read.

    Attributes:
        vectors: arguments of maps, in the order in which they can be computed.
        maps: the maps.
        output: the result.
        ratio: width of the input in multiples of the network's d.
    """

    index: int
    ratio: Fraction
    pieces: int
    vectors: list[Pieces] = field(default_factory=list)
    maps: list[Map] = field(default_factory=list)
    output: Pieces = ()


class Variables:
    """Numbers for variables: the same variable is the same even number."""

    def __init__(self) -> None:
        self.list: list[Variable] = []
        self._numbers: dict[Variable, int] = {}

    def number(self, variable: Variable) -> int:
        """Its number."""
        if variable not in self._numbers:
            self._numbers[variable] = 2 * len(self.list)
            self.list.append(variable)
        return self._numbers[variable]

    def __getitem__(self, number: int) -> Variable:
        return self.list[number // 2]


def read_layer(
    expr: Expr, layer: Layer, variables: Variables, *, order: Callable[[HeadMajor], Sequence[int]], join_rows: bool
) -> Layer:
    """Apply the rules to a layer's expression.

    Args:
        expr: the layer.
        layer: with its input's pieces; gets maps, vectors and the output.
        variables: of the stack.
        order: the pieces that a head-major permutation takes, in order.
        join_rows: whether a sum over rows may be one variable; its derivative by one row has no rule then.
    """
    maps: dict[tuple[str, int], int] = {}

    def variable(kind: Role, piece: int, **more: Any) -> Polynomial:
        return poly.variable(variables.number(Variable(kind, piece, **more)))

    def pieces_of(width: Fraction) -> int:
        return int(width * layer.pieces)

    def vector(pieces: Pieces) -> int:
        if pieces not in layer.vectors:
            layer.vectors.append(pieces)
        return layer.vectors.index(pieces)

    def use_map(node: Affine | Bilinear, row: int, argument: tuple[int, ...]) -> Pieces:
        bilinear = isinstance(node, Bilinear)
        index = maps.setdefault((node.name, row), len(layer.maps))
        if index == len(layer.maps):
            layer.maps.append(Map(node.name, row, node.width * layer.ratio, bilinear, node.bias))
        own = layer.maps[index]
        if argument not in own.arguments:
            own.arguments.append(argument)
        use = own.arguments.index(argument)
        label = (layer.index << 16) + index
        result = []
        for piece in range(pieces_of(node.width)):
            value = variable("gaussian", piece, map=label, argument=use)
            if bilinear and node.bias:
                value = poly.add(value, variable("bias", piece, map=label))
            result.append(value)
        return tuple(result)

    def visit(node: Expr, row: int) -> Pieces:
        match node:
            case Input():
                return tuple(variable("input", piece) for piece in range(layer.pieces))
            case FirstInput():
                return tuple(variable("first", piece) for piece in range(layer.pieces))
            case Constant(value=value, width=width):
                return (poly.constant(value),) * pieces_of(width)
            case Affine(of=of):
                return use_map(node, row, (vector(visit(of, row)),))
            case Bilinear(left=left, right=right):
                return use_map(node, row, (vector(visit(left, row)), vector(visit(right, row))))
            case Scale(name=name, of=of, initial=initial):
                label = name if not row else f"{name}[{row}]"
                return tuple(
                    poly.multiply(variable("scale", p, value=Fraction(initial), name=label), part)
                    for p, part in enumerate(visit(of, row))
                )
            case Sum(terms=terms):
                return tuple(poly.add(*column) for column in zip(*(visit(t, row) for t in terms), strict=True))
            case Product(factors=factors):
                return tuple(_product(column) for column in zip(*(visit(f, row) for f in factors), strict=True))
            case Power(of=of, exponent=exponent):
                return tuple(poly.power(part, exponent) for part in visit(of, row))
            case Multiple(factor=factor, of=of):
                return tuple(poly.times(factor, part) for part in visit(of, row))
            case Activation(kind=kind, of=of, slope=slope):
                return tuple(_activated(kind, slope, part, p, variables) for p, part in enumerate(visit(of, row)))
            case Concat(parts=parts):
                return tuple(piece for part in parts for piece in visit(part, row))
            case RowSum(rows=rows, of=of):
                each = [visit(of, 1)]
                if join_rows and (joined := _joined_rows(each[0], rows, variables)) is not None:
                    return joined
                if rows > ROW_LIMIT:
                    raise NoRuleError(
                        f"A sum over rows has a rule for {ROW_LIMIT} rows, or where a row is a gate of one map, however: "
                        f"it has {rows}."
                    )
                each += [visit(of, m) for m in range(2, rows + 1)]
                return tuple(poly.add(*column) for column in zip(*each, strict=True))
            case Slice(index=index, blocks=blocks, of=of):
                inner = visit(of, row)
                size = len(inner) // blocks
                return inner[index * size : (index + 1) * size]
            case HeadMajor(of=of):
                inner = visit(of, row)
                return tuple(inner[i] for i in order(node))
            case _:
                assert_never(node)

    layer.output = visit(expr, 0)
    return layer


def _joined_rows(row: Pieces, rows: int, variables: Variables) -> Pieces | None:
    """A sum over rows as one variable a piece, where a row is a product of gates of one Gaussian number (and of itself)."""
    result: list[Polynomial] = []
    for piece, part in enumerate(row):
        ((monomial, coefficient), *rest) = part.items() or [(poly.ONE, 0)]
        found = [(variables[name], exponent) for name, exponent in monomial]
        gates = tuple((variable.gate, exponent) for variable, exponent in found if variable.role == "gate")
        gaussians = {
            variable.of if variable.role == "gate" else name
            for (name, _), (variable, _) in zip(monomial, found, strict=True)
        }
        power = sum(exponent for variable, exponent in found if variable.role == "gaussian")
        if rest or not gates or len(gaussians) > 1 or any(v.role not in ("gate", "gaussian") for v, _ in found):
            return None
        (number,) = gaussians
        gaussian = variables[number]
        joined = Variable(
            "rows", piece, map=gaussian.map, argument=gaussian.argument, value=(rows, power, gates), of=number
        )
        result.append(poly.times(coefficient, poly.variable(variables.number(joined))))
    return tuple(result)


def _product(factors: Sequence[Polynomial]) -> Polynomial:
    result = poly.constant(1)
    for factor in factors:
        result = poly.multiply(result, factor)
    return result


def _activated(kind: ActivationKind, slope: str | None, of: Polynomial, piece: int, variables: Variables) -> Polynomial:
    """An activation of a polynomial in at most one Gaussian number, as a polynomial in that and in its gates."""
    names = poly.variables(of)
    if not names:
        return poly.constant(activation_value(kind, float(of.get(poly.ONE, 0))))
    found = [variables[name] for name in names]
    if len(found) > 1 or found[0].role != "gaussian":
        raise NoRuleError(
            f"An activation has a rule where its argument is one affine map (or a polynomial of one), however: {kind} of an "
            "expression with other parts."
        )
    (number,) = names
    coefficients = [Fraction(0)] * (1 + max(exponent for monomial in of for _, exponent in monomial))
    for monomial, c in of.items():
        coefficients[monomial[0][1] if monomial else 0] = c

    def gate(kind: ActivationKind, of: Sequence[Any]) -> Polynomial:
        if kind == "relu" and len(of) == 2 and not of[0]:  # relu(c z) = |c| relu(z), and relu(-z) = relu(z) - z
            relu = gate_variable(Gate("relu", (0.0, 1.0)))
            return poly.times(abs(of[1]), relu if of[1] > 0 else poly.add(relu, poly.times(-1, poly.variable(number))))
        return gate_variable(Gate(kind, tuple(float(c) for c in of)))

    def gate_variable(made: Gate) -> Polynomial:
        return poly.variable(variables.number(Variable("gate", piece, gate=made, of=number)))

    match kind:
        case "prelu":
            positive = gate("relu", coefficients)
            start = Variable("slope", piece, value=Fraction(PRELU_SLOPE), name=str(slope))
            negative = poly.add(of, poly.times(-1, positive))
            return poly.add(positive, poly.multiply(poly.variable(variables.number(start)), negative))
        case "relu6":
            above = gate("relu", [coefficients[0] - 6, *coefficients[1:]])
            return poly.add(gate("relu", coefficients), poly.times(-1, above))
        case _:
            return gate(kind, coefficients)
