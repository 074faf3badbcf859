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
from typing import Any

from qnn_theory.kernels.moments import polynomials as poly
from qnn_theory.kernels.moments.gaussians import Gaussians
from qnn_theory.kernels.moments.laws import Entry, Pattern, Value, Weight
from qnn_theory.kernels.moments.network import Network
from qnn_theory.kernels.moments.polynomials import Monomial, Polynomial
from qnn_theory.kernels.moments.terms import split


class Stack(Network):
    """The moments of a stack for two rows, or for one row with itself; arguments as for `Network`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._gaussians = Gaussians(self.laws, self.overlap, symbolic=self.symbolic)
        self._reduced: dict[Any, list[tuple[Monomial, Value]]] = {}
        self._terms: dict[Monomial, Any] = {}
        self._reaches: dict[Any, Pattern] = {}
        self._moments: dict[Any, Value] = {}
        self._overlaps: dict[Entry, Value] = {}

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
                    self._terms[monomial] = split(self, monomial)
                base, alternatives = self._terms[monomial]
                for more, factors, marked in (
                    (factor * more, factors, marked)
                    for factor, groups in alternatives
                    for more, factors, marked in self._gaussians.differentiated(groups, marks)
                ):
                    value: Value = self.number(coefficient) * more
                    for label, content, derivatives in marked:
                        value = value * self._gaussians.moment(label, content, derivatives)
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
            part = poly.variable(name) if first else poly.in_row(self.meaning(level, variable), name & 1)
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


def _is_zero(value: Value) -> bool:
    return isinstance(value, int | float) and value == 0
