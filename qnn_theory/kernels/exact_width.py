"""A kernel at its width d exactly, for polynomial formats that are not too large.

All of a polynomial stack's Gaussian numbers can be integrated out, last map first: given the overlaps of its arguments a map's
outputs are independent from coordinate to coordinate, so the mean over them is a polynomial in overlaps (Isserlis), and an overlap
is a sum over coordinates, each of which is one that is there already or a new one:

    Q = (1/d) Σ_i a_i b_i = (1/d) [Σ_(coordinates there) a_c b_c + (d - number there) a_new b_new].

What is left is a sum of products of one monomial of the embeddings for each of some distinct coordinates. Which of them lie in agreeing
fields is counted exactly. No limit is taken; a bilinear map's outputs are taken as Gaussian, which is wrong by 1/d² in fourth moments.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, TypeAlias

import numpy as np

from qnn_theory.kernels import polynomials as poly
from qnn_theory.kernels.polynomials import Monomial, Polynomial
from qnn_theory.kernels.stack import Entry, Law, Stack, Weight

TERM_LIMIT = 60_000
"""Terms that are worked through; formats with more are given their 1/d term instead."""

State: TypeAlias = dict[tuple[Monomial, ...], float]
"""Products of one monomial for each of some distinct coordinates, with their coefficients."""


class TooLargeError(Exception):
    """The stack has more terms than are worked through."""


def exact_kernel(stack: Stack, *, embedding_dim: int, limit: int = TERM_LIMIT) -> Any | None:
    """K(0) .. K(f) of a stack at its width, or None where it is no polynomial or too large.

    Args:
        stack: with two rows; in one piece.
        embedding_dim: width e of each embedding.
        limit: of terms.
    """
    if stack.pieces > 1 or stack.degree() is None:
        return None
    try:
        return _Elimination(stack, limit).kernel(embedding_dim)
    except TooLargeError:
        return None


class _Elimination:
    """Integrates the numbers of a stack out, from the output to the embeddings."""

    def __init__(self, stack: Stack, limit: int) -> None:
        self.stack, self.left, self.dim = stack, limit, int(stack.dim)
        self._isserlis: dict[Any, dict[tuple[Entry, ...], float]] = {}
        self._overlaps: dict[Entry, Polynomial] = {}

    def kernel(self, embedding_dim: int) -> Any:
        stack = self.stack
        depth = len(stack.layers)
        start: Polynomial = {}
        for part in stack.layers[-1].output:
            start = poly.add(start, poly.multiply(part, poly.in_row(part, 1)))
        state: State = {}
        for monomial, coefficient in start.items():
            _gather(state, (monomial,), coefficient / float(stack.ratios[-1]))
        for level in range(depth, 0, -1):
            state = self._level(state, level)
            if level > 1:
                state = self._substituted(state, level - 1)
        return self._embedded(state, embedding_dim)

    def _level(self, state: State, level: int) -> State:
        """Without the Gaussian numbers of a layer: those go first that go through others."""
        layer = self.stack.layers[level - 1]
        order = sorted(range(len(layer.maps)), key=lambda m: -max(v for use in layer.maps[m].arguments for v in use))
        for index in order:
            state = self._without_map(state, (level << 16) + index)
        return state

    def _without_map(self, state: State, label: int) -> State:
        """Integrate the outputs of one map."""
        law = self.stack.laws[label]
        result: State = {}
        for coordinates, coefficient in state.items():
            rest: list[Monomial] = []
            means: dict[tuple[Entry, ...], float] = {(): coefficient}
            for coordinate in coordinates:
                kept, factors = self._taken(coordinate, label, law)
                if kept:
                    rest.append(kept)
                joined: dict[tuple[Entry, ...], float] = {}
                for entries, value in means.items():
                    for more, factor in factors.items():
                        key = tuple(sorted(entries + more))
                        joined[key] = joined.get(key, 0.0) + value * factor
                means = joined
            for entries, value in means.items():
                for key, found in self._expanded(tuple(sorted(rest)), entries, value).items():
                    _gather(result, key, found)
        return result

    def _taken(self, coordinate: Monomial, label: int, law: Law) -> tuple[Monomial, dict[tuple[Entry, ...], float]]:
        """One coordinate's monomial without the numbers of a map, and the mean of these as a polynomial in overlaps."""
        kept: list[tuple[int, int]] = []
        pieces: dict[int, list[tuple[int, int]]] = {}
        factor = 1.0
        biases: Counter[int] = Counter()
        for name, exponent in coordinate:
            variable = self.stack.variables[name]
            if variable.map != label:
                kept.append((name, exponent))
            elif variable.role == "bias":
                biases[variable.piece] += exponent
            else:
                pieces.setdefault(variable.piece, []).extend([(variable.argument, name & 1)] * exponent)
        for exponent in biases.values():
            factor *= self.stack.bias_moment(label, exponent)
        means: dict[tuple[Entry, ...], float] = {(): factor} if factor else {}
        for names in pieces.values():
            joined: dict[tuple[Entry, ...], float] = {}
            for entries, value in means.items():
                for more, mean in self._mean(law, tuple(sorted(names))).items():
                    key = tuple(sorted(entries + more))
                    joined[key] = joined.get(key, 0.0) + value * mean
            means = joined
        return tuple(kept), means

    def _mean(self, law: Law, names: tuple[tuple[int, int], ...]) -> dict[tuple[Entry, ...], float]:
        """A moment of Gaussian numbers as a polynomial in overlaps."""
        if not names:
            return {(): 1.0}
        if len(names) % 2:
            return {}
        key = (law, names)
        if key not in self._isserlis:
            total: dict[tuple[Entry, ...], float] = {}
            first, *rest = names
            for other, count in Counter(rest).items():
                left = list(rest)
                left.remove(other)
                entries = law.entries(first, other)
                for more, value in self._mean(law, tuple(left)).items():
                    found = tuple(sorted(entries + more))
                    total[found] = total.get(found, 0.0) + count * float(law.factor) * value
            self._isserlis[key] = total
        return self._isserlis[key]

    def _expanded(self, coordinates: tuple[Monomial, ...], entries: tuple[Entry, ...], value: float) -> State:
        """A product of overlaps as sums over coordinates."""
        state: State = {coordinates: value}
        for entry in entries:
            following: State = {}
            for present, coefficient in state.items():
                for monomial, factor in self._overlap(entry).items():
                    self.left -= 1 + len(present)
                    if self.left < 0:
                        raise TooLargeError
                    share = coefficient * factor / self.dim
                    for position, old in enumerate(present):
                        joined = poly.join(old, monomial)
                        _gather(following, (*present[:position], joined, *present[position + 1 :]), share)
                    if monomial:
                        _gather(following, (*present, monomial), share * (self.dim - len(present)))
                    else:  # a constant: every other coordinate has it
                        _gather(following, present, share * (self.dim - len(present)))
            state = following
        return state

    def _overlap(self, entry: Entry) -> Polynomial:
        if entry not in self._overlaps:
            total: Polynomial = {}
            for piece in range(len(self.stack.layers[entry.level - 1].vectors[entry.left])):
                total = poly.add(total, self.stack.product(Weight(entry, piece)))
            self._overlaps[entry] = total
        return self._overlaps[entry]

    def _substituted(self, state: State, level: int) -> State:
        """The layer's input as the output of the layer before."""
        outputs = self.stack.layers[level - 1].output
        powers: dict[Monomial, Polynomial] = {}
        result: State = {}
        for coordinates, coefficient in state.items():
            products: State = {(): coefficient}
            for coordinate in coordinates:
                if coordinate not in powers:
                    product = poly.constant(1.0)
                    for name, exponent in coordinate:
                        variable = self.stack.variables[name]
                        if variable.role == "input":
                            part = poly.in_row(outputs[variable.piece], name & 1)
                        else:
                            part = poly.variable(name)
                        product = poly.multiply(product, poly.power(part, exponent))
                    powers[coordinate] = product
                following: State = {}
                for present, value in products.items():
                    for monomial, factor in powers[coordinate].items():
                        self.left -= 1
                        if self.left < 0:
                            raise TooLargeError
                        _gather(following, (*present, monomial) if monomial else present, value * factor)
                products = following
            for key, value in products.items():
                _gather(result, key, value)
        return result

    def _embedded(self, state: State, embedding_dim: int) -> Any:
        """The mean over the embeddings for each number of agreeing fields."""
        fields = self.stack.fields
        agreeing = np.arange(fields + 1) * embedding_dim
        total = np.zeros(fields + 1)
        moment = [0.0 if k % 2 else math.prod(range(1, k, 2)) * self.stack.second_moment ** (k // 2) for k in range(257)]
        known: dict[tuple[tuple[int, int], ...], Any] = {}
        for coordinates, coefficient in state.items():
            pairs = []
            for coordinate in coordinates:
                exponents = [0, 0]
                for name, exponent in coordinate:
                    if self.stack.variables[name].role == "scale":
                        coefficient *= float(self.stack.variables[name].value) ** exponent
                    else:
                        exponents[name & 1] += exponent
                if any(exponents):
                    pairs.append((exponents[0], exponents[1]))
            key = tuple(sorted(pairs))
            if key not in known:
                known[key] = self._placed(key, moment, agreeing)
            total = total + coefficient * known[key]
        return total

    def _placed(self, pairs: tuple[tuple[int, int], ...], moment: list[float], agreeing: Any) -> Any:
        """The mean of a product over distinct coordinates, of which `agreeing` of d lie in agreeing fields."""
        inside: list[Any] = [np.ones(len(agreeing))]  # by how many of the coordinates so far agree
        for number, (a, b) in enumerate(pairs):
            left = self.dim - number
            following: list[Any] = [np.zeros(len(agreeing)) for _ in range(number + 2)]
            for k, value in enumerate(inside):
                following[k + 1] = following[k + 1] + value * moment[a + b] * (agreeing - k) / left
                following[k] = following[k] + value * moment[a] * moment[b] * (self.dim - agreeing - number + k) / left
            inside = following
        return sum(inside)


def _gather(state: State, coordinates: tuple[Monomial, ...], value: float) -> None:
    if value:
        key = tuple(sorted(coordinates))
        state[key] = state.get(key, 0.0) + value
