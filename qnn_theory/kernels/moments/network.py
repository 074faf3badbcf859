"""A stack as vectors in pieces, the overlaps that matter, and in which fields coordinates lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from qnn_theory.grammar.expr import HeadMajor, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.rewrite import factor_row_sums
from qnn_theory.grammar.stacking import layer_widths
from qnn_theory.kernels.moments import polynomials as poly
from qnn_theory.kernels.moments.laws import Entry, Law, Pattern, Value, Weight, entry_of
from qnn_theory.kernels.moments.layer_rules import Layer, NoRuleError, Pieces, Variable, Variables, read_layer
from qnn_theory.kernels.moments.pieces import cycles, piece_count, shifts
from qnn_theory.kernels.moments.polynomials import Polynomial


class Network:
    """A stack as vectors in pieces and the laws of its maps.

    Args:
        format: of every layer.
        fields: number of fields f.
        embedding_dim: width e of each embedding.
        depth: number of layers.
        second_moment: of an embedding's entry.
        share: t, the share of the fields on which the rows agree: an array or a symbol.
        rows: 2, or 1 for a row with itself, where the Gaussian pairs have no density.
        dim: the width d, as a symbol.
        join_rows: whether sums over rows are one variable, which is quicker; derivatives by one row need them apart.
        shares: instead of `share`, one for each piece of the input: to see whether the kernel depends on their mean alone.
    """

    def __init__(
        self,
        format: Format,
        *,
        fields: int,
        embedding_dim: int,
        depth: int,
        second_moment: Value,
        share: Value,
        rows: int = 2,
        dim: Value = None,
        shares: Sequence[float] | None = None,
        join_rows: bool = True,
    ) -> None:
        self.shares = shares
        self.fields, self.second_moment, self.share, self.rows = fields, second_moment, share, rows
        numbers = layer_widths(format, dim=fields * embedding_dim, depth=depth)
        self.dim = numbers[0] if dim is None else dim
        self.symbolic = not isinstance(share, np.ndarray)
        self.ratios = [Fraction(number, numbers[0]) for number in numbers]
        expr = factor_row_sums(format.expr)
        permutations = {node for node in walk(expr) if isinstance(node, HeadMajor)}
        if permutations:
            families = cycles(expr, permutations, numbers[0], depth)
            self._weights: tuple[Fraction, ...] | None = tuple(
                Fraction(count, numbers[0]) / size for size, count in families for _ in range(size)
            )
            self._representatives: tuple[int, ...] | None = tuple(
                sum(size for size, _ in families[:k]) for k in range(len(families))
            )
            self.pieces = len(self._weights)
            order = shifts([size for size, _ in families])
        else:
            self._weights, self._representatives = None, None
            self.pieces = piece_count(expr, self.ratios)
            order = ()
        self.variables = Variables()
        self.layers: list[Layer] = []
        for level in range(1, depth + 1):
            layer = Layer(level, self.ratios[level - 1], int(self.ratios[level - 1] * self.pieces))
            read_layer(expr, layer, self.variables, order=lambda _: order, join_rows=join_rows)
            self.layers.append(layer)
        self.laws: dict[int, Law] = {}
        for layer in self.layers:
            for index, made in enumerate(layer.maps):
                inner = self._width_of(layer.vectors[made.arguments[0][0]])
                if made.bilinear:
                    law = Law(layer.index, self.dim / (3 * self.number(inner)), tuple(made.arguments))
                else:
                    law = Law(layer.index, self.number(Fraction(2) / (made.width + inner)), tuple(made.arguments))
                self.laws[(layer.index << 16) + index] = law
        if not self.symbolic:
            for layer in self.layers:
                layer.vectors[:] = [_in_floats(vector) for vector in layer.vectors]
                layer.output = _in_floats(layer.output)
        self._touched: dict[tuple[int, int], frozenset[tuple[int, int]]] = {}
        self._roots: dict[tuple[int, int], Pattern] = {}
        self.tangents: list[dict[int, Pieces]] = []

    # ------------------------------------------------------------------ the vectors and their overlaps

    def output(self, level: int) -> int:
        """The number of a layer's output among the layer's vectors."""
        layer = self.layers[level - 1]
        if layer.output not in layer.vectors:
            layer.vectors.append(layer.output)
        return layer.vectors.index(layer.output)

    def input_entry(self) -> Entry:
        """The overlap of the network's input for both rows."""
        layer = self.layers[0]
        pieces = tuple(poly.variable(self.variables.number(Variable("input", piece))) for piece in range(layer.pieces))
        if pieces not in layer.vectors:
            layer.vectors.append(pieces)
        index = layer.vectors.index(pieces)
        return entry_of(1, index, 0, index, self.rows - 1)

    def output_entry(self, level: int) -> Entry:
        """The overlap of a layer's output for both rows."""
        index = self.output(level)
        return entry_of(level, index, 0, index, self.rows - 1)

    def entries(self) -> set[Entry]:
        """The overlaps that laws depend on."""
        rows = range(self.rows)
        return {
            entry
            for law in self.laws.values()
            for use in range(len(law.arguments))
            for other in range(len(law.arguments))
            for row in rows
            for other_row in rows
            for entry in law.entries((use, row), (other, other_row))
        }

    def order_of(self, entry: Entry) -> tuple[Any, ...]:
        """Sorts overlaps so that each comes after those that it depends on."""
        return (entry.level, max(entry.left, entry.right), entry)

    def counted(self, entry: Entry) -> Iterator[tuple[int, Any]]:
        """The pieces of an overlap with their share of d; one of those that are alike by symmetry stands for all."""
        count = len(self.layers[entry.level - 1].vectors[entry.left])
        for piece in range(count):
            share = self.standing_for(piece)
            if share:
                yield piece, self.number(share)

    def standing_for(self, piece: int) -> Fraction:
        """The share of d that a piece stands for: its own, or that of its cycle, or 0 where another one stands for it."""
        if self._weights is None or self._representatives is None:
            return Fraction(1, self.pieces)
        if piece not in self._representatives:
            return Fraction(0)
        ends = (*self._representatives[1:], self.pieces)
        return self._weights[piece] * (ends[self._representatives.index(piece)] - piece)

    def product(self, weight: Weight) -> Polynomial:
        """The product of two vectors' coordinates in one piece."""
        level, left, left_row, right, right_row = weight.entry
        vectors = self.layers[level - 1].vectors
        return poly.multiply(
            poly.in_row(vectors[left][weight.piece], left_row), poly.in_row(vectors[right][weight.piece], right_row)
        )

    def degree(self) -> int | None:
        """An upper bound of the kernel's degree in t, or None where it is no polynomial."""
        inputs = [1] * self.layers[0].pieces
        first = list(inputs)
        for layer in self.layers:
            vectors: list[int] = []
            inner: list[Pieces] = [*layer.vectors, layer.output]
            for pieces in inner:
                largest = 0
                for piece in pieces:
                    for monomial in piece:
                        total = 0
                        for name, exponent in monomial:
                            variable = self.variables[name]
                            match variable.role:
                                case "input":
                                    total += exponent * inputs[variable.piece]
                                case "first":
                                    total += exponent * first[variable.piece]
                                case "gaussian":
                                    use = layer.maps[variable.map & 0xFFFF].arguments[variable.argument]
                                    total += exponent * sum(vectors[i] for i in use)
                                case "gate" | "rows":
                                    return None
                        largest = max(largest, total)
                vectors.append(largest)
            inputs = [vectors[-1]] * len(layer.output)
        return vectors[-1]

    # ------------------------------------------------------------------ which coordinates lie in agreeing fields

    def roots(self, level: int, of: Polynomial) -> Pattern:
        """The pieces of the network's input that a polynomial of a layer depends on."""
        found: set[int] = set()
        for name in poly.variables(of):
            variable = self.variables[name]
            if variable.role == "first" or (variable.role == "input" and level == 1):
                found.add(variable.piece)
            elif variable.role in ("input", "tangent"):
                found |= self._roots_of(level - 1, variable)
        return frozenset(found)

    def touched(self, level: int, of: Polynomial) -> frozenset[tuple[int, int]]:
        """The random numbers that a polynomial of a layer is made of: maps with pieces, and -1 with pieces of the input."""
        found: set[tuple[int, int]] = set()
        for name in poly.variables(of):
            variable = self.variables[name]
            if variable.role in ("gate", "rows"):
                variable = self.variables[variable.of]
            if variable.role == "first" or (variable.role == "input" and level == 1):
                found.add((-1, variable.piece))
            elif variable.role == "input":
                key = (level - 1, variable.piece)
                if key not in self._touched:
                    self._touched[key] = self.touched(level - 1, self.meaning(level - 1, variable))
                found |= self._touched[key]
            elif variable.role in ("gaussian", "bias"):
                found.add((variable.map, variable.piece))
        return frozenset(found)

    def _roots_of(self, level: int, variable: Variable) -> Pattern:
        key = (level, self.variables.number(variable))
        if key not in self._roots:
            self._roots[key] = self.roots(level, self.meaning(level, variable))
        return self._roots[key]

    def meaning(self, level: int, variable: Variable) -> Polynomial:
        """What a variable of the next layer's input is in this layer's variables."""
        if variable.role == "tangent":
            return self.tangents[variable.map][level][variable.piece]
        return self.layers[level - 1].output[variable.piece]

    def patterns(self, roots: Pattern) -> Iterator[tuple[Pattern, Value]]:
        """Which of the coordinates agree, with their probability over the sets of s = t f fields."""
        if self.rows == 1 or not roots:
            yield roots, 1
            return
        names = sorted(roots)
        for code in range(1 << len(names)):
            pattern = frozenset(name for bit, name in enumerate(names) if code >> bit & 1)
            if self.shares is None or len(names) > 1:
                yield pattern, self._probability(len(pattern), len(names))
            else:
                share = self.shares[names[0]]
                yield pattern, share if pattern else 1 - share

    def _probability(self, agreeing: int, of: int) -> Value:
        t, total = self.share, 1
        step = Fraction(1, self.fields) if of <= self.fields else Fraction(0)
        for i in range(agreeing):
            total = total * (t - self.number(i * step)) / self.number(1 - i * step)
        for i in range(of - agreeing):
            total = total * (1 - t - self.number(i * step)) / self.number(1 - (agreeing + i) * step)
        return total

    def check_maps_are_fresh(self) -> None:
        """Refuse a map of its own outputs: at leading order they are as independent as those of another map, no further."""
        for layer in self.layers:
            reached: list[set[int]] = []  # the maps that each vector goes through
            for pieces in layer.vectors:
                found: set[int] = set()
                for part in pieces:
                    for name in poly.variables(part):
                        variable = self.variables[name]
                        if variable.role in ("gate", "rows"):
                            variable = self.variables[variable.of]
                        if variable.role == "gaussian":
                            index = variable.map & 0xFFFF
                            found.add(index)
                            for vector in layer.maps[index].arguments[variable.argument]:
                                found |= reached[vector]
                reached.append(found)
            for index, made in enumerate(layer.maps):
                if any(index in reached[vector] for use in made.arguments for vector in use):
                    raise NoRuleError(
                        f"The 1/d term has a rule for maps of other maps' outputs, however: {made.name} is applied to its "
                        "own; take width_correction=False."
                    )

    def mixes(self, level: int) -> bool:
        """Whether a layer has a coordinate that depends on several of the network's input."""
        layer = self.layers[level - 1]
        return any(len(self.roots(level, part)) > 1 for pieces in (*layer.vectors, layer.output) for part in pieces)

    def linear(self, level: int) -> bool:
        """Whether no coordinate of a layer is a product of two of its input."""
        layer = self.layers[level - 1]
        return all(
            sum(e for name, e in monomial if self.variables[name].role in ("input", "first")) <= 1
            for pieces in (*layer.vectors, layer.output)
            for part in pieces
            for monomial in part
        )

    def bias_moment(self, label: int, power: int) -> Value:
        """Of a bilinear map's bias, uniform between ±1/√fan_in."""
        if power % 2:
            return 0
        law = self.laws[label]
        inner = self.number(self._width_of(self.layers[law.level - 1].vectors[law.arguments[0][0]])) * self.dim
        return (1 / inner) ** (power // 2) / (power + 1)

    # ------------------------------------------------------------------ numbers

    def number(self, value: Any) -> Any:
        """A rational number as the arrays or SymPy compute with it."""
        if self.symbolic:
            import sympy

            return sympy.Rational(value.numerator, value.denominator) if isinstance(value, int | Fraction) else value
        return float(value) if isinstance(value, Fraction) else value

    def _width_of(self, pieces: Sequence[Polynomial]) -> Fraction:
        return Fraction(len(pieces), self.pieces)


def _in_floats(pieces: Pieces) -> Pieces:
    return tuple({monomial: float(c) for monomial, c in piece.items()} for piece in pieces)
