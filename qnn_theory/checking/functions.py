"""Functions of formats: the one that a certificate states, exactly, and random ones of the other format, modulo p.

A germ is the polynomial that a function is on an open set: at a point, on the side of a direction; or far out, around a
direction, where each step is 0 or 1 but for a rest that vanishes exponentially, and so is the function that polynomial.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import flint

from qnn_theory.checking.evaluation import Step, degree, filled, outputs, shapes
from qnn_theory.checking.reading import (
    NotCheckedError,
    RejectedError,
    exact_keys,
    listed,
    many,
    monomial,
    rational,
    whole,
)
from qnn_theory.grammar.expr import Activation, Expr
from qnn_theory.grammar.widths import divisor, parameters, width

PRIME = 2**61 - 1
RANDOM = random.SystemRandom()
Polynomial: TypeAlias = dict[tuple[int, ...], Any]
Place: TypeAlias = tuple[Activation, str, int]
_MONOMIALS = 60_000
AT_ZERO = {"s": Fraction(1, 2), "p": Fraction(1, 2), "m": Fraction(3, 5)}  # tanh(log 2) = 3/5


@dataclass(frozen=True, slots=True)
class Germ:
    """A stated germ: where, the outputs that are stated, and the arguments of steps that are 0 at the point."""

    far: bool
    at: list[Fraction]
    along: list[Fraction]
    outputs: dict[int, Polynomial]
    undecided: list[Polynomial]


class Witness:
    """The function that a certificate states.

    Args:
        source: its format.
        target: the other format, whose d it must share.
        data: the certificate's ``witness``: d, entries that are not zero, and germs.
    """

    def __init__(self, source: Expr, target: Expr, data: Any) -> None:
        exact_keys(data, {"dim", "entries", "germs"}, "a witness has exactly its keys")
        self.source, self.dim = source, whole(data["dim"], 1, 64, "the witness's d")
        if self.dim % math.lcm(divisor(source), divisor(target)):
            raise RejectedError(f"the two formats do not both exist at d = {self.dim}")
        self.count = int(width(source) * self.dim)
        small(source, self.dim)
        own = shapes(source, self.dim)
        copied = {p.name for p in parameters(source) if p.rows is not None}
        known: dict[tuple[str, tuple[int, ...]], Fraction] = {}
        for entry in many(data["entries"], "the entries of a witness", least=0):
            name, at, value = listed(entry, 3, "an entry of the witness: [name, index, number]")
            if not isinstance(name, str):
                raise RejectedError(f"a parameter has a name, however: {str(name)[:40]}")
            index = tuple(whole(i, 0, 10_000, "an index") for i in many(at, "an index", least=int(name in copied)))
            if name in copied:
                name, index = f"{name}[{index[0] + 1}]", index[1:]
            shape = own.get(name)
            if shape is None or len(shape) != len(index) or any(i >= n for i, n in zip(index, shape, strict=True)):
                raise RejectedError(f"the source has no parameter entry {name[:40]} {list(index)}")
            if (name, index) in known or not rational(value):
                raise RejectedError(f"the entry {name} {list(index)} is given twice, or as zero")
            known[name, index] = rational(value)
        self.values = {
            name: filled(shape, lambda i, name=name: known.get((name, i), Fraction(0)))  # type: ignore[misc]
            for name, shape in own.items()
        }
        self.germs = [self._germ(germ) for germ in many(data["germs"], "the germs of a witness", least=0)]

    def point(self, data: Any) -> list[Fraction]:
        """D rational numbers."""
        return [rational(number) for number in listed(data, self.dim, "a point")]

    def numbers(self, change: Callable[[Fraction], Any]) -> dict[str, Any]:
        """The parameters as other scalars."""

        def visit(value: Any) -> Any:
            return [visit(v) for v in value] if isinstance(value, list) else change(value)

        return {name: visit(value) for name, value in self.values.items()}

    def _germ(self, data: Any) -> Germ:
        exact_keys(data, {"far", "at", "along", "outputs"}, "a germ has exactly its keys")
        at = self.point(data["at"])
        along = [Fraction(0)] * self.dim if data["along"] is None else self.point(data["along"])
        if type(data["far"]) is not bool or not isinstance(data["outputs"], dict) or not data["outputs"]:
            raise RejectedError("a germ is near or far, and has outputs")
        pieces, undecided = germ(self.source, self.numbers(fmpq), at, along, far=data["far"])
        stated: dict[int, Polynomial] = {}
        for key, terms in data["outputs"].items():
            output = whole(int(key) if key.isdecimal() and len(key) < 6 else key, 0, self.count - 1, "an output")
            pairs = [listed(term, 2, "a term [exponents, coefficient]") for term in many(terms, "terms", least=0)]
            stated[output] = {monomial(m, self.dim): rational(c) for m, c in pairs}
            if len(stated[output]) != len(terms) or stated[output] != pieces[output]:
                raise RejectedError(f"y_{output + 1} of the witness is not the function that is stated")
        if len(stated) != len(data["outputs"]):
            raise RejectedError("an output of a germ is given twice")
        return Germ(data["far"], at, along, stated, undecided)


def germ(
    expr: Expr, values: Mapping[str, Any], at: Sequence[Fraction], along: Sequence[Fraction], *, far: bool
) -> tuple[list[Polynomial], list[Polynomial]]:
    """The polynomials at a point, on the side of a direction, or far out around one; and which arguments are 0 there.

    Raises:
        RejectedError: the function is no polynomial there.
    """
    ring = flint.fmpq_mpoly_ctx.get([f"x_{i + 1}" for i in range(len(at))], "degrevlex")
    zero, undecided = 0 * ring.gens()[0], []

    def rule(step: Step, u: Any) -> tuple[Any, Any]:
        u = zero + u
        terms = plain(u)
        if not any(map(sum, terms)):
            number = next(iter(terms.values()), Fraction(0))
            if number and step.kind != "H":
                raise NotCheckedError("a step of a smooth activation at a number other than 0")
            return u, zero + (int(number > 0) if step.kind == "H" else fmpq(AT_ZERO[step.kind]))
        if not far and step.kind != "H":
            raise RejectedError("a function with a smooth activation is no polynomial near a point")
        top = max(map(sum, terms))
        leading = {m: c for m, c in terms.items() if not far or sum(m) == top}
        line = on_line(leading, at, along)
        first = next((k for k, c in enumerate(line) if c), None)
        if first is None:
            raise RejectedError("a direction lies on a kink")
        if first:
            undecided.append(leading)
        return u, zero + int(line[first] > 0)

    found = outputs(expr, list(ring.gens()), values, rule, fmpq)
    return [plain(zero + f) for f in found], undecided


def on_line(terms: Polynomial, at: Sequence[Fraction], along: Sequence[Fraction]) -> list[Fraction]:
    """The coefficients of a polynomial at the point + t direction, as one in t."""
    total = flint.fmpq_poly([])
    lines = [flint.fmpq_poly([fmpq(p), fmpq(s)]) for p, s in zip(at, along, strict=True)]
    for m, c in terms.items():
        total += math.prod((line**e for line, e in zip(lines, m, strict=True) if e), start=flint.fmpq_poly([fmpq(c)]))
    return [Fraction(int(c.p), int(c.q)) for c in total.coeffs()]


class Family:
    """Random members of a family of polynomials, modulo p, that holds all germs of all functions of a format.

    A step is a free number. What random members have the generic one has, up to the chance that a polynomial of the degree
    `degree` vanishes at a random point.
    """

    def __init__(self, expr: Expr, dim: int) -> None:
        small(expr, dim)
        self.expr, self.dim, self.degree = expr, dim, degree(expr, of_parameters=1)
        self.ring = flint.nmod_mpoly_ctx.get([f"x_{i + 1}" for i in range(dim)], modulus=PRIME, ordering="degrevlex")
        self.shapes = shapes(expr, dim)
        self._places: dict[Place, None] = {}

    def draw(self) -> dict[str, Any]:
        """Random parameters."""
        return {name: filled(shape, lambda at: RANDOM.randrange(PRIME)) for name, shape in self.shapes.items()}

    def steps(self) -> Callable[[Step, Any], tuple[Any, Any]]:
        """A free number for every step."""
        free: dict[Step, int] = {}
        return lambda step, u: (u, free.setdefault(step, RANDOM.randrange(PRIME)))

    def member(
        self, values: Mapping[str, Any] | None = None, rule: Callable[[Step, Any], tuple[Any, Any]] | None = None
    ) -> list[Polynomial]:
        """One member; its parameters and steps are random where they are not given."""
        zero, rule = 0 * self.ring.gens()[0], rule or self.steps()

        def noted(step: Step, u: Any) -> tuple[Any, Any]:
            self._places.setdefault(step[1:4])
            v, value = rule(step, zero + u)
            return zero + v, zero + value

        return [plain(zero + f) for f in outputs(self.expr, self.ring.gens(), values or self.draw(), noted, residue)]

    def fixed_part(self) -> list[Polynomial]:
        """The member at all parameters and activations zero."""
        zeros = {name: filled(shape, lambda at: 0) for name, shape in self.shapes.items()}
        half = residue(Fraction(1, 2))
        return self.member(zeros, lambda step, u: (0 * u, half if step.node.kind == "tanh" else 0))

    def places_of(self, output: int) -> list[Place]:
        """The activations that an output depends on."""
        self.member()
        found = []
        for place in list(self._places):
            values, steps, other = self.draw(), self.steps(), self.steps()
            changed = self.member(values, lambda s, u: (other if s[1:4] == place else steps)(s, u))  # noqa: B023
            if self.member(values, steps)[output] != changed[output]:
                found.append(place)
        return found


def fmpq(number: Fraction) -> Any:
    """A rational number as flint computes with it."""
    return flint.fmpq(number.numerator, number.denominator)


def residue(number: Fraction | int) -> int:
    """A rational number modulo p."""
    if not number.denominator % PRIME:
        raise RejectedError("a number that is none modulo 2^61 - 1")
    return number.numerator * pow(number.denominator, -1, PRIME) % PRIME


def small(expr: Expr, dim: int) -> None:
    """Raise `NotCheckedError` where polynomials in d inputs could have too many terms."""
    largest = degree(expr, of_parameters=0)
    if math.comb(dim + min(largest, 200), dim) > _MONOMIALS:
        raise NotCheckedError(f"a rule about polynomials of degree {largest} in d = {dim} inputs")


def rank(rows: Sequence[Sequence[Any]]) -> int:
    """The rank modulo p of a matrix of rational numbers or residues."""
    if not rows or not rows[0]:
        return 0
    return int(flint.nmod_mat(len(rows), len(rows[0]), [residue(c) for row in rows for c in row], PRIME).rank())


def in_span(members: Sequence[Mapping[Any, Any]], vector: Mapping[Any, Any], *, affine: bool = False) -> bool:
    """Whether a vector is a combination (an affine one) of others, modulo p."""
    places = sorted({m for f in (*members, vector) for m in f})
    rows = [[f.get(m, 0) for m in places] + [int(affine)] for f in members]
    return rank(rows) == rank([*rows, [vector.get(m, 0) for m in places] + [int(affine)]])


def plain(polynomial: Any) -> Polynomial:
    """Exponents -> coefficient, rational numbers or residues."""

    def number(c: Any) -> Any:
        return Fraction(int(c.p), int(c.q)) if isinstance(c, flint.fmpq) else int(c)

    return {tuple(map(int, m)): number(c) for m, c in polynomial.to_dict().items()}
