"""A stack at its start: moments of one coordinate for two rows, layer by layer, at leading order in 1/d.

For two rows u and v that agree on a share t of the fields, the overlap of two vectors is (1/d) Σ_i a_i(u) b_i(v) over their
coordinates; it concentrates as d grows. Given the overlaps of its arguments a map's output is Gaussian, so an overlap is the
mean of a polynomial over the coordinate's law (`layer_rules`), and that is a sum of products of moments: of the layer's input,
which is a polynomial of the layer before, and of Gaussian pairs. Nothing is sampled.

Moments may be differentiated by the overlaps that they depend on (Price's theorem), and weighted by another product of the same
coordinate: what `finite_width` asks for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from qnn_theory.grammar.expr import Concat, HeadMajor, Slice, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.rewrite import factor_row_sums
from qnn_theory.grammar.stacking import layer_widths
from qnn_theory.grammar.widths import divisor, head_major_order, width
from qnn_theory.kernels import polynomials as poly
from qnn_theory.kernels.functions import Factor, Gate, mean, pair_moment
from qnn_theory.kernels.layer_rules import Layer, NoRuleError, Pieces, Variable, Variables, read_layer
from qnn_theory.kernels.polynomials import Monomial, Polynomial

Value: TypeAlias = Any  # an array over the shares t, or a SymPy expression
Pattern: TypeAlias = frozenset[int]
"""The pieces of the network's input whose coordinate lies in a field on which the rows agree."""

PIECE_LIMIT = 64


class Entry(NamedTuple):
    """An overlap: of vector `left` of layer `level` in row `left_row` with vector `right` in row `right_row`."""

    level: int
    left: int
    left_row: int
    right: int
    right_row: int


class Weight(NamedTuple):
    """A product of two vectors' coordinates, of one piece, that a moment is weighted with."""

    entry: Entry
    piece: int


@dataclass(frozen=True, slots=True)
class Law:
    """The covariance of a map's Gaussian outputs: ``factor · Π overlaps`` of its arguments, one for each side of the map."""

    level: int
    factor: Any
    arguments: tuple[tuple[int, ...], ...]
    shift: Any = 0

    def entries(self, a: tuple[int, int], b: tuple[int, int]) -> tuple[Entry, ...]:
        """The overlaps whose product the covariance of two of its variables (use, row) is."""
        (use, row), (other, other_row) = a, b
        pairs = zip(self.arguments[use], self.arguments[other], strict=True)
        return tuple(_entry(self.level, i, row, j, other_row) for i, j in pairs)


def _entry(level: int, i: int, row: int, j: int, other_row: int) -> Entry:
    return Entry(level, i, row, j, other_row) if (i, row) <= (j, other_row) else Entry(level, j, other_row, i, row)


class Stack:
    """The moments of a stack for two rows, or for one row with itself.

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
            families = _cycles(expr, permutations, numbers[0], depth)
            self._weights: tuple[Fraction, ...] | None = tuple(
                Fraction(count, numbers[0]) / size for size, count in families for _ in range(size)
            )
            self._representatives: tuple[int, ...] | None = tuple(
                sum(size for size, _ in families[:k]) for k in range(len(families))
            )
            self.pieces = len(self._weights)
            order = _shifts([size for size, _ in families])
        else:
            self._weights, self._representatives = None, None
            self.pieces = _piece_count(expr, self.ratios)
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
        first_of: dict[Law, int] = {}
        self._same_law = {label: first_of.setdefault(law, label) for label, law in self.laws.items()}
        self.laws = {label: self.laws[first] for label, first in self._same_law.items()}
        if not self.symbolic:
            for layer in self.layers:
                layer.vectors[:] = [_in_floats(vector) for vector in layer.vectors]
                layer.output = _in_floats(layer.output)
        self._reduced: dict[Any, list[tuple[Monomial, Value]]] = {}
        self._terms: dict[Monomial, Any] = {}
        self._reaches: dict[Any, Pattern] = {}
        self._moments: dict[Any, Value] = {}
        self._groups: dict[Any, Value] = {}
        self._overlaps: dict[Entry, Value] = {}
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
        return _entry(1, index, 0, index, self.rows - 1)

    def output_entry(self, level: int) -> Entry:
        """The overlap of a layer's output for both rows."""
        index = self.output(level)
        return _entry(level, index, 0, index, self.rows - 1)

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

    def kernel(self, level: int) -> Value:
        """The mean of ``h_i(u) h_i(v)`` over the coordinates of a layer's output."""
        return self.overlap(self.output_entry(level)) / self.number(self.ratios[level])

    def overlap(self, entry: Entry) -> Value:
        """An overlap at leading order."""
        if entry not in self._overlaps:
            self._overlaps[entry] = self.mean_of(entry)
        return self._overlaps[entry]

    def mean_of(self, entry: Entry, marks: tuple[Entry, ...] = ()) -> Value:
        """The mean of an overlap over the law of coordinates, or its derivative by other overlaps."""
        total: Value = 0
        for piece, weight in self.counted(entry):
            product = self.product(Weight(entry, piece))
            for pattern, share in self.patterns(self.roots(entry.level, product)):
                total = total + weight * share * self.expect(entry.level, product, pattern, marks)
        return total

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
                    self._touched[key] = self.touched(level - 1, self._meaning(level - 1, variable))
                found |= self._touched[key]
            elif variable.role in ("gaussian", "bias"):
                found.add((variable.map, variable.piece))
        return frozenset(found)

    def _roots_of(self, level: int, variable: Variable) -> Pattern:
        key = (level, self.variables.number(variable))
        if key not in self._roots:
            self._roots[key] = self.roots(level, self._meaning(level, variable))
        return self._roots[key]

    def _meaning(self, level: int, variable: Variable) -> Polynomial:
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

    # ------------------------------------------------------------------ moments

    def expect(
        self,
        level: int,
        of: Polynomial | Monomial,
        pattern: Pattern,
        marks: tuple[Entry, ...] = (),
        weight: Weight | None = None,
    ) -> Value:
        """The mean of a polynomial of a layer, differentiated by overlaps (`marks`), weighted with a product of vectors.

        Args:
            level: of the layer.
            of: a polynomial in its variables, or a monomial in the next layer's input.
            pattern: which coordinates lie in agreeing fields.
            marks: the overlaps, of this layer and of those before.
            weight: the product, of this layer or of one before.
        """
        own = tuple(mark for mark in marks if mark.level == level)
        lower = tuple(mark for mark in marks if mark.level < level)
        total: Value = 0
        if len(own) + len(lower) < len(marks):
            return total
        inside = weight if weight is not None and weight.entry.level == level else None
        outside = None if inside else weight
        for base, value in self._by_input(level, of, own, inside):
            moment = self.moment(level, base, pattern, lower, outside)
            if not _is_zero(moment):
                total = total + value * moment
        return total

    def _by_input(
        self, level: int, of: Polynomial | Monomial, marks: tuple[Entry, ...], weight: Weight | None
    ) -> list[tuple[Monomial, Value]]:
        """The mean over a layer's own numbers: a polynomial in its input."""
        key = (level, of if isinstance(of, tuple) else frozenset(of.items()), marks, weight)
        if key not in self._reduced:
            polynomial = self._substituted(level, of) if isinstance(of, tuple) else of
            if weight is not None:
                polynomial = poly.multiply(polynomial, self.product(weight))
            total: dict[Monomial, Value] = {}
            for monomial, coefficient in polynomial.items():
                if monomial not in self._terms:
                    self._terms[monomial] = self._split(monomial)
                base, alternatives = self._terms[monomial]
                for more, factors, marked in (
                    (factor * more, factors, marked)
                    for factor, groups in alternatives
                    for more, factors, marked in self._differentiated(groups, marks)
                ):
                    value: Value = self.number(coefficient) * more
                    for label, content, derivatives in marked:
                        value = value * self._group(label, content, derivatives)
                        if _is_zero(value):
                            break
                    else:
                        for entry in factors:
                            value = value * self.overlap(entry)
                        total[base] = total[base] + value if base in total else value
            self._reduced[key] = list(total.items())
        return self._reduced[key]

    def _substituted(self, level: int, of: Monomial) -> Polynomial:
        """A monomial of the next layer's input in this layer's variables."""
        product = poly.constant(1)
        for name, exponent in of:
            variable = self.variables[name]
            first = variable.role == "first"
            part = poly.variable(name) if first else poly.in_row(self._meaning(level, variable), name & 1)
            product = poly.multiply(product, poly.power(part, exponent))
        return product

    def moment(
        self, level: int, of: Monomial, pattern: Pattern, marks: tuple[Entry, ...], weight: Weight | None
    ) -> Value:
        """A moment of a layer's input and of the network's."""
        if not of and weight is None:
            return 0 if marks else 1
        if level == 1:
            return 0 if marks else self._root_moment(of, pattern)
        reached = pattern & self._reachable(level, of, weight)
        key = (level, of, reached, marks, weight)
        if key not in self._moments:
            self._moments[key] = self.expect(level - 1, of, reached, marks, weight)
        return self._moments[key]

    def _reachable(self, level: int, of: Monomial, weight: Weight | None) -> Pattern:
        key = (level, tuple(name >> 1 for name, _ in of), weight)
        if key not in self._reaches:
            found = self.roots(level, {of: 1})
            if weight is not None:
                found = found | self.roots(weight.entry.level, self.product(weight))
            self._reaches[key] = found
        return self._reaches[key]

    def _root_moment(self, of: Monomial, pattern: Pattern) -> Value:
        powers: dict[int, list[int]] = {}
        for name, exponent in of:
            powers.setdefault(self.variables[name].piece, [0, 0])[name & 1] += exponent
        total: Value = 1
        for piece, (a, b) in powers.items():
            if self.rows == 1 or piece in pattern:
                total = total * self._normal(a + b)
            else:
                total = total * self._normal(a) * self._normal(b)
        return total

    def _normal(self, power: int) -> Value:
        return 0 if power % 2 else math.prod(range(1, power, 2)) * self.second_moment ** (power // 2)

    def _split(self, monomial: Monomial) -> tuple[Monomial, list[tuple[Any, tuple[Any, ...]]]]:
        """A monomial as a moment of the inputs and terms of a number with groups of jointly Gaussian factors."""
        base: list[tuple[int, int]] = []
        factor: Value = 1
        groups: dict[tuple[int, int], dict[tuple[int, int], tuple[int, dict[Gate, int]]]] = {}
        biases: dict[tuple[int, int], int] = {}
        sums: dict[int, list[int]] = {}
        for name, exponent in monomial:
            variable = self.variables[name]
            row = name & 1 if self.rows == 2 else 0
            match variable.role:
                case "input" | "first" | "tangent":
                    base.append((name, exponent))
                case "scale" | "slope":
                    factor = factor * self.number(variable.value**exponent)
                case "bias":
                    key = (variable.map, variable.piece)
                    biases[key] = biases.get(key, 0) + exponent
                case "rows":
                    sums.setdefault(name & ~1, [0, 0])[row] += exponent
                case "gaussian" | "gate":
                    gaussian = variable if variable.role == "gaussian" else self.variables[variable.of]
                    group = groups.setdefault((gaussian.map, gaussian.piece), {})
                    power, gates = group.get((gaussian.argument, row), (0, {}))
                    if variable.gate is None:
                        power += exponent
                    else:
                        gates = {**gates, variable.gate: gates.get(variable.gate, 0) + exponent}
                    group[gaussian.argument, row] = (power, gates)
        for (label, _), exponent in biases.items():
            factor = factor * self.bias_moment(label, exponent)
        frozen = tuple(
            (label, tuple((name, power, tuple(gates.items())) for name, (power, gates) in sorted(group.items())))
            for (label, _), group in groups.items()
        )
        terms = [(factor, frozen)] if not _is_zero(factor) else []
        for name, (first, second) in sums.items():
            variable = self.variables[name]
            rows, power, gates = variable.value
            alternatives = []
            for blocks, count in _blocks(first, second).items():
                content = tuple(
                    (
                        variable.map,
                        tuple(
                            ((variable.argument, row), power * times, tuple((gate, e * times) for gate, e in gates))
                            for row, times in enumerate(block)
                            if times
                        ),
                    )
                    for block in blocks
                )
                alternatives.append((count * math.perm(rows, len(blocks)), content))
            terms = [(f * g, a + b) for f, a in terms for g, b in alternatives if g]
        return tuple(base), terms

    def bias_moment(self, label: int, power: int) -> Value:
        """Of a bilinear map's bias, uniform between ±1/√fan_in."""
        if power % 2:
            return 0
        law = self.laws[label]
        inner = self.number(self._width_of(self.layers[law.level - 1].vectors[law.arguments[0][0]])) * self.dim
        return (1 / inner) ** (power // 2) / (power + 1)

    def _differentiated(self, groups: tuple[Any, ...], marks: tuple[Entry, ...]) -> list[Any]:
        """The derivative by overlaps: terms of a number, overlaps, and groups with the orders of their derivatives."""
        terms: list[Any] = [(1, (), ((),) * len(groups))]
        for mark in marks:
            following: list[Any] = []
            for value, factors, orders in terms:
                for position, entry in enumerate(factors):
                    if entry == mark:
                        following.append((value, factors[:position] + factors[position + 1 :], orders))
                for place, (label, content) in enumerate(groups):
                    law = self.laws[label]
                    if not any(mark.left in use or mark.right in use for use in law.arguments):
                        continue
                    names = [name for name, _, _ in content]
                    for i, a in enumerate(names):
                        for b in names[i:]:
                            entries = law.entries(a, b)
                            for position, entry in enumerate(entries):
                                if entry != mark:
                                    continue
                                half = 0.5 if a == b else 1
                                rest = entries[:position] + entries[position + 1 :]
                                moved = tuple(sorted((*orders[place], a, b)))
                                following.append(
                                    (
                                        value * half * law.factor,
                                        factors + rest,
                                        (*orders[:place], moved, *orders[place + 1 :]),
                                    )
                                )
            terms = following
        return [
            (value, factors, [(*group, order) for group, order in zip(groups, orders, strict=True)])
            for value, factors, orders in terms
        ]

    def _group(self, label: int, content: Any, derivatives: tuple[tuple[int, int], ...]) -> Value:
        """A moment of jointly Gaussian numbers, or of its derivative."""
        key = (self._same_law[label], content, derivatives)
        if key not in self._groups:
            law = self.laws[label]
            if any(gates for _, _, gates in content):
                self._groups[key] = self._gated(law, content, derivatives)
            else:
                powers = {name: power for name, power, _ in content}
                number = 1
                for name in derivatives:
                    number *= powers[name]
                    powers[name] = max(powers[name] - 1, 0)
                names = tuple(name for name, power in powers.items() for _ in range(power))
                self._groups[key] = number * self._isserlis(law, names) if number else 0
        return self._groups[key]

    def _covariance(self, law: Law, a: tuple[int, int], b: tuple[int, int]) -> Value:
        total: Value = law.factor
        for entry in law.entries(a, b):
            total = total * self.overlap(entry)
        return total

    def _isserlis(self, law: Law, names: tuple[tuple[int, int], ...]) -> Value:
        if len(names) % 2:
            return 0
        if not names:
            return 1
        key = (id(law), names)
        if key not in self._groups:
            first, *rest = names
            total: Value = 0
            for other in dict.fromkeys(rest):
                left = list(rest)
                left.remove(other)
                count = rest.count(other)
                total = total + count * self._covariance(law, first, other) * self._isserlis(law, tuple(left))
            self._groups[key] = total
        return self._groups[key]

    def _gated(self, law: Law, content: Any, derivatives: tuple[tuple[int, int], ...]) -> Value:
        if self.symbolic:
            raise NoRuleError("A closed form has a rule for polynomial formats, however: this one has an activation.")
        uses = {use for (use, _), _, _ in content}
        if len(uses) > 1:
            raise NoRuleError(
                "An activation has a rule where its affine map has one argument, however: one map is applied to several."
            )
        orders = [sum(1 for name in derivatives if name[1] == row) for row in (0, 1)]
        functions = [(name, Factor(power, gates)) for name, power, gates in content]
        if len(functions) == 1:
            ((name, factor),) = functions
            variance = _scalar(self._covariance(law, name, name))
            return mean(factor, orders[name[1]], variance)
        (a, left), (b, right) = functions
        variances = (_scalar(self._covariance(law, a, a)), _scalar(self._covariance(law, b, b)))
        return pair_moment(left, orders[0], right, orders[1], self._covariance(law, a, b), variances)

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


def _is_zero(value: Value) -> bool:
    return isinstance(value, int | float) and value == 0


@lru_cache(maxsize=1024)
def _blocks(first: int, second: int) -> dict[tuple[tuple[int, int], ...], int]:
    """The ways to share factors among rows: blocks of numbers of factors in row u and in row v, with their number of ways."""
    if not first + second:
        return {(): 1}
    lead = (1, 0) if first else (0, 1)  # the block of one of the factors
    total: dict[tuple[tuple[int, int], ...], int] = {}
    left = (first - lead[0], second - lead[1])
    for i in range(left[0] + 1):
        for j in range(left[1] + 1):
            ways = math.comb(left[0], i) * math.comb(left[1], j)
            for rest, count in _blocks(left[0] - i, left[1] - j).items():
                key = tuple(sorted((*rest, (lead[0] + i, lead[1] + j))))
                total[key] = total.get(key, 0) + ways * count
    return total


def _scalar(value: Value) -> float:
    """The variance of a Gaussian in one row; it does not depend on the other row."""
    flat = np.ravel(np.asarray(value))
    return float(flat[0].real)


def _piece_count(expr: Any, ratios: Sequence[Fraction]) -> int:
    """The smallest number of pieces of d that every part of every layer is a whole number of."""
    step = divisor(expr)
    for count in range(1, PIECE_LIMIT + 1):
        if all((ratio * count).denominator == 1 and (ratio * count) % step == 0 for ratio in ratios[:-1]) and (
            (ratios[-1] * count).denominator == 1
        ):
            return count
    raise NoRuleError(f"The kernels cut a vector in at most {PIECE_LIMIT} pieces, however: this stack needs more.")


def _cycles(expr: Any, permutations: set[HeadMajor], dim: int, depth: int) -> list[tuple[int, int]]:
    """Lengths of the permutation's cycles, with how many coordinates lie on such; long ones as if they had no end."""
    if any(isinstance(node, Slice | Concat) for node in walk(expr)) or width(expr) != 1:
        raise NoRuleError(
            "A head-major permutation has a rule in formats without blocks, however: this one joins or cuts some."
        )
    layouts = {(node.heads, node.embedding_dim) for node in permutations}
    if len(layouts) > 1 or any(width(node.of) != 1 for node in permutations):
        raise NoRuleError(
            "A head-major permutation has a rule where there is one of width d, however: there are several."
        )
    ((heads, embedding_dim),) = layouts
    order = head_major_order(dim, heads=heads, embedding_dim=embedding_dim)
    longest = 2 * depth + 1
    seen = [False] * dim
    counts: dict[int, int] = {}
    for start in range(dim):
        length, at = 0, start
        while not seen[at]:
            seen[at] = True
            at, length = order[at], length + 1
        if length:
            size = min(length, longest)
            counts[size] = counts.get(size, 0) + length
    return sorted(counts.items())


def _shifts(sizes: Sequence[int]) -> tuple[int, ...]:
    """On each cycle a piece takes the next one."""
    order: list[int] = []
    for size in sizes:
        start = len(order)
        order += [start + (k + 1) % size for k in range(size)]
    return tuple(order)
