"""A map into a format that realises a whole class, read off its structure.

The classes: every polynomial with given monomials (T1: every quadratic map; Linear: every affine one), every product of n affine
forms an output (T5), every sum of R of them, every affine map of rank at most w d, and sums of these.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from fractions import Fraction

from qnn_theory.algebra.deadline import check
from qnn_theory.grammar.expr import Affine, Concat, Constant, Expr, Sum, x
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import normal_form
from qnn_theory.grammar.stacking import fill_parameters, parameter_count
from qnn_theory.grammar.widths import divisor, parameters, width
from qnn_theory.relations.containment.proof import polynomial_degree
from qnn_theory.relations.function_classes.coefficient_map import CoefficientMap, Copy, Reading, Slot
from qnn_theory.relations.function_classes.expansion import degree, expand
from qnn_theory.relations.function_classes.simplify import negative, simplified, times, total
from qnn_theory.relations.function_classes.structure import Form, Part, ProductSlot, parts_of, special_cases
from qnn_theory.relations.function_classes.terms import Term, joined_terms, part_of, terms_of

_MONOMIALS = 2_000
_PARAMETERS = 2_000
_SPECIAL_CASES = 24
_SLOTS = 6

Found = tuple[list[Reading], list[Copy]]


def class_maps(source: Format, target: Format) -> Iterator[CoefficientMap]:
    """Maps that the structure of the target offers, to be proved like any other.

    Args:
        source: the format whose functions are to be written in the other.
        target: the other format.
    """
    a, b = simplified(normal_form(source.expr)), normal_form(target.expr)
    highest = degree(a)
    dim = math.lcm(divisor(a), divisor(b))
    dim *= -(-3 // dim)
    if highest is None or width(a) != width(b):
        return
    if math.comb(dim + highest, dim) > _MONOMIALS or parameter_count(a, (dim, dim)) > _PARAMETERS:
        return
    # Names that the rewriting removed are zero in the source, whatever they are there.
    for special, fixed in itertools.islice(special_cases(b), _SPECIAL_CASES):
        check()
        parts = parts_of(special)
        if parts is None or not any(part.linear or part.products for part in parts):
            continue
        found = _all_parts(a, parts, dim)
        if found is not None:
            readings, copies = found
            yield CoefficientMap(
                name=source.id,
                source=a,
                parameters=tuple(parameters(b)),
                readings=tuple(readings),
                copies=tuple(copies),
                fixed=fixed,
                entry_degree=polynomial_degree(a),
            )


def _all_parts(a: Expr, parts: Sequence[Part], dim: int) -> Found | None:
    readings: list[Reading] = []
    copies: list[Copy] = []
    linear = tuple(slot for part in parts for slot in part.linear)
    residual = Concat(tuple(part.residual for part in parts)) if len(parts) > 1 else parts[0].residual
    whole = _difference(a, residual)
    if linear and _covers(linear, whole, dim):
        return [Reading(whole, linear), *_unused([slot for part in parts for slot in part.products])], []
    for part in parts:
        own = part_of(a, part.first, part.width)
        if own is None:
            return None
        found = _one_part(_difference(own, part.residual), part, dim)
        if found is None:
            return None
        readings += found[0]
        copies += found[1]
    return readings, copies


def _difference(expr: Expr, residual: Expr) -> Expr:
    return simplified(Sum(terms=(expr, negative(residual))))


def _one_part(expr: Expr, part: Part, dim: int) -> Found | None:
    linear = tuple(_moved(slot) for slot in part.linear)
    if _covers(linear, expr, dim):
        return _absorbed([expr], linear, part, []), []
    separate = terms_of(expr)
    for terms in (separate, joined_terms(separate)):
        inside = [term for term in terms if _covers(linear, term.expr, dim)]
        for absorbed in (inside, []) if inside else ([],):
            rest = [term for term in terms if term not in absorbed]
            for kept in (rest, joined_terms(rest)):
                found = _into_products(kept, part.products)
                if found is not None:
                    readings, copies, unused = found
                    taken = _absorbed([term.expr for term in absorbed], linear, part, unused)
                    return [*taken, *readings], copies
    return None


def _absorbed(exprs: list[Expr], linear: tuple[Slot, ...], part: Part, used: Sequence[ProductSlot]) -> list[Reading]:
    own = total(exprs) if exprs else Constant(value=Fraction(0), width=part.width)
    unused = [slot for slot in part.products if slot not in used]
    return [*([Reading(own, linear)] if linear else []), *_unused(unused)]


def _moved(slot: Slot) -> Slot:
    """A slot as the reading of one part sees it, whose outputs are counted from its own first."""
    return Slot(
        role=slot.role,
        weight=slot.weight,
        bias=slot.bias,
        first=Fraction(0),
        width=slot.width,
        factor=slot.factor,
        outer=slot.outer,
        inner=slot.inner,
    )


def _unused(slots: Sequence[ProductSlot]) -> list[Reading]:
    """A product without a job is zero: all its parameters are, and a fixed summand of its first form is taken away."""
    return [
        Reading(negative(form.shift), (_slot_of(form),))
        for slot in slots
        for form, _ in slot.forms[:1]
        if form.shift is not None
    ]


def _into_products(
    terms: Sequence[Term], slots: Sequence[ProductSlot]
) -> tuple[list[Reading], list[Copy], list[ProductSlot]] | None:
    """Every term to a product slot of its own; also the slots that were used."""
    if len(terms) > len(slots) or len(slots) > _SLOTS:
        return None
    if not terms:
        return [], [], []
    for k, slot in enumerate(slots):
        found = _into_product(terms[0], slot)
        rest = None if found is None else _into_products(terms[1:], [*slots[:k], *slots[k + 1 :]])
        if found is not None and rest is not None:
            return [*found[0], *rest[0]], [*found[1], *rest[1]], [slot, *rest[2]]
    for one, other in itertools.permutations(slots, 2):
        found = _into_squares(terms[0], one, other)
        left = [slot for slot in slots if slot not in (one, other)]
        rest = None if found is None else _into_products(terms[1:], left)
        if found is not None and rest is not None:
            return [*found[0], *rest[0]], [*found[1], *rest[1]], [one, other, *rest[2]]
    return None


def _into_squares(term: Term, plus: ProductSlot, minus: ProductSlot) -> Found | None:
    """A product as a difference of squares, ``4 a b = (a + b)² - (a - b)²``."""
    squares = all(len(slot.forms) == 1 and slot.forms[0][1] == 2 for slot in (plus, minus))
    if not squares or plus.factor <= 0 or plus.factor != -minus.factor or plus.outer != minus.outer:
        return None
    cores = list(term.cores)
    if not term.forms or cores.count(x) < plus.outer:
        return None
    for _ in range(plus.outer):
        cores.remove(x)
    if len(cores) > 2:
        return None
    half = Constant(value=Fraction(1, 2), width=term.width)
    inverse = Constant(value=1 / plus.factor, width=term.width)
    a = times([half, inverse, *(() if term.scale is None else (term.scale,)), *cores[:1]])
    b = times([half, *cores[1:]])
    out = Constant(value=Fraction(1), width=term.width)
    first = _into_form([total([a, b])], plus.forms[0][0], out)
    second = _into_form([total([a, negative(b)])], minus.forms[0][0], out)
    if first is None or second is None:
        return None
    return [*first[0], *second[0]], [*first[1], *second[1]]


def _into_product(term: Term, slot: ProductSlot) -> Found | None:
    if not term.forms:
        return None
    cores = list(term.cores)
    for _ in range(slot.outer):
        if x not in cores:
            return None
        cores.remove(x)
    out = Constant(value=Fraction(1), width=term.width)
    scale: Expr | None = term.scale
    if slot.factor != 1:
        scale = times([Constant(value=1 / slot.factor, width=term.width), *(() if scale is None else (scale,))])
    for order in set(itertools.permutations(range(len(slot.forms)))):
        left, readings, copies, pending = list(cores), list[Reading](), list[Copy](), scale
        for k in order:
            form, power = slot.forms[k]
            core = next((c for c in left if left.count(c) >= power), None) if power > 1 else next(iter(left), None)
            for _ in range(power if core is not None else 0):
                left.remove(core)  # type: ignore[arg-type]
            factors = [*(() if pending is None or power > 1 else (pending,)), *(() if core is None else (core,))]
            found = _into_form(factors, form, out)
            if found is None:
                break
            pending = pending if power > 1 else None
            readings += found[0]
            copies += found[1]
        else:
            if not left and pending is None:
                return readings, copies
    return None


def _slot_of(form: Form) -> Slot:
    node = form.outer
    return Slot(role="affine", weight=node.name, bias=node.bias, first=Fraction(0), width=node.width)


def _into_form(factors: list[Expr], form: Form, out: Constant) -> Found | None:
    value = times(factors) if factors else out
    if form.shift is not None:
        value = total([value, negative(form.shift)])
    if degree(value) not in (0, 1):
        return None
    if not form.outer.bias and _may_have_constant(value):
        return None
    return (
        ([Reading(value, (_slot_of(form),))], []) if form.inner is None else _into_narrow(value, form.outer, form.inner)
    )


def _into_narrow(value: Expr, outer: Affine, inner: Affine) -> Found | None:
    """``V (U x + b_U) + b_V``: the source's own narrow maps, if their widths add up to no more than that of U."""
    maps: list[Affine] = []
    scales: set[Expr | None] = set()
    constants: list[Expr] = []
    for term in terms_of(value):
        if not term.cores:
            constants.append(term.expr)
            continue
        if len(term.cores) != 1 or not isinstance(term.cores[0], Affine):
            return None
        maps.append(term.cores[0])
        scales.add(term.scale)
    room = inner.width - sum((width(node.of) for node in maps), Fraction(0))
    if room < 0 or len(scales) > 1 or not maps:
        return None
    biases = tuple(node.name for node in maps if node.bias)
    columns = [node.of for node in maps] + ([Constant(value=Fraction(0), width=room)] if room else [])
    read = Concat(tuple(columns)) if len(columns) > 1 else columns[0]
    if ((biases or constants) and not outer.bias) or (not inner.bias and _may_have_constant(read)):
        return None
    slot = Slot(role="affine", weight=inner.name, bias=inner.bias, first=Fraction(0), width=inner.width)
    copy = Copy(
        weight=outer.name,
        weights=tuple(node.name for node in maps),
        bias=outer.bias,
        biases=biases,
        scale=scales.pop(),
        constant=total(constants) if constants else None,
    )
    return [Reading(read, (slot,))], [copy]


def _may_have_constant(expr: Expr) -> bool:
    values = _drawn(expr, step := divisor(expr))
    return any(output.get((0,) * step, 0) for output in expand(expr, values, dim=step, constant=Fraction))


def _covers(slots: Sequence[Slot], expr: Expr, dim: int) -> bool:
    """Whether every monomial of every output has a slot, at random parameters (the proof follows)."""
    allowed = {(output, monomial) for slot in slots for _, _, output, monomial in slot.entries(dim)}
    outputs = expand(expr, _drawn(expr, dim), dim=dim, constant=Fraction)
    return all(
        (output, monomial) in allowed
        for output, terms in enumerate(outputs)
        for monomial, coefficient in terms.items()
        if coefficient
    )


def _drawn(expr: Expr, dim: int) -> dict[str, object]:
    generator = random.Random("class")
    return fill_parameters(expr, dim=dim, entry=lambda name, index: generator.randrange(1, 10**9))
