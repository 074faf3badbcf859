"""The tangent kernel: how much the output of one row moves with that of another when the parameters follow the gradient of one.

    Θ(S) = Σ_groups E[∂y(u)/∂θ · ∂y(v)/∂θ]

A gradient reaches a map's output z^m by the coordinate itself, up to the head, and by the maps that later vectors go through; the
transposed weights of these are, at leading order in 1/d, independent of all that went forward (Yang 2020, gradient independence).
So with τ^m = Σ_i E[∂y(u)/∂z_i ∂y(v)/∂z_i]

    τ^m = E[∂h_L(u) ∂h_L(v)] + Σ_(later maps n with arguments a) c_n τ^n E[∂a(u) ∂a(v)],     ∂ = ∂/∂z^m of one coordinate,

the weights of m have Θ = τ^m Σ_j a_j(u) a_j(v), its bias τ^m, and an embedding the like with ∂ by its entry, where rows agree.
The derivatives of a coordinate are polynomials like the coordinate itself, so these are moments as in `stack`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from qnn_theory.grammar.expr import bias_name
from qnn_theory.kernels.moments import polynomials as poly
from qnn_theory.kernels.moments.functions import Gate
from qnn_theory.kernels.moments.laws import Pattern, Value
from qnn_theory.kernels.moments.layer_rules import Map, NoRuleError, Pieces, Variable
from qnn_theory.kernels.moments.polynomials import Polynomial
from qnn_theory.kernels.moments.stack import Stack


@dataclass(frozen=True, slots=True)
class Source:
    """What is moved by one: a number of one coordinate.

    Attributes:
        level: of the layer where it first acts.
        seeds: its variables.
        root: the piece of the network's input, for an embedding.
    """

    level: int
    seeds: tuple[int, ...]
    root: int | None = None


class Backward:
    """The parts of a stack's tangent kernel."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.depth = len(stack.layers)
        self._sources: dict[Source, int] = {}
        self._reached: dict[Any, Value] = {}

    def groups(self) -> dict[str, Value]:
        """The part of each group: ``embedding``, ``layers.0.W_a``, ``layers.0.b_a``, ..., ``head``."""
        stack = self.stack
        result: dict[str, Value] = {"embedding": self._embedding()}
        for layer in stack.layers:
            for index, made in enumerate(layer.maps):
                weight, bias = self._map(layer.index, index, made)
                name = f"layers.{layer.index - 1}."
                result[name + made.name] = result.get(name + made.name, 0) + weight
                if made.bias:
                    own = name + bias_name(made.name)
                    result[own] = result.get(own, 0) + bias
            for name, seeds in self._scales(layer.index).items():
                total: Value = 0
                for number in seeds:
                    share = self._share(stack.variables[number].piece)
                    if share:
                        source = Source(layer.index, (number,))
                        total = total + stack.number(share) * self._reach(source, source)
                label = f"layers.{layer.index - 1}.{name.split('[')[0]}"
                result[label] = result.get(label, 0) + total
        result["head"] = stack.kernel(self.depth) * stack.number(stack.ratios[-1]) * stack.dim
        return result

    def _share(self, piece: int) -> Fraction:
        """The share of d that a piece stands for, 0 where another one stands for it."""
        return self.stack.standing_for(piece)

    def _embedding(self) -> Value:
        stack = self.stack
        total: Value = 0
        for piece in range(stack.pieces):
            share = self._share(piece)
            if share:
                seeds = tuple(stack.variables.number(Variable(role, piece)) for role in ("input", "first"))
                source = Source(1, seeds, piece)
                total = total + stack.number(share) * self._reach(source, source)
        return total

    def _map(self, level: int, index: int, made: Map) -> tuple[Value, Value]:
        stack = self.stack
        weight: Value = 0
        bias: Value = 0
        law = stack.laws[(level << 16) + index]
        last = stack.rows - 1
        for use in range(len(made.arguments)):
            for other in range(len(made.arguments)):
                arrived = self._arrived(level, index, use, other)
                overlaps: Value = 1
                for entry in law.entries((use, 0), (other, last)):
                    overlaps = overlaps * stack.overlap(entry) * stack.dim
                weight, bias = weight + arrived * overlaps, bias + arrived
        return weight, bias

    def _scales(self, level: int) -> dict[str, list[int]]:
        found: dict[str, dict[int, None]] = {}
        layer = self.stack.layers[level - 1]
        for pieces in (*layer.vectors, layer.output):
            for part in pieces:
                for number in poly.variables(part):
                    variable = self.stack.variables[number]
                    if variable.role == "slope":
                        raise NoRuleError(
                            "The tangent kernel has a rule for parameters of one coordinate each, however: the slope of a "
                            "prelu is one number for all."
                        )
                    if variable.role == "scale":
                        found.setdefault(variable.name, {})[number] = None
        return {name: list(numbers) for name, numbers in found.items()}

    def _arrived(self, level: int, index: int, use: int, other: int) -> Value:
        """τ of a map: ``Σ_i E[∂y(u)/∂z_i ∂y(v)/∂z'_i]`` for its outputs z of two uses."""
        layer = self.stack.layers[level - 1]
        made = layer.maps[index]
        if made.row > 1:  # the rows of a sum are alike
            index = next(i for i, first in enumerate(layer.maps) if (first.name, first.row) == (made.name, 1))
        key = (level, index, use, other)
        if key not in self._reached:
            label = (level << 16) + index
            total: Value = 0
            for piece in range(int(made.width * self.stack.pieces)):
                share = self._share(piece)
                if not share:
                    continue
                ends = [
                    Source(level, (self.stack.variables.number(Variable("gaussian", piece, map=label, argument=u)),))
                    for u in (use, other)
                ]
                total = total + self.stack.number(share) * self._reach(*ends)
            self._reached[key] = total
        return self._reached[key]

    def _reach(self, left: Source, right: Source) -> Value:
        """D · E[∂y(u) ∂y(v)] for a single coordinate's number in row u and in row v."""
        stack = self.stack
        final = stack.layers[-1].output
        total = self._overlap(left, right, self.depth, final, final) / stack.number(stack.ratios[-1])
        last = stack.rows - 1
        for layer in stack.layers[left.level - 1 :]:
            for index, made in enumerate(layer.maps):
                law = stack.laws[(layer.index << 16) + index]
                for use, a in enumerate(made.arguments):
                    for other, b in enumerate(made.arguments):
                        entries = law.entries((use, 0), (other, last))
                        for side, (i, j) in enumerate(zip(a, b, strict=True)):
                            moved = self._overlap(left, right, layer.index, layer.vectors[i], layer.vectors[j])
                            if isinstance(moved, int) and moved == 0:
                                continue
                            factor: Value = law.factor
                            for position, entry in enumerate(entries):
                                if position != side:
                                    factor = factor * stack.overlap(entry)
                            total = total + factor * self._arrived(layer.index, index, use, other) * moved
        return total

    def _overlap(self, left: Source, right: Source, level: int, a: Pieces, b: Pieces) -> Value:
        """``Σ E[∂a(u) ∂b(v)]`` over the coordinates that are moved."""
        stack = self.stack
        total: Value = 0
        for first, second in zip(a, b, strict=True):
            one = self._moved(left, level, first)
            two = self._moved(right, level, second)
            if not one or not two:
                continue
            product = poly.multiply(one, poly.in_row(two, stack.rows - 1))
            roots: Pattern = stack.roots(level, product)
            if left.root is not None:
                roots = roots | {left.root}
            for pattern, share in stack.patterns(roots):
                if left.root is None or left.root in pattern:
                    total = total + share * stack.expect(level, product, pattern)
        return total

    def _moved(self, source: Source, level: int, of: Polynomial) -> Polynomial:
        """The derivative of a coordinate of a layer by a source."""
        parts = [
            self._by(of, number)
            for number in source.seeds
            if level == source.level or self.stack.variables[number].role == "first"
        ]
        if level > source.level:
            before = self._tangent(source, level - 1)
            for number in poly.variables(of):
                variable = self.stack.variables[number]
                if variable.role == "input" and before[variable.piece]:
                    moved = Variable("tangent", variable.piece, map=self._sources[source])
                    slope = poly.derivative(of, number)
                    parts.append(poly.multiply(slope, poly.variable(self.stack.variables.number(moved))))
        return poly.add(*parts)

    def _tangent(self, source: Source, level: int) -> Pieces:
        """The derivative of a layer's output."""
        if source not in self._sources:
            self._sources[source] = len(self.stack.tangents)
            self.stack.tangents.append({})
        known = self.stack.tangents[self._sources[source]]
        if level not in known:
            known[level] = tuple(self._moved(source, level, part) for part in self.stack.layers[level - 1].output)
        return known[level]

    def _by(self, of: Polynomial, number: int) -> Polynomial:
        """The derivative by one variable, through its gates."""
        variables = self.stack.variables
        result = poly.derivative(of, number)
        for name in poly.variables(of):
            variable = variables[name]
            if variable.role != "gate" or variable.of != number or variable.gate is None:
                continue
            gate = variable.gate
            if gate.order:
                raise NoRuleError("The tangent kernel needs first derivatives of activations only, however: one more.")
            slope = Variable("gate", variable.piece, gate=Gate(gate.kind, gate.coefficients, 1), of=number)
            inner: Polynomial = {}
            for power, coefficient in enumerate(gate.coefficients[1:]):
                if coefficient:
                    inner[((number, power),) if power else poly.ONE] = (power + 1) * coefficient
            chain = poly.multiply(inner, poly.variable(variables.number(slope)))
            result = poly.add(result, poly.multiply(poly.derivative(of, name), chain))
        return result
