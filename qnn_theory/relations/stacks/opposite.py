"""Separation of a polynomial from a stack of relus by what is left of the stack far out in two opposite directions.

Far out along v and along -v, every relu of an affine form in the first layer is on in one direction and off in the other, or its
argument is constant. A function of the stack that is a polynomial is the same polynomial in both, so it is a piece with few relus
on: with those that are on along v, and also with the others. Its outputs' parts of the highest degree then have a Jacobian of
small rank.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import flint

from qnn_theory.algebra.deadline import check
from qnn_theory.algebra.polynomials import PRIME, residue
from qnn_theory.feature_spaces.degrees import degree_bound
from qnn_theory.grammar.expr import Activation, Concat, HeadMajor, Slice, uses_activation, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.widths import width
from qnn_theory.relations.invariants.kinks import has_affine_arguments
from qnn_theory.relations.invariants.pair import Entries, Separation, generic_point
from qnn_theory.relations.stacks.pair import Gate, StackPair, random_member
from qnn_theory.relations.stacks.stacked import one_layer

_UNITS = 5
"""The largest number of relus in the first layer whose 3^n divisions are gone through."""


def by_opposite_directions(pair: StackPair) -> Separation | None:
    """A polynomial stack whose highest parts are more independent than half of the target's first relus allow."""
    a, b = pair.layers
    if uses_activation(a.expr) or not uses_activation(b.expr) or not has_affine_arguments(b.expr):
        return None
    top = degree_bound(b.expr, depth=pair.depth)
    dims = pair.dims(4, 6)
    if degree_bound(a.expr, depth=pair.depth) != top:
        return None
    bounds = []
    for dim in dims:
        bound = _largest_rank(b, pair.depth, dim, top) if _rank_of(pair, pair.draw(dim, 0), dim, top) else None
        if bound is None or _rank_of(pair, pair.draw(dim, 0), dim, top) <= bound:
            return None
        bounds.append(bound)
    (bound, *_), (dim, *_) = bounds, dims

    def holds(some: Entries) -> bool:
        return _rank_of(pair, some, dim, top) > bound

    shown = pair.shown(pair.draw(dim, 0), holds, dim, range(int(width(pair.a) * dim)))
    shares = ", ".join(f"{rank} at d = {size}" for rank, size in zip(bounds, dims, strict=True))
    rule = (
        f"far out along v and -v a relu of the first layer of {pair.target.id} is on along one of them only, or constant; a "
        f"function of it that is a polynomial is the same in both, so its parts of degree {top} are those of a stack with the "
        f"one relus or with the others: their Jacobian has rank at most {bound} (all divisions of the relus: {shares})"
    )
    finding = f"that of the witness has rank {_rank_of(pair, dict(shown.entries), dim, top)}"
    return pair.separation("opposite directions", rule, finding, shown, dims, closed=False, grows=len(set(bounds)) > 1)


def _rank_of(pair: StackPair, entries: Entries, dim: int, top: int) -> int:
    """The rank of the Jacobian of the source's parts of degree `top` at a fixed point."""
    point = tuple(generic_point_of(dim))
    columns = []
    for j in range(dim):
        now = pair.source_piece(entries, (point, axis(dim, j)))
        if now is None:
            return 0
        columns.append([residue(f.get((top - 1, 1), Fraction(0))) for f in now])
    return _rank(columns)


@cache
def _largest_rank(format: Format, depth: int, dim: int, top: int) -> int | None:
    """The largest rank that is possible with the relus on along v and also with those on along -v."""
    expr = one_layer(format).expr
    nodes = list(dict.fromkeys(n for n in walk(expr) if isinstance(n, Activation)))
    units = [(node, k) for node in nodes for k in range(int(width(node) * dim))]
    # The relus of one node are alike where coordinates may be renamed.
    alike = len(nodes) == 1 and not any(isinstance(n, Concat | Slice | HeadMajor) for n in walk(expr))
    if not alike and len(units) > _UNITS:
        return None

    @cache
    def rank_with(on: frozenset[int], constant: frozenset[int]) -> int:
        check()
        states = {unit: "on" if n in on else "constant" if n in constant else "off" for n, unit in enumerate(units)}

        def gates(generator: random.Random) -> Gate:
            free: dict[Any, int] = {}

            def rule(layer: int, node: Activation, index: int, value: Any) -> Any:
                number = free.setdefault((layer, node, index), generator.randrange(1, PRIME))
                state = states[node, index] if layer == 0 else "on"
                return number * value if state == "on" else 0 * value + (number if state == "constant" else 0)

            return rule

        seed, point = f"opposite|{sorted(on)}|{sorted(constant)}", tuple(generic_point_of(dim))
        columns = []
        for j in range(dim):
            member = random_member(format, depth, seed, (point, axis(dim, j)), gates=gates)
            columns.append([f.get((top - 1, 1), 0) for f in member])
        return _rank(columns)

    def rank_of(on: frozenset[int], constant: frozenset[int]) -> int:
        if alike:
            on, constant = frozenset(range(len(on))), frozenset(range(len(on), len(on) + len(constant)))
        return rank_with(on, constant)

    best = 0
    divisions: Iterable[tuple[int, ...]] = itertools.product(range(3), repeat=len(units))
    if alike:
        divisions = itertools.combinations_with_replacement(range(3), len(units))
    for division in divisions:
        there, back, still = (frozenset(n for n, part in enumerate(division) if part == k) for k in range(3))
        best = max(best, min(rank_of(there, still), rank_of(back, still)))
    return best


def _rank(columns: Sequence[Sequence[int]]) -> int:
    rows, count = len(columns), len(columns[0])
    return int(flint.nmod_mat(rows, count, [c % PRIME for column in columns for c in column], PRIME).rank())


def axis(dim: int, j: int) -> tuple[int, ...]:
    """A unit vector."""
    return tuple(int(i == j) for i in range(dim))


def generic_point_of(dim: int) -> list[int]:
    """Different prime numbers."""
    return [int(number) for number in generic_point(dim)]
