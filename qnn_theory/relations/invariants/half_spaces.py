"""Separation by half-spaces: the two sides of a kink, where the target has but one direction to make it in.

Where the relus that an output of the target depends on have one argument u up to a factor, u affine, its kinks lie on u = 0: it
is a polynomial p where u > 0 and q where u < 0. The pairs (p, q) obey linear rules: q = 0 for relu(u), q = -p for |u|, q = x for
x relu(u) + x. So a witness has a kink, and its two sides break a rule as (p, q) and as (q, p). Limits keep the argument: they
too have kinks on one hyperplane at most, and linear rules of polynomials of bounded degree are closed.

Where the arguments are u + c up to a factor, with several numbers c (those of relu(u) - relu(u - 6)), p and q are what the
output is where u is large and where -u is; a witness has one kink and no other. A kink may move to infinity in a limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from qnn_theory.algebra.polynomials import Polynomial, polynomial_text
from qnn_theory.feature_spaces.pieces import random_pieces
from qnn_theory.grammar.cancelling.piecewise import Reading, TooLargeError
from qnn_theory.grammar.expr import Activation, Expr, uses_activation, walk
from qnn_theory.relations.invariants.coefficients import rules_of
from qnn_theory.relations.invariants.kinks import (
    has_affine_arguments,
    plain_plane,
    relus_of_outputs,
    sides,
    sides_data,
)
from qnn_theory.relations.invariants.linear_rules import LinearRules, Violation
from qnn_theory.relations.invariants.pair import DRAWS, Entries, Pair, Separation

_MONOMIALS = 1000


def by_half_spaces(pair: Pair) -> Separation | None:
    """A kink of the source whose two sides are no two sides of the target's one kink."""
    if not all(uses_activation(expr) and has_affine_arguments(expr) for expr in (pair.a, pair.b)):
        return None
    dims = pair.dims(4, 6)
    if not pair.is_small(dims[1], _MONOMIALS):
        return None
    found = [_in_dim(pair, dim) for dim in dims]
    return found[0] if all(f is not None for f in found) else None


def _in_dim(pair: Pair, dim: int) -> Separation | None:
    directions = _directions(pair.b)
    for output, relus in enumerate(relus_of_outputs(pair.b, dim)):
        own = [(directions[node], k) for node, k in relus if node in directions]
        if relus and len(own) == len(relus) and len({(d.linear, k) for d, k in own}) == 1:
            alone = len({d.argument for d, _ in own}) > 1
            for attempt in range(DRAWS):
                found = _at_output(pair, pair.draw(dim, attempt), dim, output, alone=alone)
                if found is not None:
                    return found
    return None


def _at_output(pair: Pair, entries: Entries, dim: int, output: int, *, alone: bool) -> Separation | None:
    rules = _rules_of_sides(pair.b, dim)[output]
    only = frozenset(relus_of_outputs(pair.a, dim)[output])

    def kink(some: Entries) -> tuple[Polynomial, Violation, Violation] | None:
        found, real = None, 0
        for sides_ in sides(pair.source.expr, some, dim, only=only):
            if sides_ is None:
                real += 2  # it may be one
                continue
            surface, *pieces = sides_
            p, q = ({m: c for m, c in side[output].items() if c} for side in pieces)
            if p != q:
                real += 1
                one, other = rules.violation(_joined(p, q), own=None), rules.violation(_joined(q, p), own=None)
                if one is not None and other is not None:
                    found = found or (surface, one, other)
        return None if alone and real != 1 else found

    if kink(entries) is None:
        return None
    shown = pair.shown(entries, lambda some: kink(some) is not None, dim, [output])
    found = kink(dict(shown.entries))
    if found is None:
        return None
    surface, one, other = found
    both = f"it {one.rule}" + ("" if one.rule == other.rule else f", and {other.rule}")
    name = f"y_{output + 1}"
    if alone:
        rule = (
            f"all relus that {name} of {pair.target.id} depends on have arguments u + c up to a factor, with one affine u and "
            f"numbers c; where {name} has a kink, it is p where u is large and q where -u is"
        )
        only_one = " and no other"
    else:
        rule = (
            f"all relus that {name} of {pair.target.id} depends on have one affine argument u up to a factor; where {name} has "
            "a kink, it is p on one side of u = 0 and q on the other"
        )
        only_one = ""
    rule += f", and of p + x_{dim + 1} q, with a new variable: {both}"
    finding = (
        f"the witness has a kink at {polynomial_text(surface)} = 0{only_one}; with p on the positive side it {one.finding}, "
        f"with p on the negative side it {other.finding}"
    )
    plane = plain_plane(surface, dim)
    if alone:
        plane[0] = Fraction(0)
    data = sides_data(plane, output, far=alone)
    return pair.separation("half-spaces", rule, finding, shown, pair.dims(4, 6), closed=not alone, data=data)


def _joined(p: Polynomial, q: Polynomial) -> Polynomial:
    """``p + t q`` with a new variable t."""
    return {(*m, 0): c for m, c in p.items()} | {(*m, 1): c for m, c in q.items()}


@dataclass(frozen=True, slots=True)
class _Direction:
    """The argument of a relu up to a factor, that without its number, and the sign of the factor."""

    argument: str
    linear: str
    sign: int


@cache
def _directions(expr: Expr) -> dict[Activation, _Direction]:
    """For every relu its direction; none where that is not told."""
    nodes = list(dict.fromkeys(node for node in walk(expr) if isinstance(node, Activation)))
    reading = Reading(*(node.of for node in nodes))
    found: dict[Activation, _Direction] = {}
    for node in nodes:
        try:
            (argument,) = reading.read(node.of).values()
        except (TooLargeError, ValueError):
            continue
        if argument.is_constant():
            continue
        lead = argument.leading_coefficient()
        argument = argument * (1 / lead)
        number = argument.to_dict().get((0,) * len(argument.degrees()), 0)
        found[node] = _Direction(str(argument), str(argument - number), 1 if lead > 0 else -1)
    return found


@cache
def _rules_of_sides(expr: Expr, dim: int) -> tuple[LinearRules, ...]:
    """The linear rules of (p, q) for every output, with all relus as they are far out on the one side and on the other."""
    directions = _directions(expr)

    def side(seed: str, sign: int) -> list[Polynomial]:
        def gate(node: Activation, index: int, value: Any) -> Any:
            return value * (node in directions and directions[node].sign == sign)

        return random_pieces(expr, dim=dim, seed=seed, gates=lambda generator: gate)

    def member(seed: str) -> list[Polynomial]:
        return [_joined(p, q) for p, q in zip(side(seed, 1), side(seed, -1), strict=True)]

    return rules_of(member)
