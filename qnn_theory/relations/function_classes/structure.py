"""What the terms of a target can be: sums of monomials with free coefficients, and products of free affine forms."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from qnn_theory.grammar.expr import (
    Activation,
    Affine,
    Bilinear,
    Concat,
    Constant,
    Expr,
    Input,
    Multiple,
    Power,
    Product,
    Scale,
    Sum,
    has_parameters,
    walk,
    x,
)
from qnn_theory.grammar.rewrite import replace
from qnn_theory.grammar.widths import width
from qnn_theory.relations.function_classes.coefficient_map import Slot
from qnn_theory.relations.function_classes.expansion import degree
from qnn_theory.relations.function_classes.simplify import (
    is_input_power,
    number,
    simplified,
    times,
    total,
    without_parameters,
)

_SPECIAL_NAMES = 4
_TERMS = 64

Fixed = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Form:
    """A factor that is an affine form of x with free coefficients, plus a fixed one.

    Attributes:
        outer: the map whose output it is.
        inner: the narrow map that it reads, None where it reads x.
        shift: what is added to it without parameters, or None.
    """

    outer: Affine
    inner: Affine | None = None
    shift: Expr | None = None


@dataclass(frozen=True, slots=True)
class ProductSlot:
    """A term ``factor x^outer ⊙ form ⊙ form ...``; a form that stands there more than once is a power."""

    forms: tuple[tuple[Form, int], ...]
    outer: int
    factor: Fraction


@dataclass(frozen=True, slots=True)
class Part:
    """One of the joined parts of a target.

    Attributes:
        first: the position of its first output, as a multiple of d.
        width: its width.
        linear: its linear slots.
        products: its product slots.
        residual: what it is with all parameters of its slots at zero.
    """

    first: Fraction
    width: Fraction
    linear: tuple[Slot, ...]
    products: tuple[ProductSlot, ...]
    residual: Expr


def special_cases(expr: Expr) -> Iterator[tuple[Expr, Fixed]]:
    """The target with none, then some of its inner affine maps fixed at 1 or at x; few changes first."""
    free = _unshared(expr)
    inner: dict[str, Affine] = {}
    for node in walk(expr):
        parts: tuple[Expr, ...]
        match node:
            case Product(factors=parts):
                pass
            case Power(of=of) | Activation(of=of) | Affine(of=of):
                parts = (of,)
            case _:
                continue
        for part in parts:
            for found in (part, *(part.terms if isinstance(part, Sum) else ())):
                inside = found.of if isinstance(found, Activation | Power) else found
                if isinstance(inside, Affine) and inside.name in free and inside.bias:
                    inner[inside.name] = inside
    names = list(inner)[:_SPECIAL_NAMES]
    options = [["", "1", "x"] if inner[n].of == x and inner[n].width == 1 else ["", "1"] for n in names]
    for choice in sorted(itertools.product(*options), key=lambda c: sum(map(bool, c))):
        chosen = {n: value for n, value in zip(names, choice, strict=True) if value}

        def rule(node: Expr, chosen: dict[str, str] = chosen) -> Expr:
            if isinstance(node, Affine) and node.name in chosen:
                return number(1, node) if chosen[node.name] == "1" else x
            return node

        changed = simplified(replace(expr, rule))
        if not set(chosen) & {node.name for node in walk(changed) if isinstance(node, Affine)}:
            yield changed, tuple(chosen.items())


def parts_of(expr: Expr) -> list[Part] | None:
    """The structure of a target, part by part; None where an activation stays however small its parameters are."""
    free = _unshared(expr)
    first = Fraction(0)
    found: list[Part] = []
    for part in expr.parts if isinstance(expr, Concat) else (expr,):
        own = _part(part, first, free)
        if own is None:
            return None
        found.append(own)
        first += own.width
    return found


def _part(expr: Expr, first: Fraction, free: set[str]) -> Part | None:
    out = width(expr)
    linear: list[Slot] = []
    products: list[ProductSlot] = []
    residual: list[Expr] = [Constant(value=Fraction(0), width=out)]
    for factor, factors in _terms(expr):
        slot = _linear_slot(factor, factors, first, out, free)
        product = None if slot is not None else _product_slot(factor, factors, free)
        if slot is not None:
            linear.append(slot)
        elif product is not None:
            products.append(product)
            residual.append(_times_number(factor, [_at_zero(f) for f in factors]))
        else:
            residual.append(_times_number(factor, [without_parameters(f) for f in factors]))
    rest = total(residual)
    if degree(rest) is None:
        return None
    return Part(first=first, width=out, linear=tuple(linear), products=tuple(products), residual=rest)


def _at_zero(factor: Expr) -> Expr:
    """A product slot is taken whole, shifts included, so it leaves nothing behind."""
    return number(0, factor)


def _times_number(factor: Fraction, factors: list[Expr]) -> Expr:
    return simplified(Multiple(factor=factor, of=times(factors)))


def _terms(expr: Expr) -> list[tuple[Fraction, list[Expr]]]:
    """The expression as a sum of products; a sum that is one affine form stays one factor."""
    match expr:
        case Sum(terms=terms):
            return [term for part in terms for term in _terms(part)]
        case Multiple(factor=factor, of=of):
            return [(factor * own, factors) for own, factors in _terms(of)]
        case Product(factors=parts):
            found: list[tuple[Fraction, list[Expr]]] = [(Fraction(1), [])]
            for part in parts:
                options = [(Fraction(1), [part])] if degree(part) in (0, 1) else _terms(part)
                found = [(c * d, [*f, *g]) for c, f in found for d, g in options]
                if len(found) > _TERMS:
                    return [(Fraction(1), [expr])]
            return found
        case Power(of=of, exponent=exponent):
            return [(Fraction(1), [of] * exponent)]
        case _:
            return [(Fraction(1), [expr])]


def _linear_slot(factor: Fraction, factors: list[Expr], first: Fraction, out: Fraction, free: set[str]) -> Slot | None:
    outer, varying = _outer_power(factors)
    if len(varying) != 1 or factor == 0:
        return None

    def slot(role: Literal["affine", "bilinear", "scale"], name: str, bias: bool, power: int, *inner: int) -> Slot:
        return Slot(
            role=role, weight=name, bias=bias, first=first, width=out, factor=factor, outer=power, inner=inner or (1,)
        )

    match varying[0]:
        case Affine(name=name, of=of, bias=bias) if name in free and (p := is_input_power(of)) is not None:
            return slot("affine", name, bias, outer, p)
        case Bilinear(name=name, left=left, right=right, bias=bias) if name in free:
            p, q = is_input_power(left), is_input_power(right)
            if p is not None and q is not None:
                return slot("bilinear", name, bias, outer, p, q)
        case Scale(name=name, of=of) if name in free:
            power = 0 if of == number(1, of) else is_input_power(of)
            if power is not None:
                return slot("scale", name, False, outer + power)
    return None


def _product_slot(factor: Fraction, factors: list[Expr], free: set[str]) -> ProductSlot | None:
    outer, varying = _outer_power(factors)
    counts = Counter(varying)
    # A map that stands in a term more than once is free as long as it stands nowhere else.
    forms = [(_form(expr, free), count) for expr, count in counts.items()]
    if not forms or factor == 0 or any(form is None for form, _ in forms):
        return None
    return ProductSlot(
        forms=tuple((form, count) for form, count in forms if form is not None), outer=outer, factor=factor
    )


def _form(expr: Expr, free: set[str]) -> Form | None:
    shift: list[Expr] = []
    node: Expr = expr
    if isinstance(expr, Sum):
        varying = [term for term in expr.terms if has_parameters(term)]
        shift = [term for term in expr.terms if not has_parameters(term)]
        if len(varying) != 1:
            return None
        node = varying[0]
    if not isinstance(node, Affine) or node.name not in free:
        return None
    fixed = total(shift) if shift else None
    if fixed is not None and degree(fixed) not in (0, 1):
        return None
    if node.of == x:
        return Form(outer=node, shift=fixed)
    match node.of:
        case Affine(name=name, of=Input()) if name in free and fixed is None:
            return Form(outer=node, inner=node.of)
        case _:
            return None


def _outer_power(factors: list[Expr]) -> tuple[int, list[Expr]]:
    outer, varying = 0, list[Expr]()
    for factor in factors:
        power = is_input_power(factor)
        if power is None:
            varying.append(factor)
        else:
            outer += power
    return outer, varying


def _unshared(expr: Expr) -> set[str]:
    """Maps that stand in one term only, once products are multiplied out: they can be chosen without a look at the rest."""
    counts: Counter[str] = Counter()
    for part in expr.parts if isinstance(expr, Concat) else (expr,):
        for _, factors in _terms(part):
            for factor in set(factors):
                counts.update(node.name for node in walk(factor) if isinstance(node, Affine | Bilinear | Scale))
    return {name for name, count in counts.items() if count == 1}
