"""Limits of stacks: layers that approach layers make stacks that approach stacks, for limits uniform on compact sets compose."""

from __future__ import annotations

import time

from qnn_theory.grammar.format import Format
from qnn_theory.relations.certificates import Containment, Direction, Undecided
from qnn_theory.relations.invariants.pair import Separation
from qnn_theory.relations.limits.limit import Approach, Barrier, Limit, LimitDirection, kind_of, limit_direction
from qnn_theory.relations.limits.survival import why_it_survives
from qnn_theory.relations.stacks.depth import Decide
from qnn_theory.relations.stacks.stacked import reads_first_input, stacked


def limit_of_stacks(
    a: Format, b: Format, forward: Direction, backward: Direction, depth: int, decide: Decide, *, budget: float | None
) -> Limit:
    """How the closures of stacks of two formats relate, from what is known of the stacks without limits."""
    started = time.monotonic()
    there = _direction(a, b, forward, depth, decide, budget)
    left = None if budget is None else max(budget - (time.monotonic() - started), 0.0)
    back = _direction(b, a, backward, depth, decide, left)
    return Limit(
        first=stacked(a, depth).id,
        second=stacked(b, depth).id,
        kind=kind_of(there, back),
        forward=there,
        backward=back,
    )


def _direction(
    source: Format, target: Format, exact: Direction, depth: int, decide: Decide, budget: float | None
) -> LimitDirection:
    if isinstance(exact, Containment):
        return exact
    a, b = stacked(source, depth), stacked(target, depth)
    if isinstance(exact, Separation):
        why = why_it_survives(exact, b)
        if why is not None:
            return Barrier(separation=exact, why=why)
    if not (reads_first_input(source.expr) or reads_first_input(target.expr)):
        layer = limit_direction(source, target, decide(source, target, budget), budget)
        if isinstance(layer, Approach):
            return Approach(source=a.id, target=b.id, family=layer.family, proof=layer.proof, layers=depth)
    return Undecided(source=a.id, target=b.id)
