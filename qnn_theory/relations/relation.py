"""Relations between formats: which one can express what, with proofs.

Semantics. ``F_a(d)`` is the set of functions R^d -> R^(w d) that one layer of format a computes, over all real parameter values;
``x0`` is x, as in the first layer of a network. ``F_a ⊆ F_b`` means that every such function is exactly one of b's, for every d
that both formats admit. Limits do not count here: T10 is approached by T7, yet not contained in it; `Relation.limit` counts them.
A separation is computed at the d it names; its witness, padded with zeros, and its rule carry over to
every larger d, so ``F_a ⊄ F_b`` is a statement about all d from there on. At smaller d more formats can coincide.

Checked in tests/qnn_theory/relations, every certificate also on the torch modules.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal, TypeAlias

from qnn_theory.algebra.deadline import BudgetSpentError
from qnn_theory.algebra.deadline import budget as within
from qnn_theory.feature_spaces.degrees import degree_bound
from qnn_theory.feature_spaces.feature_space import number_text
from qnn_theory.grammar.expr import RowSum, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.stacking import parameter_count
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import formats, get_format, is_registered
from qnn_theory.relations.certificates import Certificate, Containment, Direction, Undecided, direction_to_dict
from qnn_theory.relations.constant_gates import contained_by_constant_gates
from qnn_theory.relations.containment.parameter_map import ParameterMap
from qnn_theory.relations.containment.proof import can_prove, prove_map
from qnn_theory.relations.containment.search import find_map
from qnn_theory.relations.function_classes.proved import find_class_map
from qnn_theory.relations.idle_units import contained_by_idle_units
from qnn_theory.relations.limits.limit import Limit, limit_direction, limit_of, limit_verdict
from qnn_theory.relations.orders import ContainmentOrder, closed_under_transitivity, order_of
from qnn_theory.relations.paired_units import contained_by_paired_units
from qnn_theory.relations.registered_order.stored import stored, stored_verdict
from qnn_theory.relations.separation import Effort, find_separation
from qnn_theory.relations.special_values import contained_by_special_values
from qnn_theory.relations.stacks.depth import check_depth, decide_stacks
from qnn_theory.relations.stacks.limits import limit_of_stacks
from qnn_theory.relations.stacks.stacked import stacked
from qnn_theory.relations.transitivity import by_transitivity
from qnn_theory.relations.uniform import is_uniform

Kind: TypeAlias = Literal["equivalent", "contained", "contains", "incomparable", "open"]

PARAMETER_LIMIT = 20_000
"""The largest number of parameters, of one layer at the smallest d from 10 on, that relations are computed for."""

STEP_LIMIT = 64
"""The largest number that d must be a multiple of."""

ROW_LIMIT = 500
"""The largest number of rows of a row sum, which is written out."""

DEGREE_LIMIT = 32
"""The largest degree of a layer in its input."""

STACK_DEGREE_LIMIT = 200
"""The largest degree of a stack in its input."""

BUDGET = 30.0
"""Seconds for a pair, unless told otherwise."""

_QUICK_TRIES = 256
_BLOCK_TRIES = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """How the function classes of two formats relate.

    Attributes:
        first: id of the first format, a.
        second: id of the second format, b.
        kind: ``equivalent`` (F_a = F_b), ``contained`` (F_a is a proper subset of F_b), ``contains`` (the other way round),
            ``incomparable``, or ``open`` when a direction is neither proved nor disproved.
        certificate: the proof, both directions.
        formats: the two formats.
        budget: seconds that are left of the pair's for `limit`; None is as many as it takes.
        depth: the number of layers of the stacks that are compared.
    """

    first: str
    second: str
    kind: Kind
    certificate: Certificate
    formats: tuple[Format, Format] = field(repr=False)
    budget: float | None = BUDGET
    depth: int = 1

    @property
    def limit(self) -> Limit:
        """How the two relate when limits count, uniform on compact sets; computed when it is asked for."""
        known = self.certificate
        if self.depth > 1:
            return limit_of_stacks(
                *self.formats, known.forward, known.backward, self.depth, _one_layer, budget=self.budget
            )
        return limit_of(*self.formats, known.forward, known.backward, budget=self.budget)

    @property
    def text(self) -> str:
        """The verdict as a sentence."""
        first, second = (stacked(format, self.depth).id for format in self.formats)
        sentences: dict[Kind, str] = {
            "equivalent": f"{first} and {second} are equivalent: they express the same functions",
            "contained": f"{first} is contained in {second}, properly",
            "contains": f"{first} contains {second}, properly",
            "incomparable": f"{first} and {second} are incomparable: each has a function the other lacks",
            "open": f"how {first} and {second} relate is open",
        }
        return sentences[self.kind]


def relation(first: str | Format, second: str | Format, *, depth: int = 1, budget: float | None = BUDGET) -> Relation:
    """How the function classes of two formats relate, with a certificate.

    Args:
        first: an id, or a `Format` of your own.
        second: the other one.
        depth: the number of layers of the stacks that are compared; each has parameters of its own, x0 is the stack's input.
        budget: seconds for the pair; a direction that is not decided by then is open and says so. None is as many as it
            takes. Pairs of registered formats are decided whatever it is, so that they do not depend on the machine.

    Returns:
        The relation, see the module's docstring for its exact meaning.

    Raises:
        KeyError: unknown id; names the nearest one.
        ValueError: a budget that is no positive number, a depth that a format cannot have, or a format beyond
            `STEP_LIMIT`, `PARAMETER_LIMIT`, `ROW_LIMIT` or
            `DEGREE_LIMIT`.
    """
    a, b = get_format(first), get_format(second)
    for format in (a, b):
        check_size(format)
        _check_depth(format, depth)
    if budget is not None and not 0 < budget < math.inf:
        raise ValueError(f"A budget is a positive number of seconds, or None for no limit, however: {budget!r}.")
    started = time.monotonic()
    forward = decide(a, b, budget=budget, depth=depth)
    left = None if budget is None else max(budget - (time.monotonic() - started), 0.0)
    backward = decide(b, a, budget=left, depth=depth)
    spent = time.monotonic() - started
    if isinstance(backward, Undecided) and backward.budget is not None:
        backward = replace(backward, budget=budget)
    return Relation(
        first=a.id,
        second=b.id,
        kind=_kind(forward, backward),
        certificate=Certificate(forward=forward, backward=backward),
        formats=(a, b),
        budget=None if budget is None or (is_registered(a) and is_registered(b)) else max(budget - spent, budget / 10),
        depth=depth,
    )


def check_size(format: Format) -> None:
    """Raise a ValueError for a format that is beyond the limits of relations."""
    step = divisor(format.expr)
    dim = step * -(-10 // step)
    rows = max((node.rows for node in walk(format.expr) if isinstance(node, RowSum)), default=1)
    _refuse_above(STEP_LIMIT, step, "a smallest d of", format)
    _refuse_above(
        PARAMETER_LIMIT, parameter_count(format.expr, (dim, dim)), f"a number of parameters (d = {dim}) of", format
    )
    _refuse_above(ROW_LIMIT, rows, "a number of rows of", format)
    _refuse_above(DEGREE_LIMIT, degree_bound(format.expr, depth=1), "a degree of", format)


def _check_depth(format: Format, depth: int) -> None:
    check_depth(format, depth)
    if depth > 1:
        _refuse_above(
            STACK_DEGREE_LIMIT, degree_bound(format.expr, depth=depth), f"at depth={depth} a degree of", format
        )


def _refuse_above(limit: int, size: int, what: str, format: Format) -> None:
    if size > limit:
        raise ValueError(
            f"Relations are computed up to {what} {limit}, however: {format.id} has {number_text(size)}; "
            "use a smaller format of the same kind."
        )


_decided: dict[tuple[Format, Format, bool], Direction] = {}
"""A proof holds whatever the budget was that it was found in."""


def decide(
    source: Format, target: Format, *, minimal: bool = True, budget: float | None = None, depth: int = 1
) -> Direction:
    """Whether F_source ⊆ F_target: a proved map, a separation, or neither.

    Args:
        source: the format that may be contained.
        target: the format that may contain it.
        minimal: make the witness of a separation sparse; a little slower, and what a reader wants.
        budget: seconds after which the answer is `Undecided` with this budget; None is as many as it takes. What is known
            of registered formats takes none of it.
        depth: the number of layers of the stacks that are compared.
    """
    if depth > 1:
        return _decide_stacks(source, target, depth, minimal=minimal, budget=budget, thorough=True)
    if is_registered(source) and is_registered(target):
        budget = None
    key = source, target, minimal
    if key in _decided:
        return _decided[key]
    try:
        with within(budget):
            found = _decide(source, target, minimal, budget)
    except BudgetSpentError:
        return Undecided(source=source.id, target=target.id, budget=budget)
    if not isinstance(found, Undecided):
        _decided[key] = found
    return found


def _one_layer(source: Format, target: Format, budget: float | None) -> Direction:
    return decide(source, target, minimal=False, budget=budget)


def _decide_stacks(
    source: Format, target: Format, depth: int, *, minimal: bool, budget: float | None, thorough: bool
) -> Direction:
    return decide_stacks(source, target, depth, _one_layer, minimal=minimal, budget=budget, thorough=thorough)


# What a step may cost depends on the budget (`deadline.limit`), so answers are kept for each.
@cache
def _decide(source: Format, target: Format, minimal: bool, budget: float | None) -> Direction:
    found = stored(source, target)
    return _computed(source, target, minimal, budget, True) if found is None else found


def decide_anew(source: Format, target: Format, *, minimal: bool = True) -> Direction:
    """`decide` without what is stored of registered formats."""
    return _computed(source, target, minimal, None, False)


@cache
def _computed(source: Format, target: Format, minimal: bool, budget: float | None, use_stored: bool) -> Direction:
    if not (is_uniform(source.expr) and is_uniform(target.expr)):
        return Undecided(source=source.id, target=target.id)
    # Quick checks first, so that an expensive one runs only where it is likely to decide.
    direct = _direct(source, target, minimal, budget)
    if not isinstance(direct, Undecided):
        return direct

    def known(a: Format, b: Format) -> Direction:
        if not (is_uniform(a.expr) and is_uniform(b.expr)):
            return Undecided(source=a.id, target=b.id)
        if is_registered(a) and is_registered(b):
            return (stored(a, b) if use_stored else None) or _direct(a, b, minimal, budget)
        return _quick(a, b, minimal, budget)

    return by_transitivity(source, target, known, formats()) or direct


@cache
def _direct(source: Format, target: Format, minimal: bool, budget: float | None) -> Direction:
    """Without a third format."""
    quick = _quick(source, target, minimal, budget)
    if not isinstance(quick, Undecided):
        return quick
    return _searched(source, target, minimal, "thorough", None)


@cache
def _quick(source: Format, target: Format, minimal: bool, budget: float | None) -> Direction:
    """By what takes a fraction of a second."""
    found = _searched(source, target, minimal, "quick", _QUICK_TRIES)
    return (find_class_map(source, target) or found) if isinstance(found, Undecided) else found


def _proved(source: Format, target: Format, map: ParameterMap | None) -> Containment | None:
    """A map that was found, if it passes the proof: the search works modulo a prime and may be wrong."""
    if map is None or not can_prove(source, target):
        return None
    try:
        return Containment(source=source.id, target=target.id, map=map, proof=prove_map(source, target, map))
    except ValueError:
        return None


def _searched(source: Format, target: Format, minimal: bool, effort: Effort, tries: int | None) -> Direction:
    separation = find_separation(source, target, minimal=minimal, effort=effort)
    if separation is not None:
        return separation
    found = find_map(source, target) if tries is None else find_map(source, target, tries=tries)
    proved = (
        _proved(source, target, found)
        or _proved(source, target, contained_by_idle_units(source, target, tries=_QUICK_TRIES))
        or _proved(source, target, contained_by_special_values(source, target, tries=_BLOCK_TRIES))
        or _proved(source, target, contained_by_paired_units(source, target, tries=_BLOCK_TRIES))
    )
    if proved is not None:
        return proved
    gated = contained_by_constant_gates(source, target, tries=_QUICK_TRIES)
    if gated is not None:
        return Containment(source=source.id, target=target.id, map=gated[0], proof=gated[1], gates=gated[2])
    return Undecided(source=source.id, target=target.id)


def containment_order(
    of: Sequence[str | Format] | None = None, *, limit: bool = False, depth: int = 1
) -> ContainmentOrder:
    """Classes of equivalent formats and the covering edges between them.

    Args:
        of: the formats; all registered ones when left out.
        limit: whether limits count: the order of the closures (`Relation.limit`).
        depth: the number of layers of the stacks that are compared; what quick rules and transitivity leave is open.

    Raises:
        KeyError: unknown id.
        ValueError: limits of stacks, or a depth that a format cannot have.
    """
    if limit and depth != 1:
        raise ValueError(
            f"The order with limits is that of single layers, however: depth={depth}; use relation(...).limit."
        )
    chosen = formats() if of is None else tuple(get_format(format) for format in of)
    for format in chosen:
        _check_depth(format, depth)
    return _containment_order(chosen, limit, depth)


@cache
def _containment_order(chosen: tuple[Format, ...], limit: bool, depth: int) -> ContainmentOrder:
    def verdict(a: Format, b: Format) -> str:
        if depth > 1:
            return str(
                direction_to_dict(_decide_stacks(a, b, depth, minimal=False, budget=None, thorough=False))["verdict"]
            )
        return _limit_verdict(a, b) if limit else _verdict(a, b)

    verdicts = {(a.id, b.id): verdict(a, b) for a in chosen for b in chosen if a is not b}
    return order_of([a.id for a in chosen], verdicts if depth == 1 else closed_under_transitivity(verdicts))


def _limit_verdict(source: Format, target: Format) -> str:
    if _verdict(source, target) == "contained":
        return "contained"
    return limit_verdict(limit_direction(source, target, decide(source, target, minimal=False), None))


def _verdict(source: Format, target: Format) -> str:
    known = stored_verdict(source, target)
    return known or str(direction_to_dict(decide(source, target, minimal=False))["verdict"])


def _kind(forward: Direction, backward: Direction) -> Kind:
    match forward, backward:
        case Containment(), Containment():
            return "equivalent"
        case Undecided(), _:
            return "open"
        case _, Undecided():
            return "open"
        case Containment(), _:
            return "contained"
        case _, Containment():
            return "contains"
        case _:
            return "incomparable"
