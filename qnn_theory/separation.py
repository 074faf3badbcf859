"""Separation F_a ⊄ F_b: an explicit function of a, and a property of all functions of b that it lacks.

Every invariant below is a function from two formats to a `Separation` or None; `find_separation` asks them in turn, the easiest
to follow first. None of them knows a format: each reads the two expressions, so it also places a format that a user adds.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import flint

from qnn_theory.evaluate import evaluate, relu_of_numbers
from qnn_theory.expr import Activation, Bilinear, Expr, Input, Power, Product, Sum, uses_activation, walk
from qnn_theory.formats import Format
from qnn_theory.intervals import Interval, interval
from qnn_theory.linear_rules import LinearRules, Violation, polynomial_text
from qnn_theory.normal_form import normal_form
from qnn_theory.pieces import (
    PRIME,
    Gates,
    Polynomial,
    constant_piece,
    is_piecewise_polynomial,
    piece,
    random_pieces,
    rational_ring,
    residue,
)
from qnn_theory.smoothness import Analytic, smoothness
from qnn_theory.widths import divisor, width
from qnn_theory.witness import Entry, Witness, nested, random_entries, shrink, witness

_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
_DRAWS = 6

Entries = Mapping[Entry, Fraction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Separation:
    """A function of one format that another cannot express, and why.

    Attributes:
        source: id of the format that has the function.
        target: id of the format that has not.
        invariant: the kind of argument.
        rule: what holds for every function of the target.
        finding: what the witness has instead.
        witness: the function; None where the output widths differ.
        dims: the d at which the rule was computed and the witness broke it.
        closed: whether the rule survives limits, so that the target does not even approach the witness.
    """

    source: str
    target: str
    invariant: str
    rule: str
    finding: str
    witness: Witness | None
    dims: tuple[int, ...]
    closed: bool = True

    @property
    def lines(self) -> tuple[str, ...]:
        """The argument, step by step."""
        if self.witness is None:
            return (self.rule, self.finding)
        function = f"{self.source} has {self.witness.function_text}, at {self.witness.parameters_text} (d = {self.witness.dim})"
        return (function, self.rule, self.finding)


def find_separation(source: Format, target: Format, *, minimal: bool = True) -> Separation | None:
    """A reason why some function of `source` is none of `target`, or None when no invariant shows one.

    Args:
        source: the format that should have the function.
        target: the format that should not.
        minimal: make the witness sparse and small; otherwise the first that was drawn.
    """
    pair = _Pair(source, target, minimal)
    for invariant in _INVARIANTS:
        found = invariant(pair)
        if found is not None:
            return found
    return None


class _Pair:
    """Two formats, and what the invariants share."""

    def __init__(self, source: Format, target: Format, minimal: bool) -> None:
        self.source, self.target, self.minimal = source, target, minimal
        self.a, self.b = normal_form(source.expr), normal_form(target.expr)
        self.step = math.lcm(divisor(self.a), divisor(self.b))

    def dims(self, *least: int) -> tuple[int, ...]:
        """The smallest admissible d from each bound on, ascending and distinct."""
        found: list[int] = []
        for bound in least:
            dim = self.step * -(-bound // self.step)
            found.append(dim if not found or dim > found[-1] else found[-1] + self.step)
        return tuple(found)

    def separation(
        self, invariant: str, rule: str, finding: str, shown: Witness | None, dims: Sequence[int], *, closed: bool = True
    ) -> Separation:
        return Separation(
            source=self.source.id,
            target=self.target.id,
            invariant=invariant,
            rule=rule,
            finding=finding,
            witness=shown,
            dims=tuple(dims),
            closed=closed,
        )

    def draw(self, dim: int, attempt: int, *, signed: bool = False) -> dict[Entry, Fraction]:
        return random_entries(self.source.expr, dim=dim, seed=f"{self.source.id}|{dim}|{attempt}", signed=signed)

    def piece(self, entries: Entries, dim: int) -> list[Polynomial] | None:
        """The piece of the source's function around a fixed positive point."""
        return piece(
            self.source.expr, dim=dim, values=nested(self.source.expr, entries, dim=dim), point=_point(dim)
        )

    def shown(self, entries: Entries, holds: Callable[[Entries], bool], dim: int, outputs: Sequence[int]) -> Witness:
        """The witness, made small if wanted."""
        kept = shrink(entries, holds) if self.minimal else entries
        return witness(self.source.expr, kept, dim=dim, outputs=outputs)


# ------------------------------------------------------------------------------------------------ widths


def _by_width(pair: _Pair) -> Separation | None:
    """Functions into spaces of different dimension."""
    ours, theirs = width(pair.a), width(pair.b)
    if ours == theirs:
        return None
    rule = f"functions of {pair.target.id} have {_times(theirs)} outputs"
    finding = f"those of {pair.source.id} have {_times(ours)}"
    return pair.separation("output width", rule, finding, None, pair.dims(1))


# ------------------------------------------------------------------------------------------------ smoothness


def _by_smoothness(pair: _Pair) -> Separation | None:
    """A kink of the source where the target is smoother."""
    if not uses_activation(pair.a):
        return None
    ours, theirs = smoothness(pair.source), smoothness(pair.target)
    if not ours.exact or isinstance(ours.order, Analytic) or not theirs.order > ours.order:
        return None
    order = ours.order
    smooth = "analytic" if isinstance(theirs.order, Analytic) else f"C^{theirs.order}"
    if not uses_activation(pair.b):
        smooth = "a polynomial"
    rule = f"every function of {pair.target.id} is {smooth}"
    (dim,) = pair.dims(2)
    if _has_affine_atoms(pair.a):
        for attempt in range(_DRAWS):
            entries = pair.draw(dim, attempt)
            found = _kink_of_order(pair, entries, dim, order)
            if found is not None:
                break
        else:
            return None
        kept = (
            shrink(entries, lambda some: _kink_of_order(pair, some, dim, order) is not None) if pair.minimal else entries
        )
        kink = _kink_of_order(pair, kept, dim, order)
        if kink is None:
            return None
        output, surface, jump = kink
        finding = (
            f"y_{output + 1} is C^{order} and no more: it gains {polynomial_text(jump)} across "
            f"{polynomial_text(surface)} = 0, which vanishes there to order {order + 1} only"
        )
        return pair.separation(
            "smoothness", rule, finding, witness(pair.source.expr, kept, dim=dim, outputs=[output]), [dim]
        )
    shown = ours.witness
    if shown is None:
        return None
    entries = _entries_of(shown.parameters[0])
    output = next(i for i, size in enumerate(shown.jump) if size)
    dim = len(shown.point)
    point = ", ".join(f"{float(value):.6g}" if not isinstance(value, Fraction) else str(value) for value in shown.point)
    direction = ", ".join(str(value) for value in shown.direction)
    finding = (
        f"derivative {shown.derivative} of y_{output + 1} along ({direction}) jumps at x = ({point}) by {shown.jump[output]}"
    )
    exact = {entry: Fraction(value) for entry, value in entries.items()}
    return pair.separation(
        "smoothness", rule, finding, witness(pair.source.expr, exact, dim=dim, outputs=[output]), [dim]
    )


def _kink_of_order(pair: _Pair, entries: Entries, dim: int, order: int) -> tuple[int, Polynomial, Polynomial] | None:
    """An output of the source's function that is C^order and no more across a hyperplane, with hyperplane and jump."""
    ring = rational_ring(dim)
    for surface, jumps in _kinks(pair.source.expr, entries, dim):
        u = _to_ring(ring, surface)
        for output, jump in enumerate(jumps):
            if any(jump.values()):
                quotient = divmod(_to_ring(ring, jump), u ** (order + 2))
                if quotient[1] != 0:
                    return output, surface, jump
    return None


def _entries_of(parameters: Mapping[str, Any]) -> dict[Entry, Any]:
    found: dict[Entry, Any] = {}

    def visit(name: str, value: Any, index: tuple[int, ...]) -> None:
        if isinstance(value, list | tuple):
            for i, part in enumerate(value):
                visit(name, part, (*index, i))
        else:
            found[name, index] = value

    for name, value in parameters.items():
        visit(name, value, ())
    return found


# ------------------------------------------------------------------------------------------------ linear rules


def _by_linear_rules(pair: _Pair) -> Separation | None:
    """Degree, divisibility, a missing monomial, a fixed coefficient, a relation between coefficients."""
    if not (is_piecewise_polynomial(pair.a) and is_piecewise_polynomial(pair.b)):
        return None
    dims = pair.dims(4, 6)
    first = _broken_rule(pair, dims[0])
    if first is None or _broken_rule(pair, dims[1]) is None:
        return None
    entries, output, broken = first

    def holds(some: Entries) -> bool:
        now = pair.piece(some, dims[0])
        return now is not None and broken.test(now[output])

    shown = pair.shown(entries, holds, dims[0], [output])
    rule = f"{_of_every(pair.b)} of {pair.target.id}, y_{output + 1} {broken.rule}"
    now = pair.piece(dict(shown.entries), dims[0])
    refound = None if now is None else _rules(pair.b, dims[0])[output].violation(now[output], own=_own(output, dims[0]))
    finding = (refound if refound is not None and refound.rule == broken.rule else broken).finding
    return pair.separation(broken.kind, rule, f"the witness {finding}", shown, dims)


def _broken_rule(pair: _Pair, dim: int) -> tuple[dict[Entry, Fraction], int, Violation] | None:
    """The simplest linear rule of the target that a random function of the source breaks."""
    for attempt in range(_DRAWS):
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
    return _rules_of(lambda seed: random_pieces(expr, dim=dim, seed=seed))


def _rules_of(member: Callable[[str], list[Polynomial]]) -> tuple[LinearRules, ...]:
    members = [member("0")]
    enough = max(map(len, members[0])) + 4
    members += [member(str(k)) for k in range(1, enough)]
    return tuple(LinearRules([m[output] for m in members]) for output in range(len(members[0])))


def _own(output: int, dim: int) -> int | None:
    return output if output < dim else None


# ------------------------------------------------------------------------------------------------ signs


def _by_sign(pair: _Pair) -> Separation | None:
    """Outputs of the target that never cross zero, or the residual, on an orthant."""
    if not all(node.kind in ("relu", "relu6", "prelu") for node in walk(pair.a) if isinstance(node, Activation)):
        return None
    zero = Fraction(0)
    regions = (("", Interval(), 0), ("where every x_j ≥ 0, ", Interval(zero, None), 1), ("where every x_j ≤ 0, ", Interval(None, zero), -1))
    for words, inputs, side in regions:
        for shift, rest in ((0, pair.b), (1, _without_residual(pair.b))):
            for first, part in _parts_of(rest) if rest is not None else ():
                bounds = interval(part, inputs)
                for upper in (False, True):
                    if not (bounds.at_most(0) if upper else bounds.at_least(0)):
                        continue
                    found = _sign_broken(pair, first, part, shift, side, upper, words)
                    if found is not None:
                        return found
    return None


def _sign_broken(
    pair: _Pair, first: Fraction, part: Expr, shift: int, side: int, upper: bool, words: str
) -> Separation | None:
    (dim,) = pair.dims(2)
    outputs = range(int(first * dim), int((first + width(part)) * dim))
    generator = random.Random(f"{pair.source.id}|sign")
    for attempt in range(4 * _DRAWS):
        entries = pair.draw(dim, attempt, signed=True)
        point = [Fraction(generator.choice((1, 2, 3)) * (side or generator.choice((-1, 1)))) for _ in range(dim)]

        def excess(some: Entries, output: int, point: Sequence[Fraction] = point) -> Fraction:
            values = nested(pair.source.expr, some, dim=dim)
            result = evaluate(pair.source.expr, point, values, activation=relu_of_numbers)[output]
            return Fraction(result - shift * point[output]) if shift else Fraction(result)

        def wrong(some: Entries, output: int) -> bool:
            return excess(some, output) > 0 if upper else excess(some, output) < 0  # noqa: B023

        for output in outputs:
            if wrong(entries, output):
                shown = pair.shown(entries, lambda some, output=output: wrong(some, output), dim, [output])  # type: ignore[misc]
                other = f"x_{output + 1}" if shift else "0"
                mark = "≤" if upper else "≥"
                rule = f"in every function of {pair.target.id}, {words}y_{output + 1} {mark} {other}"
                at = ", ".join(map(str, point))
                difference = excess(dict(shown.entries), output)
                finding = f"the witness has y_{output + 1} - {other} = {difference}" if shift else f"the witness has y_{output + 1} = {difference}"
                return pair.separation("sign", rule, f"{finding} at x = ({at})", shown, [dim])
    return None


def _without_residual(expr: Expr) -> Expr | None:
    """The layer minus x, if it adds x."""
    if isinstance(expr, Sum) and Input() in expr.terms:
        rest = list(expr.terms)
        rest.remove(Input())
        return rest[0] if len(rest) == 1 else Sum(terms=tuple(rest))
    return None


def _parts_of(expr: Expr) -> Iterator[tuple[Fraction, Expr]]:
    """The joined parts of an expression, each with the position of its first output as a multiple of d."""
    from qnn_theory.expr import Concat

    first = Fraction(0)
    for part in expr.parts if isinstance(expr, Concat) else (expr,):
        yield first, part
        first += width(part)


# ------------------------------------------------------------------------------------------------ ranks


@dataclass(frozen=True, slots=True)
class _Shape:
    """A matrix whose entries are coefficients of the outputs."""

    name: str
    outputs: tuple[int, ...]
    build: Callable[[Sequence[Polynomial]], list[list[Any]]]


def _by_rank(pair: _Pair) -> Separation | None:
    """A matrix of coefficients whose rank is bounded over the target."""
    if not (is_piecewise_polynomial(pair.a) and is_piecewise_polynomial(pair.b)):
        return None
    found: list[tuple[int, _Shape, int, int]] = []
    dims = pair.dims(4, 6, 8)
    for dim in dims:
        hit = _larger_rank(pair, dim)
        if hit is None:
            found = []
        else:
            found.append((dim, *hit))
    if len(found) < 2:
        return None
    dim, shape, ours, theirs = found[0]
    offset = constant_piece(pair.b, dim=dim)
    entries = pair.draw(dim, 0)

    def holds(some: Entries) -> bool:
        now = pair.piece(some, dim)
        return now is not None and _rank(shape, now, offset) > theirs

    shown = pair.shown(entries, holds, dim, shape.outputs)
    now = pair.piece(dict(shown.entries), dim)
    ours = ours if now is None else _rank(shape, now, offset)
    fixed = ", after the fixed part of its outputs is subtracted," if any(offset[i] for i in shape.outputs) else ""
    bounds = ", ".join(f"{r} at d = {d}" for d, _, _, r in found)
    rule = f"{_of_every(pair.b)} of {pair.target.id}{fixed} {shape.name} has rank at most {theirs} (largest rank: {bounds})"
    return pair.separation("rank", rule, f"the witness has rank {ours}", shown, [d for d, *_ in found])


def _larger_rank(pair: _Pair, dim: int) -> tuple[_Shape, int, int] | None:
    polynomials = pair.piece(pair.draw(dim, 0), dim)
    if polynomials is None:
        return None
    offset = constant_piece(pair.b, dim=dim)
    for shape, theirs in zip(_shapes(dim, len(offset)), _largest_ranks(pair.b, dim), strict=True):
        ours = _rank(shape, polynomials, offset)
        if ours > theirs:
            return shape, ours, theirs
    return None


@cache
def _largest_ranks(expr: Expr, dim: int) -> tuple[int, ...]:
    """The rank that each matrix has for a random member of the format's pieces, which is the largest one."""
    offset = constant_piece(expr, dim=dim)
    members = [random_pieces(expr, dim=dim, seed=f"rank{k}") for k in range(2)]
    return tuple(max(_rank(shape, m, offset) for m in members) for shape in _shapes(dim, len(offset)))


def _rank(shape: _Shape, polynomials: Sequence[Polynomial], offset: Sequence[Polynomial]) -> int:
    shifted: list[Polynomial] = list(polynomials)
    for i in shape.outputs:
        shifted[i] = {
            m: residue(polynomials[i].get(m, 0)) - offset[i].get(m, 0) for m in {*polynomials[i], *offset[i]}
        }
    rows = [[int(c) % PRIME for c in row] for row in shape.build(shifted)]
    return int(flint.nmod_mat(len(rows), len(rows[0]), [c for row in rows for c in row], PRIME).rank())


@cache
def _shapes(dim: int, outputs: int) -> tuple[_Shape, ...]:
    """The matrices that ranks are compared of, the easiest to grasp first."""
    found: list[_Shape] = []
    for i in sorted({0, 1, outputs // 2}):
        others = [j for j in range(dim) if j != i]
        half = len(others) // 2 + 1
        y = f"y_{i + 1}"
        homogeneous: list[int | None] = [None, *range(dim)]
        found += [
            _shape(f"the matrix of the quadratic form in {y}", i, list(range(dim)), list(range(dim))),
            _shape(f"the matrix of {y} as a quadratic form in (1, x)", i, homogeneous, homogeneous),
            _shape(
                f"the part with rows {_indices(others[:half])} and columns {_indices(others[half:])} of the matrix of the "
                f"quadratic form in {y}",
                i,
                list(others[:half]),
                list(others[half:]),
            ),
            _shape(
                f"the part with rows {_indices([None, *others[: half - 1]])} and columns {_indices(others[half - 1 :])} of the "
                f"matrix of {y} as a quadratic form in (1, x)",
                i,
                [None, *others[: half - 1]],
                list(others[half - 1 :]),
            ),
        ]
        if i < dim:
            found.append(
                _shape(f"the matrix of the factor of x_{i + 1} in {y}, as a quadratic form in (1, x),", i, homogeneous, homogeneous, factor=i)
            )
    if outputs == dim:
        found.append(
            _Shape(
                "the matrix with the coefficient of x_i*x_j in y_i at (i, j)",
                tuple(range(dim)),
                lambda f: [[f[i].get(_monomial(dim, i, j), 0) for j in range(dim)] for i in range(dim)],
            )
        )
    for first in (0, outputs // 2):
        block = tuple(range(first, outputs if first else max(outputs // 2, 1)))
        squares = [_monomial(dim, 0, 0), _monomial(dim, 0, 1), _monomial(dim, 1, 1)]
        found.append(
            _Shape(
                f"the matrix of the coefficients of x_1^2, x_1*x_2 and x_2^2 in y_{block[0] + 1}, ..., y_{block[-1] + 1}",
                block,
                lambda f, block=block: [[f[i].get(m, 0) for m in squares] for i in block],  # type: ignore[misc]
            )
        )
    return tuple(found)


def _shape(
    name: str,
    output: int,
    rows: Sequence[int | None],
    columns: Sequence[int | None],
    *,
    factor: int | None = None,
) -> _Shape:
    """The block of the symmetric matrix of an output, or of what one input multiplies in it; None is the index of 1."""

    def build(polynomials: Sequence[Polynomial]) -> list[list[Any]]:
        f = polynomials[output]
        dim = len(next(iter(f), ()))

        def entry(j: int | None, k: int | None) -> Any:
            exponents = [0] * dim
            for index in (j, k, factor):
                if index is not None:
                    exponents[index] += 1
            value = f.get(tuple(exponents), 0)
            return 2 * value if j == k else value

        return [[entry(j, k) for k in columns] for j in rows]

    return _Shape(name, (output,), build)


def _monomial(dim: int, *indices: int) -> tuple[int, ...]:
    return tuple(sum(k == j for k in indices) for j in range(dim))


def _indices(indices: Sequence[int | None]) -> str:
    return "{" + ", ".join("0" if j is None else str(j + 1) for j in indices) + "}"


# ------------------------------------------------------------------------------------------------ kinks


def _by_kinks(pair: _Pair) -> Separation | None:
    """More kink hyperplanes than the target has relus that could make them."""
    if not (uses_activation(pair.a) and _has_affine_atoms(pair.a) and _has_affine_atoms(pair.b)):
        return None
    dims = pair.dims(4, 6)
    found = [_kinks_in_one_output(pair, dim) for dim in dims]
    if all(f is not None for f in found):
        return found[0]
    found = [_kinks_in_all(pair, dim) for dim in dims]
    return found[0] if all(f is not None for f in found) else None


def _kinks_in_one_output(pair: _Pair, dim: int) -> Separation | None:
    entries = pair.draw(dim, 0)
    kinks = _kinks(pair.source.expr, entries, dim)
    for output in range(int(width(pair.b) * dim)):
        ours = [(surface, jumps[output]) for surface, jumps in kinks if any(jumps[output].values())]
        relus = _effective(pair.b, dim)[output]
        idle = _idle_relus(pair, dim, output, ours, relus) if ours else ()
        limit = len(relus) - len(idle)
        if len(ours) <= limit:
            continue

        def holds(some: Entries, output: int = output, limit: int = limit) -> bool:
            now = [(s, j[output]) for s, j in _kinks(pair.source.expr, some, dim) if any(j[output].values())]
            relus = _effective(pair.b, dim)[output]
            return bool(now) and len(now) > len(relus) - len(_idle_relus(pair, dim, output, now, relus))

        shown = pair.shown(entries, holds, dim, [output])
        now = [(s, j[output]) for s, j in _kinks(pair.source.expr, dict(shown.entries), dim) if any(j[output].values())]
        rule = f"in every function of {pair.target.id}, y_{output + 1} depends on {len(relus)} relu{'s' * (len(relus) != 1)} of affine forms u"
        if idle:
            examples = "; ".join(f"{polynomial_text(jump)} across {polynomial_text(surface)} = 0" for surface, jump in now)
            rule += (
                f", and at most {limit} of them can be at work in a kink of the witness: no combination of the jumps of the "
                f"others, which have u as a factor in a way of their own, is one of {examples}"
            )
        else:
            rule += f", so it has kinks on at most {limit} hyperplane{'s' * (limit != 1)}"
        finding = f"the witness has {len(now)}: " + ", ".join(f"{polynomial_text(s)} = 0" for s, _ in now)
        return pair.separation("kinks", rule, finding, shown, [dim, *pair.dims(4, 6)[1:]])
    return None


def _kinks_in_all(pair: _Pair, dim: int) -> Separation | None:
    entries = pair.draw(dim, 0)
    ours = len(_kinks(pair.source.expr, entries, dim))
    limit = len({relu for relus in _effective(pair.b, dim) for relu in relus})
    if ours <= limit:
        return None

    def holds(some: Entries) -> bool:
        return len(_kinks(pair.source.expr, some, dim)) > limit

    shown = pair.shown(entries, holds, dim, range(int(width(pair.a) * dim)))
    surfaces = [polynomial_text(s) for s, _ in _kinks(pair.source.expr, dict(shown.entries), dim)]
    rule = f"a function of {pair.target.id} has {limit} relus of affine forms in all (d = {dim}), so kinks on at most {limit} hyperplanes"
    finding = f"the witness has {len(surfaces)}: " + ", ".join(f"{s} = 0" for s in surfaces)
    return pair.separation("kinks", rule, finding, shown, pair.dims(4, 6))


def _kinks(expr: Expr, entries: Entries, dim: int) -> list[tuple[Polynomial, list[Polynomial]]]:
    """The hyperplanes across which one function changes its polynomial, with the change of every output."""
    plain = normal_form(expr)
    values = _plain_values(expr, entries, dim)
    ring = rational_ring(dim)
    generator = random.Random("kinks")
    found: dict[str, tuple[Polynomial, list[Polynomial]]] = {}
    for node in dict.fromkeys(n for n in walk(plain) if isinstance(n, Activation)):
        arguments = piece(node.of, dim=dim, values=values, point=_point(dim)) or []
        for index, argument in enumerate(arguments):
            normal = {m: c for m, c in argument.items() if c}
            axis = next((m.index(1) for m in normal if sum(m)), None)
            if axis is None:
                continue
            key = str(_monic(ring, normal))
            point = _on_hyperplane(normal, axis, dim, generator)
            sides = [
                piece(plain, dim=dim, values=values, point=point, forced={(node, index): on}) for on in (True, False)
            ]
            if sides[0] is None or sides[1] is None or key in found:
                # Another relu meets the same hyperplane: their jumps may cancel, so it is not counted.
                found.pop(key, None)
                continue
            jumps = [
                {m: f.get(m, Fraction(0)) - g.get(m, Fraction(0)) for m in {*f, *g}}
                for f, g in zip(sides[0], sides[1], strict=True)
            ]
            if any(c for jump in jumps for c in jump.values()):
                found[key] = normal, jumps
    return list(found.values())


def _idle_relus(
    pair: _Pair,
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
        while count < 40:
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


def _one_relu(relu: tuple[Activation, int], surface: Polynomial, dim: int, *, active: bool) -> Callable[[random.Random], Gates]:
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
def _effective(expr: Expr, dim: int) -> tuple[tuple[tuple[Activation, int], ...], ...]:
    """For every output the relus (node and coordinate) that it depends on."""
    relus = [(node, k) for node in dict.fromkeys(n for n in walk(expr) if isinstance(n, Activation)) for k in range(int(width(node) * dim))]
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
        on, off = (random_pieces(expr, dim=dim, seed="effective", gates=switched(relu, f)) for f in (1, 0))
        for output, (f, g) in enumerate(zip(on, off, strict=True)):
            if f != g:
                result[output].append(relu)
    return tuple(tuple(found) for found in result)


def _has_affine_atoms(expr: Expr) -> bool:
    """Whether every activation is a relu of an affine form of x."""
    curved = (Product, Power, Activation, Bilinear)
    return all(
        node.kind == "relu" and not any(isinstance(inner, curved) for inner in walk(node.of))
        for node in walk(expr)
        if isinstance(node, Activation)
    )


# ------------------------------------------------------------------------------------------------ polynomial members


def _by_polynomial_members(pair: _Pair) -> Separation | None:
    """A polynomial of the source, where the target's polynomials have their one relu constant or switched off."""
    if uses_activation(pair.a) or not uses_activation(pair.b) or not _has_affine_atoms(pair.b):
        return None
    dims = pair.dims(4, 6)
    found = [_polynomial_member(pair, dim) for dim in dims]
    return found[0] if all(f is not None for f in found) else None


def _polynomial_member(pair: _Pair, dim: int) -> Separation | None:
    entries = pair.draw(dim, 0)
    polynomials = pair.piece(entries, dim)
    if polynomials is None:
        return None
    for output, polynomial in enumerate(polynomials):
        if len(_effective(pair.b, dim)[output]) != 1:
            continue
        broken = _constant_relu_rules(pair.b, dim)[output].violation(polynomial, own=_own(output, dim))
        if broken is None:
            continue

        def holds(some: Entries, output: int = output, broken: Violation = broken) -> bool:
            now = pair.piece(some, dim)
            return now is not None and broken.test(now[output])

        shown = pair.shown(entries, holds, dim, [output])
        rule = (
            f"y_{output + 1} of {pair.target.id} depends on one relu(u), u affine; u is constant, or relu(u) = 0 on a half-space: if "
            f"y_{output + 1} is a polynomial, it is one with a constant in place of relu(u), and so it {broken.rule}"
        )
        return pair.separation(
            "polynomial members", rule, f"the witness {broken.finding}", shown, pair.dims(4, 6)
        )
    return None


@cache
def _constant_relu_rules(expr: Expr, dim: int) -> tuple[LinearRules, ...]:
    def constants(generator: random.Random) -> Gates:
        free: dict[tuple[Activation, int], int] = {}
        return lambda node, index, value: (
            0 * value + free.setdefault((node, index), generator.randrange(1, PRIME))
        )

    return _rules_of(lambda seed: random_pieces(expr, dim=dim, seed=seed, gates=constants))


# ------------------------------------------------------------------------------------------------ helpers

_INVARIANTS: tuple[Callable[[_Pair], Separation | None], ...] = (
    _by_width,
    _by_smoothness,
    _by_linear_rules,
    _by_sign,
    _by_rank,
    _by_kinks,
    _by_polynomial_members,
)


def _point(dim: int) -> list[Fraction]:
    """A positive point that lies on no hyperplane with small integer coefficients of one sign."""
    return [Fraction(_PRIMES[i % len(_PRIMES)] + i // len(_PRIMES)) for i in range(dim)]


def _on_hyperplane(normal: Polynomial, axis: int, dim: int, generator: random.Random) -> list[Fraction]:
    point = [Fraction(generator.randint(-60, 60), generator.randint(1, 7)) for _ in range(dim)]
    unit = tuple(int(j == axis) for j in range(dim))
    rest = sum(
        (c * (point[m.index(1)] if sum(m) else 1) for m, c in normal.items() if m != unit), Fraction(0)
    )
    point[axis] = -rest / normal[unit]
    return point


def _plain_values(expr: Expr, entries: Entries, dim: int) -> dict[str, Any]:
    from qnn_theory.normal_form import unrolled_values

    return unrolled_values(expr, nested(expr, entries, dim=dim))


def _to_ring(ring: Any, polynomial: Polynomial) -> Any:
    return ring.from_dict({m: flint.fmpq(c.numerator, c.denominator) for m, c in polynomial.items() if c})


def _monic(ring: Any, polynomial: Polynomial) -> Any:
    value = _to_ring(ring, polynomial)
    return value * (1 / value.leading_coefficient())


def _of_every(expr: Expr) -> str:
    return "on every region of every function" if uses_activation(expr) else "in every function"


def _times(factor: Fraction) -> str:
    return "d" if factor == 1 else f"{factor}d"
