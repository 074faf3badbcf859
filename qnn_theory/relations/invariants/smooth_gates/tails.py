"""Separation by tails: the polynomials that functions with smooth gates become far out, see `feature_spaces.tails`.

`by_tails` looks at one direction; `by_sides` at the two sides of the one hyperplane across which the witness changes its tail.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

import flint

from qnn_theory.algebra.modular import to_fraction
from qnn_theory.algebra.polynomials import PRIME, Polynomial, polynomial_text, rational_ring, residue, to_flint
from qnn_theory.feature_spaces.pieces import Gates, is_piecewise_polynomial, random_pieces
from qnn_theory.feature_spaces.tails import on_side, tail, tail_gates
from qnn_theory.grammar.evaluate import evaluate
from qnn_theory.grammar.expr import Activation, Affine, Expr, bias_name, uses_activation, walk
from qnn_theory.grammar.normal_form import unrolled_values
from qnn_theory.relations.invariants.coefficients import equation_data
from qnn_theory.relations.invariants.kinks import (
    has_affine_gates,
    hyperplanes_data,
    relus_of_outputs,
    sides_data,
)
from qnn_theory.relations.invariants.linear_rules import LinearRules
from qnn_theory.relations.invariants.pair import DRAWS, Entries, Pair, Separation, generic_point
from qnn_theory.relations.witness import Entry, nested

_MONOMIALS = 500
_SIDE_MONOMIALS = 130
_VANISHING = ("relu", "silu", "gelu", "mish", "prelu")  # on both sides a multiple of the argument

Gate = tuple[Activation, int]


def by_tails(pair: Pair) -> Separation | None:
    """A tail with a coefficient that no tail of the target has: degree, divisibility, a missing monomial and so on."""
    if is_piecewise_polynomial(pair.a) and is_piecewise_polynomial(pair.b):
        return None  # pieces say more
    dims = pair.dims(3, 5)
    if not pair.is_small(dims[1], _MONOMIALS):
        return None
    first = _broken_rule(pair, dims[0])
    if first is None or _broken_rule(pair, dims[1]) is None:
        return None
    entries, direction, output, severity = first
    rules = _rules(pair.b, dims[0])[output]

    def violation(some: Entries) -> Any:
        now = _tail_of(pair, some, direction)
        return None if now is None else rules.violation(now[output], own=_own(output, dims[0]))

    def holds(some: Entries) -> bool:
        now = violation(some)
        return now is not None and now.severity[0] <= severity

    shown = pair.shown(entries, holds, dims[0], [output])
    broken = violation(dict(shown.entries))
    now = _tail_of(pair, dict(shown.entries), direction)
    if broken is None or now is None:
        return None
    rule = (
        f"far out in almost every direction, a function of {pair.target.id} is a polynomial but for a rest that vanishes "
        f"exponentially, and y_{output + 1} of this polynomial {broken.rule}"
    )
    where = ", ".join(map(str, direction))
    finding = (
        f"the witness tends to {polynomial_text(now[output])} around the direction ({where}), which {broken.finding}"
    )
    data = equation_data(output, broken, direction, far=True)
    return pair.separation("tail", rule, finding, shown, dims, closed=False, data=data)


def by_sides(pair: Pair) -> Separation | None:
    """Two sides of one hyperplane with different tails, which the gates of the target cannot make."""
    if not (uses_activation(pair.a) and has_affine_gates(pair.a) and has_affine_gates(pair.b)):
        return None
    dims = pair.dims(3, 4)
    if not pair.is_small(dims[1], _SIDE_MONOMIALS):
        return None
    first = _one_sided(pair, dims[0])
    if first is None or _one_sided(pair, dims[1]) is None:
        return None
    entries, output = first

    shown = pair.shown(entries, lambda some: _broken_sides(pair, some, dims[0], output) is not None, dims[0], [output])
    broken = _broken_sides(pair, dict(shown.entries), dims[0], output)
    if broken is None:
        return None
    return pair.separation("sides", *broken[:2], shown, dims, closed=False, data=broken[2])


# ---------------------------------------------------------------------------------------------------------- one direction


def _broken_rule(pair: Pair, dim: int) -> tuple[dict[Entry, Fraction], tuple[Fraction, ...], int, int] | None:
    point = generic_point(dim)
    directions = [tuple(point), tuple(-v for v in point), tuple(v * (-1) ** i for i, v in enumerate(point))]
    for attempt in range(DRAWS // 2):
        entries = pair.draw(dim, attempt, signed=attempt > 0)
        for direction in directions:
            tails = _tail_of(pair, entries, direction)
            if tails is None:
                continue
            for output, polynomial in enumerate(tails):
                broken = _rules(pair.b, dim)[output].violation(polynomial, own=_own(output, dim))
                if broken is not None:
                    return entries, direction, output, broken.severity[0]
    return None


def _tail_of(pair: Pair, entries: Entries, direction: Sequence[Fraction]) -> list[Polynomial] | None:
    dim = len(direction)
    return tail(pair.a, dim=dim, values=plain_values(pair, entries, dim), direction=direction)


def plain_values(pair: Pair, entries: Entries, dim: int) -> dict[str, Any]:
    """The source's parameters under the names of its normal form."""
    return unrolled_values(pair.source.expr, nested(pair.source.expr, entries, dim=dim))


@cache
def _rules(expr: Expr, dim: int) -> tuple[LinearRules, ...]:
    members = [random_pieces(expr, dim=dim, seed="tail0", gates=tail_gates)]
    enough = max(map(len, members[0])) + 4
    members += [random_pieces(expr, dim=dim, seed=f"tail{k}", gates=tail_gates) for k in range(1, enough)]
    return tuple(LinearRules([m[output] for m in members]) for output in range(len(members[0])))


def _own(output: int, dim: int) -> int | None:
    return output if output < dim else None


# -------------------------------------------------------------------------------------------------------------- two sides


def _one_sided(pair: Pair, dim: int) -> tuple[dict[Entry, Fraction], int] | None:
    for entries in _candidates(pair, dim):
        for output in range(len(relus_of_outputs(pair.b, dim))):
            if _broken_sides(pair, entries, dim, output) is not None:
                return entries, output
    return None


def _candidates(pair: Pair, dim: int) -> Iterator[dict[Entry, Fraction]]:
    """Random parameters, then those with one gate of the source that is not constant."""
    yield pair.draw(dim, 0)
    maps = {
        n.name for g in walk(pair.source.expr) if isinstance(g, Activation) for n in walk(g) if isinstance(n, Affine)
    }
    entries = pair.draw(dim, 1, signed=True)
    yield entries
    for kept in sorted(maps) if len(maps) > 1 else ():
        yield {
            (name, index): value
            for (name, index), value in entries.items()
            if not any(name in (m, bias_name(m)) for m in maps if m != kept)
        }


def _broken_sides(pair: Pair, entries: Entries, dim: int, output: int) -> tuple[str, str, dict[str, Any] | None] | None:
    """Rule, finding and rule for the checker where the sides of an output of the source's function are none of the target's."""
    surface = _only_surface(pair, entries, dim, output)
    if surface is None:
        return None
    tails = [_tail_of(pair, entries, [sign * w for w in surface]) for sign in (1, -1)]
    if tails[0] is None or tails[1] is None:
        return None
    upper, lower = tails[0][output], tails[1][output]
    jump = {m: c for m in {*upper, *lower} if (c := upper.get(m, Fraction(0)) - lower.get(m, Fraction(0)))}
    if not jump:
        return None
    form = polynomial_text({tuple(int(i == j) for j in range(dim)): w for i, w in enumerate(surface) if w})
    sides = f"tends to {polynomial_text(upper)} where {form} → ∞ and to {polynomial_text(lower)} where {form} → -∞"
    gates = relus_of_outputs(pair.b, dim)[output]
    name, target = f"y_{output + 1}", pair.target.id
    plane = [Fraction(0), *surface]
    no_gate = hyperplanes_data(pair, [plane], output, 0, far=True)
    if not gates:
        return (
            f"far out, {name} of a function of {target} is one polynomial on all sides",
            f"the witness {sides}",
            no_gate,
        )
    if len(gates) > 1:
        if _in_span([_difference(m) for m in _members(pair.b, dim, output, gates, surface)], [jump], affine=False):
            return None
        rule = (
            f"{name} of {target} depends on {len(gates)} gates of affine forms; far out, a function changes across a hyperplane "
            "only by what those gates change by whose forms are constant along it"
        )
        finding = (
            f"the witness {sides}: no combination of what the gates can change by across a hyperplane along "
            f"{form} = 0 is {polynomial_text(jump)}"
        )
        return rule, finding, no_gate
    kind = gates[0][0].kind
    rule = f"{name} of {target} depends on one gate {kind}(u), u affine, so far out it changes across u = const only"
    members = _members(pair.b, dim, output, gates, surface)
    if not any(_in_span(members, list(pair_of), affine=True) for pair_of in ((upper, lower), (lower, upper))):
        values = {"relu6": "6 and 0", "sigmoid": "1 and 0", "tanh": "1 and -1", "prelu": "u and a multiple of u"}
        rule += f", where the gate tends to {values.get(kind, 'u and 0')} on the two sides"
        return (
            rule,
            f"the witness {sides}, so u is {form} up to factor and constant; with these gates no function has such sides",
            sides_data(plane, output, far=True),
        )
    if kind in _VANISHING and not _divisible([jump], surface):
        rule += ", by a multiple of u"
        return (
            rule,
            f"the witness {sides}; the difference, {polynomial_text(jump)}, is a multiple of no {form} + c",
            None,
        )
    rest = _without_gate(pair.b, dim, output, gates[0]) if kind == "prelu" else None
    if rest is not None:
        shifted = [
            {m: c for m in {*f, *rest} if (c := f.get(m, Fraction(0)) - rest.get(m, Fraction(0)))}
            for f in (upper, lower)
        ]
        if not _divisible([f for f in shifted if f], surface):
            rule += f", and on both sides it is {polynomial_text(rest)} plus a multiple of u"
            return rule, f"the witness {sides}, not so for any u = {form} + c", None
    return None


def _without_gate(expr: Expr, dim: int, output: int, gate: Gate) -> Polynomial | None:
    """The output where a gate is 0, if that is one polynomial for all parameters."""

    def gates(generator: random.Random) -> Gates:
        others = tail_gates(generator)
        return lambda node, index, value: 0 * value if (node, index) == gate else others(node, index, value)

    first, second = (random_pieces(expr, dim=dim, seed=f"off{k}", gates=gates)[output] for k in range(2))
    numbers = {m: to_fraction(c, prime=PRIME, bound=1 << 20) for m, c in first.items()}
    return None if first != second or None in numbers.values() else {m: c for m, c in numbers.items() if c}


def _only_surface(pair: Pair, entries: Entries, dim: int, output: int) -> tuple[Fraction, ...] | None:
    """The normal of the only hyperplane, up to translation, along which gates of this output switch."""
    found = directions_of(pair, entries, dim, output)
    return next(iter(found)) if len(found) == 1 else None


def directions_of(pair: Pair, entries: Entries, dim: int, output: int) -> set[tuple[Fraction, ...]]:
    """The gradients of the arguments of an output's gates that are not constant, first entry 1."""
    relevant = set(relus_of_outputs(pair.a, dim)[output])
    found: set[tuple[Fraction, ...]] = set()
    for gate, normal in _arguments(pair.a, plain_values(pair, entries, dim), dim):
        if gate in relevant and any(normal):
            lead = next(w for w in normal if w)
            found.add(tuple(w / lead for w in normal))
    return found


def _arguments(expr: Expr, values: dict[str, Any], dim: int) -> list[tuple[Gate, tuple[Fraction, ...]]]:
    """The gradients of the affine arguments of all gates."""
    inputs = [[Fraction(int(i == j)) for i in range(dim)] for j in range(dim)] + [[Fraction(0)] * dim]
    result = []
    for node in dict.fromkeys(n for n in walk(expr) if isinstance(n, Activation)):
        *ends, start = [evaluate(node.of, point, values) for point in inputs]
        for k, at_zero in enumerate(start):
            result.append(((node, k), tuple(Fraction(end[k] - at_zero) for end in ends)))
    return result


@lru_cache(maxsize=512)
def _members(
    expr: Expr, dim: int, output: int, gates: tuple[Gate, ...], surface: tuple[Fraction, ...]
) -> list[list[Polynomial]]:
    """Random pairs of sides (upper, lower) where one of these gates switches across the surface; enough to span them all."""
    found: list[list[Polynomial]] = []
    for number, gate in enumerate(gates):
        count, terms = 0, 1
        while count < terms + 4:
            seed = f"side{number}|{count}"
            sides = [
                random_pieces(expr, dim=dim, seed=seed, gates=_switch(gate, surface, upper=upper))[output]
                for upper in (True, False)
            ]
            found.append(sides)
            terms = max(terms, sum(map(len, sides)))
            count += 1
    return found


def _switch(gate: Gate, surface: tuple[Fraction, ...], *, upper: bool) -> Callable[[random.Random], Gates]:
    """One gate on one side of a form that is constant along the surface, the others free."""

    def gates(generator: random.Random) -> Gates:
        factor, constant, slope = (generator.randrange(1, PRIME) for _ in range(3))
        others = tail_gates(generator)

        def rule(node: Activation, index: int, value: Any) -> Any:
            if (node, index) != gate:
                return others(node, index, value)
            ring = value.context()
            form = 0 * value + constant
            for w, x in zip(surface, ring.gens(), strict=True):
                form = form + factor * residue(w) % PRIME * x
            return on_side(node.kind, form, upper, slope)

        return rule

    return gates


def _difference(sides: Sequence[Polynomial]) -> list[Polynomial]:
    upper, lower = sides
    return [{m: (upper.get(m, 0) - lower.get(m, 0)) % PRIME for m in {*upper, *lower}}]


def _in_span(members: Sequence[Sequence[Polynomial]], target: Sequence[Polynomial], *, affine: bool) -> bool:
    """Whether some polynomials side by side are a combination (an affine one) of random members."""
    columns = sorted({(i, m) for v in (*members, target) for i, f in enumerate(v) for m, c in f.items() if c})

    def row(vector: Sequence[Polynomial]) -> list[int]:
        return [residue(vector[i].get(m, 0)) for i, m in columns] + [int(affine)]

    def rank(rows: list[list[int]]) -> int:
        return int(flint.nmod_mat(len(rows), len(columns) + 1, [c for r in rows for c in r], PRIME).rank())

    rows = [row(v) for v in members]
    return rank(rows) == rank([*rows, row(target)])


def _divisible(polynomials: Sequence[Polynomial], surface: Sequence[Fraction]) -> bool:
    """Whether all polynomials may be multiples of one ``surface·x + c``, for some real c; False is proved."""
    ring = rational_ring(len(surface))
    axis = next(i for i, w in enumerate(surface) if w)
    gens = list(ring.gens())
    rest = sum((to_flint(w) * g for i, (w, g) in enumerate(zip(surface, gens, strict=True)) if i != axis), 0 * gens[0])
    gens[axis] = (gens[axis] - rest) * to_flint(1 / surface[axis])
    parts: dict[tuple[int, tuple[int, ...]], dict[int, Any]] = {}
    for number, polynomial in enumerate(polynomials):
        turned = ring.from_dict({m: to_flint(c) for m, c in polynomial.items()}).compose(*gens)
        for monomial, coefficient in turned.to_dict().items():
            others = tuple(int(e) for i, e in enumerate(monomial) if i != axis)
            parts.setdefault((number, others), {})[int(monomial[axis])] = coefficient
    common = flint.fmpq_poly([])
    for powers in parts.values():
        common = common.gcd(flint.fmpq_poly([powers.get(k, 0) for k in range(max(powers) + 1)]))
    return bool(common.degree() >= 1)
