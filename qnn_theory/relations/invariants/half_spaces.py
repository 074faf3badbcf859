"""Separation by half-spaces: the two sides of a kink, where the target has but one affine form to make it.

Where the relus that an output of the target depends on have one argument u up to a factor, u affine, its kinks lie on u = 0: it
is a polynomial p where u > 0 and q where u < 0. The pairs (p, q) obey linear rules: q = 0 for relu(u), q = -p for |u|, q = x for
x relu(u) + x. So a witness has a kink, and its two sides break a rule as (p, q) and as (q, p). Limits keep the argument: they
too have kinks on one hyperplane at most, and linear rules of polynomials of bounded degree are closed.
"""

from __future__ import annotations

from functools import cache

from qnn_theory.algebra.polynomials import Polynomial, polynomial_text
from qnn_theory.feature_spaces.pieces import random_pieces
from qnn_theory.grammar.expr import Activation, Expr, uses_activation, walk
from qnn_theory.grammar.piecewise import Reading, TooLargeError
from qnn_theory.relations.invariants.coefficients import rules_of
from qnn_theory.relations.invariants.kinks import has_affine_arguments, relus_of_outputs, sides
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
    signs = _signs(pair.b)
    for output, relus in enumerate(relus_of_outputs(pair.b, dim)):
        if relus and len({(signs.get(node, (node, 1))[0], k) for node, k in relus}) == 1:
            for attempt in range(DRAWS):
                found = _at_output(pair, pair.draw(dim, attempt), dim, output)
                if found is not None:
                    return found
    return None


def _at_output(pair: Pair, entries: Entries, dim: int, output: int) -> Separation | None:
    rules = _rules_of_sides(pair.b, dim)[output]
    only = frozenset(relus_of_outputs(pair.a, dim)[output])

    def kink(some: Entries) -> tuple[Polynomial, Violation, Violation] | None:
        for surface, above, below in sides(pair.source.expr, some, dim, only=only):
            p, q = ({m: c for m, c in side[output].items() if c} for side in (above, below))
            one, other = rules.violation(_joined(p, q), own=None), rules.violation(_joined(q, p), own=None)
            if p != q and one is not None and other is not None:
                return surface, one, other
        return None

    if kink(entries) is None:
        return None
    shown = pair.shown(entries, lambda some: kink(some) is not None, dim, [output])
    found = kink(dict(shown.entries))
    if found is None:
        return None
    surface, one, other = found
    both = f"it {one.rule}" + ("" if one.rule == other.rule else f", and {other.rule}")
    rule = (
        f"all relus that y_{output + 1} of {pair.target.id} depends on have one affine argument u up to a factor; where it has a "
        f"kink, it is p on one side of u = 0 and q on the other, and of p + x_{dim + 1} q, with a new variable: {both}"
    )
    finding = (
        f"the witness has a kink at {polynomial_text(surface)} = 0; with p on the positive side it {one.finding}, "
        f"with p on the negative side it {other.finding}"
    )
    return pair.separation("half-spaces", rule, finding, shown, pair.dims(4, 6))


def _joined(p: Polynomial, q: Polynomial) -> Polynomial:
    """``p + t q`` with a new variable t."""
    return {(*m, 0): c for m, c in p.items()} | {(*m, 1): c for m, c in q.items()}


@cache
def _signs(expr: Expr) -> dict[Activation, tuple[object, int]]:
    """For every relu its argument up to a factor, and the factor's sign; none where that is not told."""
    nodes = list(dict.fromkeys(node for node in walk(expr) if isinstance(node, Activation)))
    reading = Reading(*(node.of for node in nodes))
    found: dict[Activation, tuple[object, int]] = {}
    for node in nodes:
        try:
            (argument,) = reading.read(node.of).values()
        except (TooLargeError, ValueError):
            continue
        lead = argument.leading_coefficient()
        found[node] = (str(argument * (1 / lead)), 1 if lead > 0 else -1)
    return found


@cache
def _rules_of_sides(expr: Expr, dim: int) -> tuple[LinearRules, ...]:
    """The linear rules of (p, q) for every output; where all its relus have one argument, of its two sides."""
    signs = _signs(expr)

    def side(seed: str, sign: int) -> list[Polynomial]:
        return random_pieces(
            expr,
            dim=dim,
            seed=seed,
            gates=lambda generator: lambda node, index, value: value * (signs.get(node, (node, 1))[1] == sign),
        )

    def member(seed: str) -> list[Polynomial]:
        return [_joined(p, q) for p, q in zip(side(seed, 1), side(seed, -1), strict=True)]

    return rules_of(member)
