"""Separation by hinges: what sums of relus of affine forms can be, given how many there are and which signs they have.

Signs. Where an output is smooth but for terms ``± x^k relu(u)``, it jumps across a kink h = 0 by ``J x^k h``, from h < 0 to
h > 0, and J > 0 needs a relu with a plus. So an output has at most as many kinks with J > 0 as relus with a plus.

Balance. ``V relu(U x + b) + c`` with K units: units whose kinks share a hyperplane h = 0 add up to ``P relu(h) + Q relu(-h)``,
which is ``(P + Q) relu(h) - Q h``. One unit alone has Q = 0 or P = 0. So a function of this kind, written
``Σ J_j relu(h_j) + L x + c`` with one term for each of its M hyperplanes, has L + Σ_S J_j h_j of small rank for some set S of
the j: each of the K - M units that remain frees one Q, or two of them add an affine function of rank 1. An affine map has
rank K/2 at most.
"""

from __future__ import annotations

import itertools
from fractions import Fraction

import flint

from qnn_theory.algebra.deadline import check
from qnn_theory.algebra.polynomials import Polynomial, polynomial_text
from qnn_theory.grammar.expr import (
    Activation,
    Affine,
    Concat,
    Expr,
    HeadMajor,
    Input,
    Multiple,
    Product,
    Slice,
    Sum,
    walk,
)
from qnn_theory.grammar.widths import width
from qnn_theory.relations.invariants.kinks import has_affine_arguments, has_affine_gates, kinks, sides
from qnn_theory.relations.invariants.pair import Entries, Pair, Separation, generic_point

_HYPERPLANES = 8
_DRAWS = 2


def by_hinge_signs(pair: Pair) -> Separation | None:
    """More kinks of one sign than the target has relus of that sign."""
    found = _signed_hinges(pair.b)
    kinds = {node.kind for node in walk(pair.a) if isinstance(node, Activation)}
    if not found or not kinds or not kinds <= {"relu", "prelu"} or not has_affine_gates(pair.a):
        return None
    if width(pair.a) != 1 or len({power for _, power in found}) != 1:
        return None
    power = found[0][1]
    limits = {sign: sum(1 for own, _ in found if own in (0, sign)) for sign in (1, -1)}
    results = [_signs_in(pair, dim, power, limits) for dim in pair.dims(4, 6)]
    return results[0] if all(result is not None for result in results) else None


def _signs_in(pair: Pair, dim: int, power: int, limits: dict[int, int]) -> Separation | None:
    slopes = {node.slope for node in walk(pair.source.expr) if isinstance(node, Activation)}
    for attempt, slope in enumerate((Fraction(2), Fraction(0))):  # a slope above 1 turns the kink of a prelu round
        drawn = pair.draw(dim, attempt)
        entries = {entry: slope if entry[0] in slopes else value for entry, value in drawn.items()}
        for sign, limit in limits.items():

            def surfaces(some: Entries, sign: int = sign) -> list[Polynomial]:
                found = kinks(pair.source.expr, some, dim)
                rates = [(surface, _rate(surface, jumps[0], 0, power)) for surface, jumps in found]
                return [surface for surface, rate in rates if rate is not None and rate * sign > 0]

            if len(surfaces(entries)) <= limit:
                continue
            shown = pair.shown(entries, lambda some, s=surfaces, n=limit: len(s(some)) > n, dim, [0])  # type: ignore[misc]
            planes = [polynomial_text(surface) for surface in surfaces(dict(shown.entries))]
            factor = {0: "", 1: "x_1 "}.get(power, f"x_1^{power} ")
            word, side = ("plus", ">") if sign > 0 else ("minus", "<")
            rule = (
                f"y_1 of {pair.target.id} has kinks from {limit} terms {factor}relu(u) with a {word} at most, and across a kink "
                f"h = 0 it jumps by J {factor}h with J {side} 0 only where one of them is"
            )
            finding = f"the witness has such kinks at {', '.join(f'{plane} = 0' for plane in planes)}"
            return pair.separation("signs of kinks", rule, finding, shown, pair.dims(4, 6), closed=False)
    return None


def _signed_hinges(expr: Expr, sign: int = 1, power: int = 0) -> list[tuple[int, int]] | None:
    """The terms ``± x^k relu(u)`` of an expression that is smooth but for them, as (sign, k); sign 0 is either."""
    if not any(isinstance(node, Activation) for node in walk(expr)):
        return []
    match expr:
        case Activation(kind="relu" | "prelu" as kind) if has_affine_gates(expr) and not _moves_outputs(expr):
            return [(sign if kind == "relu" else 0, power)]
        case Sum(terms=terms):
            parts = [_signed_hinges(term, sign, power) for term in terms]
            return None if None in parts else [hinge for part in parts if part for hinge in part]
        case Multiple(factor=factor, of=of):
            return _signed_hinges(of, sign * (1 if factor > 0 else -1), power) if factor else []
        case Product(factors=factors):
            rest = [factor for factor in factors if not isinstance(factor, Input)]
            return _signed_hinges(rest[0], sign, power + len(factors) - 1) if len(rest) == 1 else None
        case _:
            return None


def _moves_outputs(expr: Expr) -> bool:
    return any(isinstance(node, Concat | Slice | HeadMajor) for node in walk(expr))


def _rate(surface: Polynomial, jump: Polynomial, output: int, power: int) -> Fraction | None:
    """J where the jump is ``J x_output^power h``, h the surface; None where it is nothing of the kind."""
    unit = {tuple(e + power * (k == output) for k, e in enumerate(m)): c for m, c in surface.items() if c}
    real = {m: c for m, c in jump.items() if c}
    if not real:
        return Fraction(0)
    if set(real) != set(unit):
        return None
    ratios = {Fraction(real[m]) / Fraction(unit[m]) for m in unit}
    return ratios.pop() if len(ratios) == 1 else None


def by_hinge_balance(pair: Pair) -> Separation | None:
    """A sum of relus that needs more units than the target's hidden layer has."""
    found = _hidden_layer(pair.b)
    if found is None or not has_affine_arguments(pair.a) or width(pair.a) != width(pair.b):
        return None
    units, power, added = found
    results = [_balance_in(pair, dim, int(units * dim), power, added) for dim in pair.dims(4, 6)]
    return results[0] if all(result is not None for result in results) else None


def _hidden_layer(expr: Expr, power: int = 0, added: int = 0) -> tuple[Fraction, int, int] | None:
    """Where the layer is ``x^power V relu(U x) + added x``: (width of the hidden layer, power, added)."""
    match expr:
        case Affine(of=Activation(kind="relu", of=Affine(of=Input()) as inner)):
            return inner.width, power, added
        case Product(factors=factors):
            rest = [factor for factor in factors if not isinstance(factor, Input)]
            return _hidden_layer(rest[0], power + len(factors) - 1, added) if len(rest) == 1 else None
        case Sum(terms=terms) if not power and not added:
            rest = [term for term in terms if not isinstance(term, Input)]
            return _hidden_layer(rest[0], power, len(terms) - 1) if len(rest) == 1 else None
        case _:
            return None


def _balance_in(pair: Pair, dim: int, units: int, power: int, added: int) -> Separation | None:
    for attempt in range(_DRAWS):
        entries = pair.draw(dim, attempt)

        def too_many(some: Entries) -> tuple[int, int, int] | None:
            return _excess(pair, some, dim, units, power, added)

        if too_many(entries) is None:
            continue
        outputs = range(int(width(pair.a) * dim))
        shown = pair.shown(entries, lambda some: too_many(some) is not None, dim, outputs)
        excess = too_many(dict(shown.entries))
        if excess is None:
            return None
        hyperplanes, rank, bound = excess
        inside = "y" if not added else "y - x" if added == 1 else f"y - {added} x"
        inside = inside if not power else f"({inside}) / x" if power == 1 else f"({inside}) / x^{power}"
        rule = (
            f"{inside} of {pair.target.id} is a sum of {units} relus of affine forms (d = {dim}), each with a vector of its own, "
            f"and a number; with kinks on {hyperplanes} hyperplanes it is one relu for each, and an affine map that, up to "
            f"turning these relus round, has rank {bound} at most"
        )
        finding = f"the rank is {rank} for the witness, however the relus are turned"
        return pair.separation("balance of kinks", rule, finding, shown, pair.dims(4, 6), closed=False, grows=True)
    return None


def _excess(pair: Pair, entries: Entries, dim: int, units: int, power: int, added: int) -> tuple[int, int, int] | None:
    """(hyperplanes, rank, bound) where the rank is above the bound; None where it is not or cannot be told."""
    check()
    base = pair.piece(entries, dim)
    if base is None:
        return None
    rows = [_undone(polynomial, k, dim, power, added) for k, polynomial in enumerate(base)]
    if any(row is None for row in rows):
        return None
    linear = [row for row in rows if row is not None]
    turned: list[list[list[Fraction]]] = []
    for side in sides(pair.source.expr, entries, dim):
        if side is None:
            return None  # it may be a kink
        surface, above, below = side
        rates = [_rate(surface, _difference(f, g), k, power) for k, (f, g) in enumerate(zip(above, below, strict=True))]
        if any(rate is None for rate in rates):
            return None
        if not any(rates):
            continue
        normal = [Fraction(surface.get(_unit(axis, dim), 0)) for axis in range(dim)]
        sign = -1 if _at(surface, generic_point(dim)) > 0 else 1  # the relu is off around the point of the base piece
        turned.append([[sign * rate * n for n in normal] for rate in rates if rate is not None])
    spare = units - len(turned)
    if spare < 0 or len(turned) > _HYPERPLANES:
        return None
    bound = spare if spare <= len(turned) else len(turned) + (spare - len(turned)) // 2
    lowest = min(
        _rank([[v + sum(m[i][j] for m in some) for j, v in enumerate(row)] for i, row in enumerate(linear)])
        for size in range(len(turned) + 1)
        for some in itertools.combinations(turned, size)
    )
    return (len(turned), lowest, bound) if lowest > bound else None


def _undone(polynomial: Polynomial, output: int, dim: int, power: int, added: int) -> list[Fraction] | None:
    """The linear part of an output after the residual is taken away and ``x^power`` divided out; None if it is not affine."""
    rest = dict(polynomial)
    if added:
        own = _unit(output, dim)
        rest[own] = rest.get(own, Fraction(0)) - added
    result: Polynomial = {}
    for monomial, coefficient in rest.items():
        if not coefficient:
            continue
        lower = tuple(e - power * (k == output) for k, e in enumerate(monomial))
        if min(lower) < 0 or sum(lower) > 1:
            return None
        result[lower] = coefficient
    return [Fraction(result.get(_unit(axis, dim), 0)) for axis in range(dim)]


def _difference(f: Polynomial, g: Polynomial) -> Polynomial:
    return {m: f.get(m, Fraction(0)) - g.get(m, Fraction(0)) for m in {*f, *g}}


def _unit(axis: int, dim: int) -> tuple[int, ...]:
    return tuple(int(j == axis) for j in range(dim))


def _at(surface: Polynomial, point: list[Fraction]) -> Fraction:
    total = Fraction(0)
    for monomial, coefficient in surface.items():
        value = Fraction(coefficient)
        for base, exponent in zip(point, monomial, strict=True):
            value *= base**exponent
        total += value
    return total


def _rank(matrix: list[list[Fraction]]) -> int:
    rows = [[flint.fmpq(v.numerator, v.denominator) for v in row] for row in matrix]
    return int(flint.fmpq_mat(len(rows), len(rows[0]), [v for row in rows for v in row]).rank())
