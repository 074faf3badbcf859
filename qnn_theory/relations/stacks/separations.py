"""Separations of stacks: a function of one stack that the other, of as many layers, cannot express, and why.

As `relations.separation`, the easiest to follow first. Polynomials are looked at on a subspace of the inputs, so that they have
few monomials: a rule that all members of a family obey there is one of the family.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

from qnn_theory.algebra.deadline import check
from qnn_theory.algebra.polynomials import Polynomial
from qnn_theory.dimension.effective_dimension import effective_dimension
from qnn_theory.feature_spaces.degrees import degree_bound
from qnn_theory.feature_spaces.pieces import is_piecewise_polynomial
from qnn_theory.grammar.expr import uses_activation
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import unrolled_values
from qnn_theory.relations.invariants.coefficients import equation_data
from qnn_theory.relations.invariants.linear_rules import LinearRules, Violation, missing_term
from qnn_theory.relations.invariants.output_width import by_width
from qnn_theory.relations.invariants.pair import DRAWS, Entries, Separation, generic_point, germ_at, of_every
from qnn_theory.relations.invariants.signs import by_sign
from qnn_theory.relations.invariants.smooth_gates.finite_differences import by_finite_differences
from qnn_theory.relations.invariants.smoothness_class import jump_data
from qnn_theory.relations.stacks.cubics import by_cubics
from qnn_theory.relations.stacks.factors import by_common_factor, by_prime_factors
from qnn_theory.relations.stacks.opposite import by_opposite_directions
from qnn_theory.relations.stacks.pair import StackPair, axes, random_member
from qnn_theory.relations.stacks.stacked import in_layer, suffixes
from qnn_theory.relations.witness import Witness, entries_of, witness
from qnn_theory.smoothness_classes.smoothness import Analytic, smoothness

_MONOMIALS = 220
_FEW = 3
_DIFFERENCES = 32

_DEGREE_WRITTEN_OUT = 16
"""Polynomials of a stack are written out for the checker up to this degree bound of the target."""


def find_stack_separation(source: Format, target: Format, depth: int, *, minimal: bool = True) -> Separation | None:
    """A reason why some stack of the source is no stack of the target, or None when no invariant shows one."""
    pair = StackPair(source, target, depth, minimal)
    for invariant in _INVARIANTS:
        check()
        found = invariant(pair)
        if found is not None:
            return found
    return None


def _by_smoothness(pair: StackPair) -> Separation | None:
    a, b = pair.layers
    if not uses_activation(a.expr):
        return None
    ours, theirs = smoothness(a, depth=pair.depth), smoothness(b, depth=pair.depth)
    shown = ours.witness
    if shown is None or not ours.exact or isinstance(ours.order, Analytic) or not theirs.order > ours.order:
        return None
    smooth = "analytic" if isinstance(theirs.order, Analytic) else f"C^{theirs.order}"
    output = next(i for i, size in enumerate(shown.jump) if size)
    values = {
        in_layer(name, suffix): value
        for suffix, own in zip(suffixes(a, pair.depth), shown.parameters, strict=True)
        for name, value in unrolled_values(a.expr, own).items()
    }
    entries = {entry: Fraction(value) for entry, value in entries_of(values).items()}
    dim = len(shown.point)
    numbers = [*shown.point, *shown.direction, shown.jump[output]]
    exact = all(isinstance(number, int | Fraction) for number in numbers)
    data = jump_data(output, shown.point, shown.direction, shown.derivative, shown.jump[output])
    point = ", ".join(str(v) if isinstance(v, Fraction | int) else f"{float(v):.6g}" for v in shown.point)
    direction = ", ".join(map(str, shown.direction))
    return pair.separation(
        "smoothness",
        f"every function of {pair.target.id} is {smooth if uses_activation(b.expr) else 'a polynomial'}",
        f"derivative {shown.derivative} of y_{output + 1} along ({direction}) at x = ({point}) jumps by {shown.jump[output]}",
        witness(pair.source.expr, entries, dim=dim, outputs=[output]),
        [dim],
        closed=not uses_activation(b.expr),
        data=data if exact else None,
    )


def _by_degree(pair: StackPair) -> Separation | None:
    """A larger degree on a line than any stack of the target has."""
    if not _are_piecewise(pair):
        return None
    bound = degree_bound(pair.layers[1].expr, depth=pair.depth)
    if degree_bound(pair.layers[0].expr, depth=pair.depth) <= bound:
        return None
    (dim,) = pair.dims(4)
    line = (tuple(2 * i + 1 for i in range(dim)),)
    for attempt in range(DRAWS):
        entries = pair.draw(dim, attempt)
        pieces = pair.source_piece(entries, line)
        for output, piece in enumerate(pieces or []):
            if _degree(piece) <= bound:
                continue

            def holds(some: Entries, output: int = output) -> bool:
                now = pair.source_piece(some, line)
                return now is not None and _degree(now[output]) > bound

            shown = pair.shown(entries, holds, dim, [output])
            now = pair.source_piece(dict(shown.entries), line) or pieces or []
            rule = f"{of_every(pair.b)} of {pair.target.id}, y_{output + 1} has degree at most {bound}"
            finding = f"along x = s ({', '.join(map(str, line[0]))}) the witness has degree {_degree(now[output])}"
            return pair.separation("degree", rule, finding, shown, [dim], data=_degree_data(pair, shown, output, bound))
    return None


def _degree_data(pair: StackPair, shown: Witness, output: int, bound: int) -> dict[str, Any] | None:
    """A term of the witness above the bound, for the checker; None where the witness has too many terms to be written out."""
    if bound > _DEGREE_WRITTEN_OUT:
        return None
    pieces = pair.source_piece(dict(shown.entries), axes(shown.dim, shown.dim))
    above = [] if pieces is None else [m for m, c in pieces[output].items() if c and sum(m) > bound]
    if not above:
        return None
    germs = [germ_at([output], generic_point(shown.dim))]
    worst = max(above, key=lambda monomial: (sum(monomial), monomial))
    return {"rule": "coefficients", "germs": germs, "output": output, "gates": "free", **missing_term(worst)}


def _by_coefficients(pair: StackPair) -> Separation | None:
    """A linear rule of the target's polynomial pieces that the source breaks."""
    if not _are_piecewise(pair):
        return None
    dims = pair.dims(4, 6)
    for few in (True, False):
        first = _broken_rule(pair, dims[0], few)
        if first is not None and _broken_rule(pair, dims[1], few) is not None:
            break
    else:
        return None
    entries, output, broken, count = first
    where = axes(dims[0], count)

    def holds(some: Entries) -> bool:
        now = pair.source_piece(some, where)
        return now is not None and broken.test(now[output])

    shown = pair.shown(entries, holds, dims[0], [output])
    now = pair.source_piece(dict(shown.entries), where)
    rules = _rules(pair.layers[1], pair.depth, dims[0], count, few)[output]
    again = None if now is None else rules.violation(now[output], own=_own(output, count))
    finding = (again if again is not None and again.rule == broken.rule else broken).finding
    zeros = "" if count == dims[0] else f", where {' = '.join(f'x_{i + 1}' for i in range(count, dims[0]))} = 0,"
    rule = f"{of_every(pair.b)} of {pair.target.id}{zeros or ','} y_{output + 1} {broken.rule}"
    data = None
    if count == dims[0] and again is not None:
        data = equation_data(output, again, generic_point(dims[0]))
    return pair.separation(broken.kind, rule, f"the witness {finding}", shown, dims, data=data)


def _broken_rule(pair: StackPair, dim: int, few: bool) -> tuple[Entries, int, Violation, int] | None:
    count = _free_inputs(pair, dim)
    where = axes(dim, count)
    for attempt in range(DRAWS):
        entries = pair.draw(dim, attempt)
        pieces = pair.source_piece(entries, where)
        if pieces is None:
            continue
        rules = _rules(pair.layers[1], pair.depth, dim, count, few)
        found = [
            (broken.severity, output, broken)
            for output, polynomial in enumerate(pieces)
            if (broken := rules[output].violation(polynomial, own=_own(output, count))) is not None
        ]
        if found:
            _, output, broken = min(found, key=lambda item: item[:2])
            return entries, output, broken, count
        return None
    return None


def _free_inputs(pair: StackPair, dim: int) -> int:
    """As many inputs as polynomials of both stacks have few monomials in."""
    degree = max(degree_bound(format.expr, depth=pair.depth) for format in pair.layers)
    fitting = [k for k in range(1, dim + 1) if math.comb(k + degree, k) <= _MONOMIALS]
    return max(fitting, default=1)


class _FewMembers(LinearRules):
    """Rules that a few members show: degrees, missing monomials and fixed coefficients."""

    @property
    def relations(self) -> list[Any]:
        """None: it takes more members than monomials."""
        return []


@cache
def _rules(format: Format, depth: int, dim: int, count: int, few: bool) -> tuple[LinearRules, ...]:
    where = axes(dim, count)
    members = [random_member(format, depth, "0", where)]
    enough = _FEW if few else max(map(len, members[0])) + 4
    members += [random_member(format, depth, str(k), where) for k in range(1, enough)]
    kind = _FewMembers if few else LinearRules
    return tuple(kind([m[output] for m in members]) for output in range(len(members[0])))


def _by_finite_differences(pair: StackPair) -> Separation | None:
    """A smooth activation in the source, no polynomial, where the target has polynomials of a moderate degree."""
    return by_finite_differences(pair) if degree_bound(pair.layers[1].expr, depth=pair.depth) <= _DIFFERENCES else None


def _by_dimension(pair: StackPair) -> Separation | None:
    """More effective dimensions than the target has."""
    a, b = pair.layers
    if uses_activation(a.expr) or uses_activation(b.expr):
        return None
    dims: list[int] = []
    sizes: list[tuple[int, int]] = []
    for dim in pair.dims(4, 6, 8, 10):  # at the smallest d the target's set may still be as large
        check()
        try:
            ours, theirs = (effective_dimension(format, dim=dim, depth=pair.depth).dimension for format in (a, b))
        except (ArithmeticError, ValueError):  # too large, or a rank that did not settle
            return None
        if sizes and ours <= theirs and ours - sizes[-1][0] <= theirs - sizes[-1][1]:
            return None  # and it grows no faster
        dims.append(dim)
        sizes.append((ours, theirs))
        if len(sizes) > 1 and all(o > t for o, t in sizes[-2:]):
            break
    else:
        return None
    dims, sizes = dims[-2:], sizes[-2:]
    (ours, theirs), dim = sizes[0], dims[0]
    rule = f"the functions of {pair.target.id} form a set of dimension {theirs} (d = {dim})"
    finding = f"those of {pair.source.id} form one of dimension {ours}, so most of them are none of {pair.target.id}"
    return pair.separation(
        "dimension", rule, finding, None, dims, data={"rule": "dimension", "dim": dim, "source": ours, "target": theirs}
    )


def _are_piecewise(pair: StackPair) -> bool:
    return all(is_piecewise_polynomial(format.expr) for format in pair.layers)


def _own(output: int, count: int) -> int | None:
    return output if output < count else None


def _degree(polynomial: Polynomial) -> int:
    return max((sum(m) for m, c in polynomial.items() if c), default=0)


_INVARIANTS: tuple[Callable[[StackPair], Separation | None], ...] = (
    by_width,
    _by_smoothness,
    _by_degree,
    _by_coefficients,
    by_sign,
    _by_finite_differences,
    _by_dimension,
    by_common_factor,
    by_prime_factors,
    by_opposite_directions,
    by_cubics,
)
