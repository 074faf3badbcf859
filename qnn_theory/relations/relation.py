"""Relations between formats: which one can express what, with proofs.

Semantics. ``F_a(d)`` is the set of functions R^d -> R^(w d) that one layer of format a computes, over all real parameter values;
``x0`` is x, as in the first layer of a network. ``F_a ⊆ F_b`` means that every such function is exactly one of b's, for every d
that both formats admit. Limits do not count: T10 is approached by T7, yet not contained in it (such separations have
`Separation.closed` False). A separation is computed at the d it names; its witness, padded with zeros, and its rule carry over to
every larger d, so ``F_a ⊄ F_b`` is a statement about all d from there on. At smaller d more formats can coincide.

Checked in tests/qnn_theory/relations, every certificate also on the torch modules.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, TypeAlias

from qnn_theory.algebra.deadline import BudgetSpentError
from qnn_theory.algebra.deadline import budget as within
from qnn_theory.feature_spaces.degrees import degree_bound
from qnn_theory.feature_spaces.feature_space import number_text
from qnn_theory.grammar.expr import Concat, Constant, Expr, HeadMajor, Multiple, Power, RowSum, Slice, children, walk
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
from qnn_theory.relations.paired_units import contained_by_paired_units
from qnn_theory.relations.registered_order.stored import stored, stored_verdict
from qnn_theory.relations.separation import Effort, find_separation
from qnn_theory.relations.special_values import contained_by_special_values
from qnn_theory.relations.transitivity import by_transitivity

Kind: TypeAlias = Literal["equivalent", "contained", "contains", "incomparable", "open"]

PARAMETER_LIMIT = 20_000
"""The largest number of parameters, of one layer at the smallest d from 10 on, that relations are computed for."""

STEP_LIMIT = 64
"""The largest number that d must be a multiple of."""

ROW_LIMIT = 500
"""The largest number of rows of a row sum, which is written out."""

DEGREE_LIMIT = 32
"""The largest degree of a layer in its input."""

BUDGET = 30.0
"""Seconds for a pair, unless told otherwise."""

_QUICK_TRIES = 256
_BLOCK_TRIES = 48
_LARGEST_PRODUCT = 2**29
"""Fixed numbers that multiply up to more could vanish, or be 1, modulo a prime of the rules; such pairs stay open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """How the function classes of two formats relate.

    Attributes:
        first: id of the first format, a.
        second: id of the second format, b.
        kind: ``equivalent`` (F_a = F_b), ``contained`` (F_a is a proper subset of F_b), ``contains`` (the other way round),
            ``incomparable``, or ``open`` when a direction is neither proved nor disproved.
        certificate: the proof, both directions.
    """

    first: str
    second: str
    kind: Kind
    certificate: Certificate

    @property
    def text(self) -> str:
        """The verdict as a sentence."""
        sentences: dict[Kind, str] = {
            "equivalent": f"{self.first} and {self.second} are equivalent: they express the same functions",
            "contained": f"{self.first} is contained in {self.second}, properly",
            "contains": f"{self.first} contains {self.second}, properly",
            "incomparable": f"{self.first} and {self.second} are incomparable: each has a function the other lacks",
            "open": f"how {self.first} and {self.second} relate is open",
        }
        return sentences[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainmentOrder:
    """The containment order of a set of formats, as a Hasse diagram.

    Attributes:
        classes: the sets of equivalent formats, in registry order.
        edges: the covering pairs (smaller, larger), as positions in `classes`.
        open: ordered pairs (a, b) of formats for which F_a ⊆ F_b is undecided.
    """

    classes: tuple[tuple[str, ...], ...]
    edges: tuple[tuple[int, int], ...]
    open: tuple[tuple[str, str], ...]


def relation(first: str | Format, second: str | Format, *, budget: float | None = BUDGET) -> Relation:
    """How the function classes of two formats relate, with a certificate.

    Args:
        first: an id, or a `Format` of your own.
        second: the other one.
        budget: seconds for the pair; a direction that is not decided by then is open and says so. None is as many as it
            takes. Pairs of registered formats are decided whatever it is, so that they do not depend on the machine.

    Returns:
        The relation, see the module's docstring for its exact meaning.

    Raises:
        KeyError: unknown id; names the nearest one.
        ValueError: a budget that is no positive number, or a format beyond `STEP_LIMIT`, `PARAMETER_LIMIT`, `ROW_LIMIT` or
            `DEGREE_LIMIT`.
            `DEGREE_LIMIT`.
    """
    a, b = get_format(first), get_format(second)
    for format in (a, b):
        check_size(format)
    if budget is not None and not 0 < budget < math.inf:
        raise ValueError(f"A budget is a positive number of seconds, or None for no limit, however: {budget!r}.")
    started = time.monotonic()
    forward = decide(a, b, budget=budget)
    left = None if budget is None else max(budget - (time.monotonic() - started), 0.0)
    backward = decide(b, a, budget=left)
    if isinstance(backward, Undecided) and backward.budget is not None:
        backward = replace(backward, budget=budget)
    return Relation(
        first=a.id,
        second=b.id,
        kind=_kind(forward, backward),
        certificate=Certificate(forward=forward, backward=backward),
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


def _refuse_above(limit: int, size: int, what: str, format: Format) -> None:
    if size > limit:
        raise ValueError(
            f"Relations are computed up to {what} {limit}, however: {format.id} has {number_text(size)}; "
            "use a smaller format of the same kind."
        )


_decided: dict[tuple[Format, Format, bool], Direction] = {}
"""A proof holds whatever the budget was that it was found in."""


def decide(source: Format, target: Format, *, minimal: bool = True, budget: float | None = None) -> Direction:
    """Whether F_source ⊆ F_target: a proved map, a separation, or neither.

    Args:
        source: the format that may be contained.
        target: the format that may contain it.
        minimal: make the witness of a separation sparse; a little slower, and what a reader wants.
        budget: seconds after which the answer is `Undecided` with this budget; None is as many as it takes. What is known
            of registered formats takes none of it.
    """
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
    if not (_is_uniform(source.expr) and _is_uniform(target.expr)):
        return Undecided(source=source.id, target=target.id)
    # Quick checks first, so that an expensive one runs only where it is likely to decide.
    direct = _direct(source, target, minimal, budget)
    if not isinstance(direct, Undecided):
        return direct

    def known(a: Format, b: Format) -> Direction:
        if not (_is_uniform(a.expr) and _is_uniform(b.expr)):
            return Undecided(source=a.id, target=b.id)
        if is_registered(a) and is_registered(b):
            return (stored(a, b) if use_stored else None) or _direct(a, b, minimal, budget)
        return _quick(a, b, minimal, budget)

    return by_transitivity(source, target, known, formats()) or direct


def _is_uniform(expr: Expr) -> bool:
    """Whether what holds at some d and modulo the primes of the rules holds at all.

    Head layouts one after another are permutations whose order depends on d; numbers multiply up beyond the primes.
    """
    if _size_of_numbers(expr) > _LARGEST_PRODUCT:
        return False
    below = (inner for node in walk(expr) if isinstance(node, HeadMajor) for inner in walk(node.of))
    return not any(isinstance(inner, HeadMajor | Slice | Concat) for inner in below)


def _size_of_numbers(expr: Expr) -> int:
    """A bound of what the fixed numbers of an expression multiply up to."""
    match expr:
        case Constant(value=value):
            return max(abs(value.numerator), value.denominator, 1)
        case Multiple(factor=factor, of=of):
            return max(abs(factor.numerator), factor.denominator, 1) * _size_of_numbers(of)
        case Power(of=of, exponent=exponent):
            size = _size_of_numbers(of)
            return 1 if size == 1 else min(size ** min(exponent, 64), 2 * _LARGEST_PRODUCT)
        case _:
            product = 1
            for part in children(expr):
                product = min(product * _size_of_numbers(part), 2 * _LARGEST_PRODUCT)
            return product


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


def containment_order(of: Sequence[str | Format] | None = None) -> ContainmentOrder:
    """Classes of equivalent formats and the covering edges between them.

    Args:
        of: the formats; all registered ones when left out.

    Raises:
        KeyError: unknown id.
    """
    chosen = formats() if of is None else tuple(get_format(format) for format in of)
    return _containment_order(chosen)


@cache
def _containment_order(chosen: tuple[Format, ...]) -> ContainmentOrder:
    verdicts = {(a.id, b.id): _verdict(a, b) for a in chosen for b in chosen if a is not b}
    below = {pair for pair, verdict in verdicts.items() if verdict == "contained"}
    classes: list[list[str]] = []
    for format in chosen:
        own = next((c for c in classes if (format.id, c[0]) in below and (c[0], format.id) in below), None)
        if own is None:
            classes.append([format.id])
        else:
            own.append(format.id)
    smaller = {(i, j) for i, a in enumerate(classes) for j, b in enumerate(classes) if i != j and (a[0], b[0]) in below}
    covering = sorted(
        (i, j) for i, j in smaller if not any((i, k) in smaller and (k, j) in smaller for k in range(len(classes)))
    )
    return ContainmentOrder(
        classes=tuple(map(tuple, classes)),
        edges=tuple(covering),
        open=tuple(pair for pair, verdict in verdicts.items() if verdict == "open"),
    )


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
