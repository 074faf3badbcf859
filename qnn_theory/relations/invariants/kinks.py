"""Separation by kinks: more of them than a format has relus that could make them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

import flint

from qnn_theory.algebra.deadline import check
from qnn_theory.algebra.polynomials import PRIME, Polynomial, polynomial_text, rational_ring, residue, to_ring
from qnn_theory.feature_spaces.pieces import Gates, piece, random_pieces
from qnn_theory.grammar.expr import Activation, Bilinear, Expr, Power, Product, uses_activation, walk
from qnn_theory.grammar.normal_form import normal_form, unrolled_values
from qnn_theory.grammar.widths import width
from qnn_theory.relations.invariants.pair import Entries, Pair, Separation, generic_point, on_both_sides
from qnn_theory.relations.witness import Entry, Witness, nested

_ANY_FACTORS = tuple(random.Random("gate").sample(range(2, PRIME), 2))


def by_kinks(pair: Pair) -> Separation | None:
    """More kink hyperplanes than the target has relus that could make them."""
    if not (uses_activation(pair.a) and has_affine_arguments(pair.a) and has_affine_gates(pair.b)):
        return None
    if any(node.kind == "relu6" for node in walk(pair.b) if isinstance(node, Activation)):
        return None  # it has two kinks
    dims = pair.dims(4, 6)
    found = [_kinks_in_one_output(pair, dim) for dim in dims]
    if all(f is not None for f in found):
        return found[0]
    found = [_kinks_in_all(pair, dim) for dim in dims]
    return found[0] if all(f is not None for f in found) else None


def _kinks_in_one_output(pair: Pair, dim: int) -> Separation | None:
    entries = pair.draw(dim, 0)
    for output, relus in enumerate(relus_of_outputs(pair.b, dim)):
        ours = _kinks_of(pair, entries, dim, output)
        plain = has_affine_arguments(pair.b) and 0 < len(ours) <= len(relus)
        idle = _idle_relus(pair, dim, output, ours, relus) if plain else ()
        limit = len(relus) - len(idle)
        if len(ours) <= limit:
            continue
        shown = _kink_witness(pair, entries, dim, output, idle, limit + 1)
        now = _kinks_of(pair, dict(shown.entries), dim, output)
        gates = " or ".join(sorted({relu.kind for relu, _ in relus})) or "relu"
        count = f"{len(relus)} {gates}{'s' * (len(relus) != 1)} of affine forms u"
        rule = f"in every function of {pair.target.id}, y_{output + 1} depends on {count}"
        if idle:
            examples = "; ".join(
                f"{polynomial_text(jump)} across {polynomial_text(surface)} = 0" for surface, jump in now
            )
            rule += (
                f", and only {limit} can make a kink of the witness: those jump by {examples}, and no combination of what "
                f"the other{'s' * (len(idle) > 1)} can jump by across these hyperplanes gives one of them"
            )
        else:
            rule += f", so it has kinks on at most {limit} hyperplane{'s' * (limit != 1)}"
        finding = f"the witness has {len(now)} kinks: " + ", ".join(f"{polynomial_text(s)} = 0" for s, _ in now)
        idle_now = _idle_relus(pair, dim, output, now, relus) if len(now) <= len(relus) else ()
        limit = len(relus) - len(idle_now)  # of the witness, which is smaller than what was drawn
        data = hyperplanes_data(pair, [plain_plane(surface, dim) for surface, _ in now], output, limit)
        # Kinks that meet can jump by what no relu jumps by alone.
        return pair.separation("kinks", rule, finding, shown, pair.dims(4, 6), closed=not idle, data=data)
    return None


def _kink_witness(
    pair: Pair, entries: Entries, dim: int, output: int, idle: tuple[tuple[Activation, int], ...], count: int
) -> Witness:
    """A small function with as many kinks, which the idle relus cannot make either."""
    relus = relus_of_outputs(pair.b, dim)[output]

    def as_many(some: Entries) -> bool:
        return len(_kinks_of(pair, some, dim, output)) >= count

    def still_idle(some: Entries) -> bool:
        return as_many(some) and len(_idle_relus(pair, dim, output, _kinks_of(pair, some, dim, output), relus)) >= len(
            idle
        )

    shown = pair.shown(entries, as_many, dim, [output])
    if not idle or still_idle(dict(shown.entries)):
        return shown
    return pair.shown(entries, still_idle, dim, [output])


def _kinks_of(pair: Pair, entries: Entries, dim: int, output: int) -> list[tuple[Polynomial, Polynomial]]:
    """The kinks of one output: hyperplane and jump."""
    only = frozenset(relus_of_outputs(pair.a, dim)[output])
    found = kinks(pair.source.expr, entries, dim, only=only)
    return [(surface, jumps[output]) for surface, jumps in found if any(jumps[output].values())]


def _kinks_in_all(pair: Pair, dim: int) -> Separation | None:
    entries = pair.draw(dim, 0)
    ours = len(kinks(pair.source.expr, entries, dim))
    limit = len({relu for relus in relus_of_outputs(pair.b, dim) for relu in relus})
    if ours <= limit:
        return None

    def holds(some: Entries) -> bool:
        return len(kinks(pair.source.expr, some, dim)) > limit

    shown = pair.shown(entries, holds, dim, range(int(width(pair.a) * dim)))
    planes = [surface for surface, _ in kinks(pair.source.expr, dict(shown.entries), dim)]
    surfaces = [polynomial_text(plane) for plane in planes]
    rule = (
        f"a function of {pair.target.id} has {limit} gates of affine forms in all (d = {dim}), so at most {limit} kinks"
    )
    finding = f"the witness has {len(surfaces)}: " + ", ".join(f"{s} = 0" for s in surfaces)
    data = hyperplanes_data(pair, [plain_plane(plane, dim) for plane in planes], None, limit)
    return pair.separation("kinks", rule, finding, shown, pair.dims(4, 6), data=data)


def hyperplanes_data(
    pair: Pair, planes: Sequence[Sequence[Fraction]], output: int | None, limit: int, *, far: bool = False
) -> dict[str, Any]:
    """Hyperplanes ``c_0 + c_1 x_1 + ...`` with two sides for the checker, more than the target can have."""
    outputs = range(int(width(pair.a) * (len(planes[0]) - 1))) if output is None else [output]
    germs = [germ for plane in planes for germ in on_both_sides(outputs, plane, point_on(plane), far=far)]
    shown = [[str(number) for number in plane] for plane in planes]
    return {"rule": "hyperplanes", "germs": germs, "output": output, "hyperplanes": shown, "limit": limit}


def sides_data(plane: Sequence[Fraction], output: int, *, far: bool) -> dict[str, Any]:
    """The two sides of a hyperplane for the checker, which the target cannot have."""
    germs = on_both_sides([output], plane, point_on(plane), far=far)
    return {"rule": "sides", "germs": germs, "output": output, "hyperplanes": [[str(number) for number in plane]]}


def point_on(plane: Sequence[Fraction]) -> list[Fraction]:
    """A generic point of a hyperplane ``c_0 + c_1 x_1 + ...``."""
    generator = random.Random("on a plane")
    point = [Fraction(generator.randint(-99, 99), generator.randint(1, 7)) for _ in plane[1:]]
    axis = next(i for i, c in enumerate(plane[1:]) if c)
    point[axis] = Fraction(0)
    total = plane[0] + sum((c * p for c, p in zip(plane[1:], point, strict=True)), Fraction(0))
    point[axis] = -total / plane[1 + axis]
    return point


def plain_plane(surface: Polynomial, dim: int) -> list[Fraction]:
    """The coefficients of 1, x_1, ..., x_d, scaled so that the first one of an input is 1."""
    units = [tuple(int(j == axis) for j in range(dim)) for axis in range(-1, dim)]
    numbers = [Fraction(surface.get(unit, 0)) for unit in units]
    lead = next(number for number in numbers[1:] if number)
    return [number / lead for number in numbers]


def kinks(
    expr: Expr, entries: Entries, dim: int, *, only: frozenset[tuple[Activation, int]] | None = None
) -> list[tuple[Polynomial, list[Polynomial]]]:
    """The hyperplanes across which one function changes its polynomial, with the change of every output.

    Args:
        expr: the layer.
        entries: its parameters.
        dim: its input width d.
        only: the relus (node of the normal form and coordinate) to look at; all when left out.
    """
    return _kinks(expr, frozenset(entries.items()), dim, only)


@lru_cache(maxsize=4096)
def _kinks(
    expr: Expr,
    entries: frozenset[tuple[Entry, Fraction]],
    dim: int,
    only: frozenset[tuple[Activation, int]] | None,
) -> list[tuple[Polynomial, list[Polynomial]]]:
    """Cached, because one function of a format is compared with all other formats."""
    found = []
    for side in sides(expr, dict(entries), dim, only=only):
        if side is None:
            continue
        surface, above, below = side
        jumps = [
            {m: f.get(m, Fraction(0)) - g.get(m, Fraction(0)) for m in {*f, *g}}
            for f, g in zip(above, below, strict=True)
        ]
        if any(c for jump in jumps for c in jump.values()):
            found.append((surface, jumps))
    return found


def sides(
    expr: Expr, entries: Entries, dim: int, *, only: frozenset[tuple[Activation, int]] | None = None
) -> Iterator[tuple[Polynomial, list[Polynomial], list[Polynomial]] | None]:
    """The hyperplanes of all relus, with the outputs on the positive and on the negative side of each, near one of its points.

    None for a hyperplane where no such point was found.
    """
    plain = normal_form(expr)
    values = _plain_values(expr, dict(entries), dim)
    ring = rational_ring(dim)
    generator = random.Random("kinks")
    met: dict[str, list[tuple[tuple[Activation, int], Polynomial]]] = {}
    for node in dict.fromkeys(n for n in walk(plain) if isinstance(n, Activation)):
        arguments = piece(node.of, dim=dim, values=values, point=generic_point(dim)) or []
        for index, argument in enumerate(arguments):
            check()
            normal = {m: c for m, c in argument.items() if c}
            if any(sum(m) for m in normal):
                met.setdefault(str(_monic(ring, normal)), []).append(((node, index), normal))
    for relus in met.values():
        if only is not None and not any(relu in only for relu, _ in relus):
            continue
        surface = relus[0][1]
        axis = next(m.index(1) for m in surface if sum(m))
        unit = tuple(int(j == axis) for j in range(dim))
        point = on_hyperplane(surface, axis, dim, generator)
        above, below = (
            piece(
                plain,
                dim=dim,
                values=values,
                point=point,
                # Several relus may meet one hyperplane, from either side.
                forced={relu: on == (normal[unit] * surface[unit] > 0) for relu, normal in relus},
            )
            for on in (True, False)
        )
        yield None if above is None or below is None else (surface, above, below)


def _idle_relus(
    pair: Pair,
    dim: int,
    output: int,
    kinks: Sequence[tuple[Polynomial, Polynomial]],
    relus: Sequence[tuple[Activation, int]],
) -> tuple[tuple[Activation, int], ...]:
    """The target's relus that, even together, cannot make the jump of any of these kinks."""

    def spans(some: Sequence[tuple[Activation, int]], kink: tuple[Polynomial, Polynomial]) -> bool:
        surface, jump = kink
        return _in_span(_possible_jumps(pair.b, dim, output, some, surface), jump)

    idle = tuple(relu for relu in relus if not any(spans([relu], kink) for kink in kinks))
    return idle if idle and not any(spans(idle, kink) for kink in kinks) else ()


def _possible_jumps(
    expr: Expr, dim: int, output: int, relus: Sequence[tuple[Activation, int]], surface: Polynomial
) -> list[Polynomial]:
    """Random jumps of an output across a given hyperplane, made by one of these relus; enough to span them all."""
    found: list[Polynomial] = []
    for number, relu in enumerate(relus):
        count = 0
        while True:
            check()
            on, off = (
                random_pieces(
                    expr, dim=dim, seed=f"jump{number}|{count}", gates=_one_relu(relu, surface, dim, active=active)
                )[output]
                for active in (True, False)
            )
            jump = {m: (on.get(m, 0) - off.get(m, 0)) % PRIME for m in {*on, *off}}
            found.append({m: c for m, c in jump.items() if c})
            count += 1
            if count > max(map(len, found)) + 2:
                break
    return found


def _one_relu(
    relu: tuple[Activation, int], surface: Polynomial, dim: int, *, active: bool
) -> Callable[[random.Random], Gates]:
    """Gates where one relu has a multiple of the surface as its argument, on or off, and the others are free."""

    def gates(generator: random.Random) -> Gates:
        free: dict[tuple[Activation, int], int] = {}
        factor = generator.randrange(1, PRIME)

        def rule(node: Activation, index: int, value: Any) -> Any:
            if (node, index) == relu:
                if not active:
                    return 0 * value
                ring = value.context()
                return factor * ring.from_dict({m: residue(c) for m, c in surface.items()})
            return free.setdefault((node, index), generator.randrange(1, PRIME)) * value

        return rule

    return gates


def _in_span(vectors: Sequence[Polynomial], target: Polynomial) -> bool:
    monomials = sorted({m for v in vectors for m in v} | {m for m, c in target.items() if c})
    if not monomials:
        return True
    rows = [[v.get(m, 0) for m in monomials] for v in vectors]
    with_target = [*rows, [residue(target.get(m, Fraction(0))) for m in monomials]]

    def rank(matrix: list[list[int]]) -> int:
        if not matrix:
            return 0
        return int(flint.nmod_mat(len(matrix), len(monomials), [c for row in matrix for c in row], PRIME).rank())

    return rank(rows) == rank(with_target)


@cache
def relus_of_outputs(expr: Expr, dim: int) -> tuple[tuple[tuple[Activation, int], ...], ...]:
    """For every output the relus (node and coordinate) that it depends on."""
    relus = [
        (node, k)
        for node in dict.fromkeys(n for n in walk(expr) if isinstance(n, Activation))
        for k in range(int(width(node) * dim))
    ]
    result: list[list[tuple[Activation, int]]] = [[] for _ in range(int(width(expr) * dim))]

    def switched(relu: tuple[Activation, int], factor: int) -> Callable[[random.Random], Gates]:
        def gates(generator: random.Random) -> Gates:
            free: dict[tuple[Activation, int], int] = {}

            def rule(node: Activation, index: int, value: Any) -> Any:
                number = free.setdefault((node, index), generator.randrange(1, PRIME))
                return (factor if (node, index) == relu else number) * value

            return rule

        return gates

    for relu in relus:
        on, off = (random_pieces(expr, dim=dim, seed="effective", gates=switched(relu, f)) for f in _states(relu[0]))
        for output, (f, g) in enumerate(zip(on, off, strict=True)):
            if f != g:
                result[output].append(relu)
    return tuple(tuple(found) for found in result)


def _states(node: Activation) -> tuple[int, int]:
    """Two factors that a gate can have: a relu has no others than 1 and 0, a prelu has 1 and any slope, other gates have any."""
    first, second = _ANY_FACTORS
    return {"relu": (1, 0), "prelu": (1, second)}.get(node.kind, (first, second))


def has_affine_arguments(expr: Expr) -> bool:
    """Whether every activation is a relu of an affine form of x."""
    return has_affine_gates(expr) and all(node.kind == "relu" for node in walk(expr) if isinstance(node, Activation))


def has_affine_gates(expr: Expr) -> bool:
    """Whether every activation, of any kind, has an affine form of x as its argument."""
    curved = (Product, Power, Activation, Bilinear)
    return not any(
        isinstance(inner, curved) for node in walk(expr) if isinstance(node, Activation) for inner in walk(node.of)
    )


def on_hyperplane(normal: Polynomial, axis: int, dim: int, generator: random.Random) -> list[Fraction]:
    """A random point of a hyperplane whose normal has this coordinate."""
    point = [Fraction(generator.randint(-60, 60), generator.randint(1, 7)) for _ in range(dim)]
    unit = tuple(int(j == axis) for j in range(dim))
    rest = sum((c * (point[m.index(1)] if sum(m) else 1) for m, c in normal.items() if m != unit), Fraction(0))
    point[axis] = -rest / normal[unit]
    return point


def _plain_values(expr: Expr, entries: Entries, dim: int) -> dict[str, Any]:
    return unrolled_values(expr, nested(expr, entries, dim=dim))


def _monic(ring: Any, polynomial: Polynomial) -> Any:
    value = to_ring(ring, polynomial)
    return value * (1 / value.leading_coefficient())
