"""Separation by linear rules of the coefficients: degree, divisibility, missing, fixed and related coefficients."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

from qnn_theory.algebra.deadline import check
from qnn_theory.algebra.polynomials import PRIME, Polynomial
from qnn_theory.feature_spaces.pieces import Gates, is_piecewise_polynomial, random_pieces
from qnn_theory.grammar.expr import Activation, Expr, uses_activation, walk
from qnn_theory.relations.invariants.kinks import has_affine_gates, relus_of_outputs
from qnn_theory.relations.invariants.linear_rules import LinearRules, Violation
from qnn_theory.relations.invariants.pair import DRAWS, Entries, Pair, Separation, generic_point, germ_at, of_every
from qnn_theory.relations.witness import Entry, Witness

_MONOMIALS = 1500


def by_coefficients(pair: Pair) -> Separation | None:
    """Degree, divisibility, a missing monomial, a fixed coefficient, a relation between coefficients."""
    if not (is_piecewise_polynomial(pair.a) and is_piecewise_polynomial(pair.b)):
        return None
    dims = pair.dims(4, 6)
    if not pair.is_small(dims[1], _MONOMIALS):  # a rule is read off as many members as there are monomials
        return None
    first = _broken_rule(pair, dims[0])
    if first is None or _broken_rule(pair, dims[1]) is None:
        return None
    entries, output, broken = first

    def holds(some: Entries) -> bool:
        now = pair.piece(some, dims[0])
        return now is not None and broken.test(now[output])

    shown = pair.shown(entries, holds, dims[0], [output])
    rule = f"{of_every(pair.b)} of {pair.target.id}, y_{output + 1} {broken.rule}"
    finding, data = _of_witness(pair, shown, output, _rules(pair.b, dims[0])[output], broken, "free")
    return pair.separation(broken.kind, rule, f"the witness {finding}", shown, dims, data=data)


def _of_witness(
    pair: Pair, shown: Witness, output: int, rules: LinearRules, broken: Violation, gates: str
) -> tuple[str, dict[str, Any] | None]:
    """What the small witness has where the rule was first broken by a larger one, and the equation that it breaks."""
    now = pair.piece(dict(shown.entries), shown.dim)
    refound = None if now is None else rules.violation(now[output], own=_own(output, shown.dim))
    finding = (refound if refound is not None and refound.rule == broken.rule else broken).finding
    return finding, None if refound is None else equation_data(output, refound, generic_point(shown.dim), gates=gates)


def equation_data(
    output: int, broken: Violation, at: Sequence[Fraction], *, gates: str = "free", far: bool = False
) -> dict[str, Any]:
    """An equation between coefficients for the checker, with the place of the polynomial that breaks it."""
    germs = [germ_at([output], at, far=far)]
    return {"rule": "coefficients", "germs": germs, "output": output, "gates": gates, **broken.data}


def _broken_rule(pair: Pair, dim: int) -> tuple[dict[Entry, Fraction], int, Violation] | None:
    """The simplest linear rule of the target that a random function of the source breaks."""
    for attempt in range(DRAWS):
        entries = pair.draw(dim, attempt)
        polynomials = pair.piece(entries, dim)
        if polynomials is None:
            continue
        found = [
            (broken.severity, output, broken)
            for output, polynomial in enumerate(polynomials)
            if (broken := _rules(pair.b, dim)[output].violation(polynomial, own=_own(output, dim))) is not None
        ]
        if found:
            _, output, broken = min(found, key=lambda item: item[:2])
            return entries, output, broken
        return None
    return None


@cache
def _rules(expr: Expr, dim: int) -> tuple[LinearRules, ...]:
    return rules_of(lambda seed: random_pieces(expr, dim=dim, seed=seed))


def rules_of(member: Callable[[str], list[Polynomial]]) -> tuple[LinearRules, ...]:
    """The linear rules of every output of a polynomial family, from random members by their seed."""
    members = [member("0")]
    enough = max(map(len, members[0])) + 4
    for k in range(1, enough):
        check()
        members.append(member(str(k)))
    return tuple(LinearRules([m[output] for m in members]) for output in range(len(members[0])))


def _own(output: int, dim: int) -> int | None:
    return output if output < dim else None


def by_polynomial_members(pair: Pair) -> Separation | None:
    """A polynomial of the source, where the target's polynomials have their one gate constant or switched off."""
    if uses_activation(pair.a) or not uses_activation(pair.b) or not _has_vanishing_gates(pair.b):
        return None
    dims = pair.dims(4, 6)
    if not pair.is_small(dims[1], _MONOMIALS):
        return None
    found = [_polynomial_member(pair, dim) for dim in dims]
    return found[0] if all(f is not None for f in found) else None


def _has_vanishing_gates(expr: Expr) -> bool:
    """Whether every activation has an affine argument and, unless that is constant, tends to a constant on a half-space."""
    kinds = {node.kind for node in walk(expr) if isinstance(node, Activation)}
    return "prelu" not in kinds and has_affine_gates(expr)


def _polynomial_member(pair: Pair, dim: int) -> Separation | None:
    entries = pair.draw(dim, 0)
    polynomials = pair.piece(entries, dim)
    if polynomials is None:
        return None
    for output, polynomial in enumerate(polynomials):
        if len(relus_of_outputs(pair.b, dim)[output]) != 1:
            continue
        broken = _constant_relu_rules(pair.b, dim)[output].violation(polynomial, own=_own(output, dim))
        if broken is None:
            continue

        def holds(some: Entries, output: int = output, broken: Violation = broken) -> bool:
            now = pair.piece(some, dim)
            return now is not None and broken.test(now[output])

        shown = pair.shown(entries, holds, dim, [output])
        gate = f"{relus_of_outputs(pair.b, dim)[output][0][0].kind}(u)"
        far = f"{gate} = 0 on" if gate == "relu(u)" else f"{gate} tends to a constant, exponentially fast, far out in"
        rule = (
            f"y_{output + 1} of {pair.target.id} depends on one {gate}, u affine: u is constant or {far} a half-space; "
            f"so if y_{output + 1} is a polynomial, it is one with a constant in place of {gate}: it {broken.rule}"
        )
        rules = _constant_relu_rules(pair.b, dim)[output]
        finding, data = _of_witness(pair, shown, output, rules, broken, "constant")
        dims = pair.dims(4, 6)
        # Limits are polynomials of other kinds: silu(t u) / t tends to u / 2, (relu(1 + t u) - 1) v / t to u v.
        return pair.separation(
            "polynomial members", rule, f"the witness {finding}", shown, dims, closed=False, data=data
        )
    return None


@cache
def _constant_relu_rules(expr: Expr, dim: int) -> tuple[LinearRules, ...]:
    def constants(generator: random.Random) -> Gates:
        free: dict[tuple[Activation, int], int] = {}
        return lambda node, index, value: 0 * value + free.setdefault((node, index), generator.randrange(1, PRIME))

    return rules_of(lambda seed: random_pieces(expr, dim=dim, seed=seed, gates=constants))
