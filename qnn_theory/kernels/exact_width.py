"""A kernel at its width d exactly, for polynomial formats that are not too large.

All of a polynomial stack's Gaussian numbers can be integrated out, last map first: given the overlaps of its arguments a map's
outputs are independent from coordinate to coordinate, so the mean over them is a polynomial in overlaps (Isserlis), and an
overlap is a sum over coordinates, each of which is one that is there already or a new one:

    Q = (1/d) Σ_i a_i b_i = (1/d) [Σ_(coordinates there) a_c b_c + (d - number there) a_new b_new].

What is left is a sum of products of one monomial of the embeddings for each of some distinct coordinates. Which of them lie in
agreeing fields is counted exactly. No limit is taken; a bilinear map's outputs are taken as Gaussian, which is wrong by 1/d² in
fourth moments.

A vector in pieces is a vector of d / pieces coordinates with that many numbers each. In the embeddings pieces must be alike, and
nothing else may be in a vector with them: then it is d coordinates.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, TypeAlias

import numpy as np

from qnn_theory.kernels.moments import polynomials as poly
from qnn_theory.kernels.moments.laws import Entry, Law, Weight
from qnn_theory.kernels.moments.polynomials import Monomial, Polynomial
from qnn_theory.kernels.moments.stack import Stack

TERM_LIMIT = 60_000
"""Terms that are worked through; formats with more are given their 1/d term instead."""

State: TypeAlias = dict[tuple[Monomial, ...], float]
"""Products of one monomial for each of some distinct coordinates, with their coefficients."""


Overlaps: TypeAlias = dict[tuple[Entry, ...], float]
"""A polynomial in overlaps."""


class TooLargeError(Exception):
    """The stack has more terms than are worked through."""


def exact_kernel(stack: Stack, *, embedding_dim: int, limit: int = TERM_LIMIT) -> Any | None:
    """K(0) .. K(f) of a stack at its width, or None where it is no polynomial or too large.

    Args:
        stack: with two rows.
        embedding_dim: width e of each embedding.
        limit: of terms.
    """
    if stack.degree() is None or (stack.pieces > 1 and not _pieces_are_alike(stack)):
        return None
    try:
        return _Elimination(stack, limit).kernel(embedding_dim)
    except TooLargeError:
        return None


def _pieces_are_alike(stack: Stack) -> bool:
    """Whether the network's input is in vectors of its own only, in the same way in all pieces."""
    variables = stack.variables
    for layer in stack.layers:
        for pieces in (*layer.vectors, layer.output):
            roles = {variables[name].role for part in pieces for name in poly.variables(part)}
            roots = roles & ({"input", "first"} if layer.index == 1 else {"first"})
            if not roots:
                continue
            if roles != {"input"} or layer.index > 1 or pieces is layer.output or len(pieces) != stack.pieces:
                return False
            shapes = set()
            for number, part in enumerate(pieces):
                if {variables[name].piece for name in poly.variables(part)} != {number}:
                    return False
                shapes.add(tuple(sorted((m[0][1] if m else 0, c) for m, c in part.items())))
            if len(shapes) > 1:
                return False
    return True


class _Elimination:
    """Integrates the numbers of a stack out, from the output to the embeddings."""

    def __init__(self, stack: Stack, limit: int) -> None:
        self.stack, self.left = stack, limit
        self.dim, self.clusters = int(stack.dim), int(stack.dim) // stack.pieces
        self._isserlis: dict[Any, Overlaps] = {}
        self._overlaps: dict[Entry, tuple[Polynomial, int]] = {}
        self._known_taken: dict[Monomial, tuple[Monomial, Overlaps]] = {}

    def kernel(self, embedding_dim: int) -> Any:
        stack = self.stack
        depth = len(stack.layers)
        start: Polynomial = {}
        for part in stack.layers[-1].output:
            start = poly.add(start, poly.multiply(part, poly.in_row(part, 1)))
        state: State = {}
        for monomial, coefficient in start.items():
            _gather(state, (monomial,), coefficient / float(stack.ratios[-1]) / stack.pieces)
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
        pending: dict[tuple[tuple[Monomial, ...], tuple[Entry, ...]], float] = {}
        for coordinates, coefficient in state.items():
            rest: list[Monomial] = []
            means: Overlaps = {(): coefficient}
            for coordinate in coordinates:
                if coordinate not in self._known_taken:
                    self._known_taken[coordinate] = self._taken(coordinate, label, law)
                kept, factors = self._known_taken[coordinate]
                if kept:
                    rest.append(kept)
                means = self._joined(means, factors)
            for entries, value in means.items():
                key = (tuple(sorted(rest)), entries)
                pending[key] = pending.get(key, 0.0) + value
        self._known_taken.clear()
        return self._expanded(pending)

    def _joined(self, left: Overlaps, right: Overlaps) -> Overlaps:
        """The product of two polynomials in overlaps."""
        if len(right) == 1 and () in right:
            return {entries: value * right[()] for entries, value in left.items()}
        total: Overlaps = {}
        for entries, value in left.items():
            for more, factor in right.items():
                self._work(1)
                key = tuple(sorted(entries + more))
                total[key] = total.get(key, 0.0) + value * factor
        return total

    def _work(self, terms: int) -> None:
        self.left -= terms
        if self.left < 0:
            raise TooLargeError

    def _taken(self, coordinate: Monomial, label: int, law: Law) -> tuple[Monomial, Overlaps]:
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
        means: Overlaps = {(): factor} if factor else {}
        for names in pieces.values():
            means = self._joined(means, self._mean(law, tuple(sorted(names))))
        return tuple(kept), means

    def _mean(self, law: Law, names: tuple[tuple[int, int], ...]) -> Overlaps:
        """A moment of Gaussian numbers as a polynomial in overlaps."""
        if not names:
            return {(): 1.0}
        if len(names) % 2:
            return {}
        key = (law, names)
        if key not in self._isserlis:
            total: Overlaps = {}
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

    def _expanded(self, pending: dict[tuple[tuple[Monomial, ...], tuple[Entry, ...]], float]) -> State:
        """Products of overlaps as sums over coordinates, one overlap of all terms at a time."""
        state: State = {}
        while pending:
            following: dict[tuple[tuple[Monomial, ...], tuple[Entry, ...]], float] = {}
            for (present, entries), coefficient in pending.items():
                if not entries:
                    _gather(state, present, coefficient)
                    continue
                entry, *rest = entries
                self._work(1 + len(present))
                overlap, available = self._overlap(entry)
                for monomial, factor in overlap.items():
                    share = coefficient * factor / self.dim
                    changed = [
                        (*present[:position], poly.join(old, monomial), *present[position + 1 :])
                        for position, old in enumerate(present)
                    ]
                    # a constant is the same at every other coordinate
                    changed.append((*present, monomial) if monomial else present)
                    for position, coordinates in enumerate(changed):
                        count = 1 if position < len(present) else available - len(present)
                        key = (tuple(sorted(coordinates)), tuple(rest))
                        following[key] = following.get(key, 0.0) + share * count
            pending = following
        return self._folded(state)

    def _folded(self, state: State) -> State:
        """Terms that differ by the names of the two rows are one."""
        result: State = {}
        for coordinates, value in state.items():
            swapped = tuple(sorted(tuple(sorted((name ^ 1, e) for name, e in part)) for part in coordinates))
            _gather(result, min(coordinates, swapped), value)
        return result

    def _overlap(self, entry: Entry) -> tuple[Polynomial, int]:
        """What each coordinate adds to an overlap, and how many coordinates there are."""
        if entry not in self._overlaps:
            pieces = self.stack.layers[entry.level - 1].vectors[entry.left]
            roles = {self.stack.variables[name].role for part in pieces for name in poly.variables(part)}
            if self.stack.pieces > 1 and entry.level == 1 and "input" in roles:
                self._overlaps[entry] = (self.stack.product(Weight(entry, 0)), self.dim)
            else:
                parts = [self.stack.product(Weight(entry, piece)) for piece in range(len(pieces))]
                self._overlaps[entry] = (poly.add(*parts), self.clusters)
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
                        inner = variable.role == "input"
                        part = poly.in_row(outputs[variable.piece], name & 1) if inner else poly.variable(name)
                        product = poly.multiply(product, poly.power(part, exponent))
                    powers[coordinate] = product
                following: State = {}
                for present, value in products.items():
                    for monomial, factor in powers[coordinate].items():
                        self._work(1)
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
        moment = [
            0.0 if k % 2 else math.prod(range(1, k, 2)) * self.stack.second_moment ** (k // 2) for k in range(257)
        ]
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
