"""Sets of monomials as decision diagrams: exact counts of sets far too large to list.

A set of exponent vectors over d inputs is a rooted graph of d levels. A node of level i lists, by the exponent of x_{i+1},
the node that holds the remaining exponents; equal nodes are one node. The sets that layers produce are almost symmetric in
the inputs, so a set of billions of monomials is a graph of a few hundred nodes, and union, product and count are walks over
pairs of nodes, remembered. (The same idea as the zero-suppressed diagrams of minato1993zdd, with exponents beyond 1.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Monomial = tuple[int, ...]

_EMPTY, _LEAF = 0, 1


class Diagrams:
    """The shared nodes of all sets of monomials over `dim` inputs.

    Attributes:
        dim: the number of inputs.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._children: list[tuple[int, ...]] = [(), ()]
        self._ids: dict[tuple[int, ...], int] = {}
        self._unions: dict[tuple[int, int], int] = {}
        self._products: list[dict[int, int]] = [{_EMPTY: _EMPTY}, {_EMPTY: _EMPTY}]
        self._counts: dict[int, tuple[int, ...]] = {}

    def single(self, monomial: Monomial) -> MonomialSet:
        """The set of one monomial.

        Raises:
            ValueError: the exponents are not `dim` integers of at least 0.
        """
        if len(monomial) != self.dim or min(monomial, default=0) < 0:
            raise ValueError(f"A monomial is {self.dim} exponents of at least 0, however: {monomial}.")
        node = _LEAF
        for exponent in reversed(monomial):
            node = self._node([_EMPTY] * exponent + [node])
        return MonomialSet(self, node)

    def variable(self, index: int) -> MonomialSet:
        """The set {x_index}, with the index from 0."""
        return self.single(tuple(int(i == index) for i in range(self.dim)))

    def one(self) -> MonomialSet:
        """The set {1}."""
        return self.single((0,) * self.dim)

    def empty(self) -> MonomialSet:
        """The set without monomials: the support of the zero polynomial."""
        return MonomialSet(self, _EMPTY)

    def children(self, node: int) -> tuple[int, ...]:
        """The successors of a node, by the exponent of its input; 0 is the empty set."""
        return self._children[node]

    def union(self, a: int, b: int) -> int:
        """The node of the union of two nodes of one level."""
        if a == b or b == _EMPTY:
            return a
        if a == _EMPTY:
            return b
        key = (a, b) if a < b else (b, a)
        found = self._unions.get(key)
        if found is None:
            long, short = self._children[a], self._children[b]
            if len(long) < len(short):
                long, short = short, long
            merged = list(long)
            for exponent, child in enumerate(short):
                merged[exponent] = self.union(merged[exponent], child)
            found = self._unions[key] = self._node(merged)
        return found

    def product(self, a: int, b: int) -> int:
        """The node of all products of a monomial of one node with a monomial of another of the same level."""
        if a == _EMPTY or b == _EMPTY:
            return _EMPTY
        if a == _LEAF:
            return _LEAF
        found = self._products[a].get(b)
        if found is None:
            left, right = self._children[a], self._children[b]
            parts = [_EMPTY] * (len(left) + len(right) - 1)
            for i, first in enumerate(left):  # the hot loop of the package: a set of billions passes through it
                if first == _EMPTY:
                    continue
                known = self._products[first]
                for k, second in enumerate(right[i:] if a == b else right, 2 * i if a == b else i):  # squares: i <= j
                    new = known.get(second, -1)
                    if new < 0:
                        new = self.product(first, second)
                    if parts[k] != new:
                        parts[k] = self.union(parts[k], new)
            found = self._products[a][b] = self._products[b][a] = self._node(parts)
        return found

    def counts(self, node: int) -> tuple[int, ...]:
        """The number of monomials of a node by degree: entry n counts those of degree n."""
        if node == _EMPTY:
            return ()
        if node == _LEAF:
            return (1,)
        found = self._counts.get(node)
        if found is None:
            total: list[int] = []
            for exponent, child in enumerate(self._children[node]):
                part = self.counts(child)
                total.extend([0] * (exponent + len(part) - len(total)) if part else [])
                for degree, count in enumerate(part):
                    total[exponent + degree] += count
            found = self._counts[node] = tuple(total)
        return found

    def _node(self, children: list[int]) -> int:
        while children and children[-1] == _EMPTY:
            children.pop()
        if not children:
            return _EMPTY
        key = tuple(children)
        node = self._ids.get(key)
        if node is None:
            node = self._ids[key] = len(self._children)
            self._children.append(key)
            self._products.append({_EMPTY: _EMPTY})
        return node


@dataclass(frozen=True, slots=True, eq=False)
class MonomialSet:
    """A set of monomials; ``a | b`` is the union, ``a * b`` the set of all products (the Minkowski sum of exponents).

    Attributes:
        diagrams: the nodes that the set shares with others over the same inputs.
        root: its node.
    """

    diagrams: Diagrams
    root: int

    def __or__(self, other: MonomialSet) -> MonomialSet:
        return MonomialSet(self.diagrams, self.diagrams.union(self.root, self._same_nodes(other).root))

    def __mul__(self, other: MonomialSet) -> MonomialSet:
        return MonomialSet(self.diagrams, self.diagrams.product(self.root, self._same_nodes(other).root))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MonomialSet) and self <= other and other <= self

    def __hash__(self) -> int:
        return hash(self.counts_by_degree)

    def __le__(self, other: MonomialSet) -> bool:
        """Whether every monomial of this set is in the other; the two need not share nodes."""
        if self.diagrams.dim != other.diagrams.dim:
            return False
        proven: set[tuple[int, int]] = set()

        def within(a: int, b: int) -> bool:
            if a == _EMPTY or (a, b) in proven or (self.diagrams is other.diagrams and a == b):
                return True
            if b == _EMPTY:
                return False
            mine, theirs = self.diagrams.children(a), other.diagrams.children(b)
            if len(mine) > len(theirs) or not all(within(c, e) for c, e in zip(mine, theirs, strict=False)):
                return False
            proven.add((a, b))
            return True

        return within(self.root, other.root)

    def __contains__(self, monomial: Monomial) -> bool:
        node = self.root
        for exponent in monomial:
            children = self.diagrams.children(node)
            if exponent >= len(children):
                return False
            node = children[exponent]
        return node != _EMPTY

    def __iter__(self) -> Iterator[Monomial]:
        def below(node: int, level: int) -> Iterator[Monomial]:
            if node == _LEAF and level == self.diagrams.dim:
                yield ()
            for exponent, child in enumerate(self.diagrams.children(node)):
                for rest in below(child, level + 1):
                    yield (exponent, *rest)

        return below(self.root, 0)

    @property
    def size(self) -> int:
        """How many monomials; counted, never listed (a plain `len` would overflow beyond 2^63)."""
        return sum(self.counts_by_degree)

    @property
    def degree(self) -> int:
        """The largest degree; -1 for the empty set."""
        return len(self.counts_by_degree) - 1

    @property
    def counts_by_degree(self) -> tuple[int, ...]:
        """How many monomials there are of degree 0, 1, 2, ..."""
        return self.diagrams.counts(self.root)

    def exponents(self, index: int) -> frozenset[int]:
        """The exponents with which x_index occurs (index from 0)."""
        level = {self.root} - {_EMPTY}
        for _ in range(index):
            level = {child for node in level for child in self.diagrams.children(node)} - {_EMPTY}
        return frozenset(e for node in level for e, child in enumerate(self.diagrams.children(node)) if child != _EMPTY)

    def _same_nodes(self, other: MonomialSet) -> MonomialSet:
        if other.diagrams is not self.diagrams:
            raise ValueError("Two sets are joined over one `Diagrams`; build both from the same one.")
        return other
