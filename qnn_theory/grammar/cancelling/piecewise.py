"""Expressions as piecewise polynomials: polynomials in atoms and in the indicators of the activations' arguments.

What acts coordinate by coordinate (sums, products, powers, numbers, learned vectors, relu, relu6, prelu) is read; every other
node (an input, a map, a smooth activation) is an *atom*, a real number of its own, as are the entry of a learned vector and the
slope of a prelu. With g the indicator of u > 0,

    relu(u) = g u,    relu(-u) = (1 - g)(-u),    relu6(u) = relu(u) - relu(u - 6),    prelu(u) = (s + g - s g) u,    g² = g,

and u and its multiples share one g; u = v w has the indicators of v and w, u = v² w that of w. An activation of a piecewise
argument is read on every cell of that argument. So a *cell*, a choice of signs of all arguments, has one polynomial.

Which cells there are is decided by rational linear inequalities in the monomials of the arguments (Fourier and Motzkin), with
the signs of monomials where those of their atoms are known. Where the arguments are affine in the atoms that is exact; otherwise
some cells may be empty, which only makes fewer things equal.
Two expressions with the same polynomial on every cell are the same function wherever no argument vanishes, a dense set, and
both are continuous: the same function of the atoms, for all parameter values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from operator import mul
from typing import Any, Literal, TypeAlias

import flint

from qnn_theory.algebra.polynomials import to_flint
from qnn_theory.grammar.expr import (
    PIECEWISE,
    Activation,
    ActivationKind,
    Constant,
    Expr,
    Multiple,
    Power,
    Product,
    Scale,
    Sum,
    children,
)

TERM_LIMIT = 300
ARGUMENT_LIMIT = 6
_INEQUALITY_LIMIT = 400

Polynomial: TypeAlias = Any  # flint.fmpq_mpoly in the atoms; flint ships no types
Pieces: TypeAlias = dict[frozenset[int], Polynomial]  # coefficient of each product of indicators
Opaque: TypeAlias = ActivationKind | Literal["scale"]
Cell: TypeAlias = tuple[bool, ...]  # which arguments are positive


@dataclass(frozen=True, slots=True)
class Learned:
    """The entry of a learned vector (a scale), or the slope of a prelu."""

    name: str
    initial: float | None = None  # of a scale


Atom: TypeAlias = Expr | Learned


class TooLargeError(Exception):
    """More terms, arguments or inequalities than are computed with."""


class Reading:
    """Expressions read over the same atoms and arguments.

    Args:
        exprs: all expressions that will be read.
        opaque: activations, and whether learned vectors, that are atoms like any other node.
    """

    def __init__(self, *exprs: Expr, opaque: Sequence[Opaque] = ()) -> None:
        self._scales = "scale" not in opaque
        self._kinds = tuple(kind for kind in PIECEWISE if kind not in opaque)
        found: dict[Atom, None] = {}
        for expr in exprs:
            self._collect(expr, found)
        self.atoms = tuple(found)
        self.ring = flint.fmpq_mpoly_ctx.get([f"a{i}" for i in range(max(1, len(found)))], "degrevlex")
        self._generators: dict[Atom, Polynomial] = dict(zip(found, self.ring.gens(), strict=False))
        self.zero, self.one = self.ring.from_dict({}), self.ring.constant(1)
        self.arguments: list[Polynomial] = []

    def _collect(self, expr: Expr, found: dict[Atom, None]) -> None:
        match expr:
            case Constant():
                return
            case Sum() | Product() | Power() | Multiple():
                pass
            case Scale(name=name, initial=initial) if self._scales:
                found.setdefault(Learned(name, initial))
            case Activation(kind=kind, slope=slope) if kind in self._kinds:
                if slope is not None:
                    found.setdefault(Learned(slope))
            case _:
                found.setdefault(expr)
                return
        for child in children(expr):
            self._collect(child, found)

    def read(self, expr: Expr) -> Pieces:
        """The expression as a polynomial in atoms and indicators.

        Raises:
            TooLargeError: it has too many terms or arguments.
        """
        match expr:
            case Constant(value=number):
                return _tidy({frozenset(): self.ring.constant(to_flint(number))})
            case Sum(terms=terms):
                return reduce(_plus, map(self.read, terms))
            case Product(factors=factors):
                return reduce(_times, map(self.read, factors))
            case Power(of=of, exponent=exponent):
                return reduce(_times, [self.read(of)] * exponent)
            case Multiple(factor=factor, of=of):
                return self._scaled(self.read(of), self.ring.constant(to_flint(factor)))
            case Scale(name=name, of=of, initial=initial) if self._scales:
                return self._scaled(self.read(of), self._generators[Learned(name, initial)])
            case Activation(kind=kind, of=of, slope=slope) if kind in self._kinds:
                inner = self.read(of)
                if kind == "relu":
                    return self._relu(inner)
                if kind == "relu6":
                    shifted = _plus(inner, {frozenset(): self.ring.constant(-6)})
                    return _plus(self._relu(inner), self._scaled(self._relu(shifted), self.ring.constant(-1)))
                below = self._relu(self._scaled(inner, self.ring.constant(-1)))
                return _plus(self._relu(inner), self._scaled(below, -self._generators[Learned(str(slope))]))
            case _:
                return {frozenset(): self._generators[expr]}

    def _scaled(self, pieces: Pieces, factor: Polynomial) -> Pieces:
        return _tidy({gates: factor * part for gates, part in pieces.items()})

    def _relu(self, pieces: Pieces) -> Pieces:
        """On every cell of the argument, the indicator of its polynomial times that."""
        used = sorted(frozenset().union(*pieces))
        result: Pieces = {}
        for cell in self.cells(used):
            part = self.on_cell(pieces, used, cell)
            if part == 0:
                continue
            where: Pieces = {frozenset(): self.one}
            for argument, positive in zip(used, cell, strict=True):
                on = {frozenset({argument}): self.one}
                where = _times(where, on if positive else self._complement(on))
            result = _plus(result, self._scaled(_times(where, self._indicator(part)), part))
        return result

    def _complement(self, indicator: Pieces) -> Pieces:
        return _plus({frozenset(): self.one}, self._scaled(indicator, -self.one))

    def _indicator(self, polynomial: Polynomial) -> Pieces:
        """1 where a polynomial is positive, 0 where negative: by the signs of its factors, each counted as often as it occurs."""
        number, factors = polynomial.factor()
        positive: Pieces = {frozenset(): self.one if number > 0 else self.zero}
        for factor, exponent in factors:
            lead = factor.leading_coefficient()
            flips = exponent % 2 == 1
            if flips and lead < 0:
                positive = self._complement(positive)
            monic = factor * (1 / lead)
            if flips and not _never_negative(monic):
                on = {frozenset({self._argument(monic)}): self.one}
                both = _times(positive, on)
                neither = _times(self._complement(positive), self._complement(on))
                positive = _plus(both, neither)
        return positive

    def _argument(self, monic: Polynomial) -> int:
        if monic not in self.arguments:
            if len(self.arguments) == ARGUMENT_LIMIT:
                raise TooLargeError
            self.arguments.append(monic)
        return self.arguments.index(monic)

    def on_cell(self, pieces: Pieces, used: Sequence[int], cell: Cell) -> Polynomial:
        """The polynomial on one cell of the used arguments."""
        positive = {argument for argument, sign in zip(used, cell, strict=True) if sign}
        return sum((part for gates, part in pieces.items() if gates <= positive), self.zero)

    def cells(self, used: Sequence[int]) -> list[Cell]:
        """The choices of signs of the used arguments that occur."""
        found: list[Cell] = [()]
        for count in range(1, len(used) + 1):
            longer = [(*cell, sign) for cell in found for sign in (False, True)]
            found = [cell for cell in longer if self._occurs(used[:count], cell)]
        return found

    def _occurs(self, used: Sequence[int], cell: Cell) -> bool:
        monomials = sorted({tuple(m) for i in used for m in self.arguments[i].to_dict() if any(m)})
        rows = [
            tuple(Fraction(sign * (m == other)) for other in (*monomials, None))
            for m in monomials
            if (sign := self._sign(m, used, cell))
        ]
        for i, positive in zip(used, cell, strict=True):
            terms = {tuple(m): c for m, c in self.arguments[i].to_dict().items()}
            sign = 1 if positive else -1
            constant = next((c for m, c in terms.items() if not any(m)), 0)
            rows.append(tuple(Fraction(str(sign * c)) for c in (*(terms.get(m, 0) for m in monomials), constant)))
        return solvable(rows)

    def _sign(self, monomial: tuple[int, ...], used: Sequence[int], cell: Cell) -> int:
        """The sign of a product of atoms whose own signs are among the arguments; 0 where it is not known."""
        sign = 1
        for atom, exponent in zip(self.ring.gens(), monomial, strict=True):
            if exponent % 2:
                place = next((k for k, i in enumerate(used) if self.arguments[i] == atom), None)
                if place is None:
                    return 0
                sign = sign if cell[place] else -sign
        return sign


def solvable(rows: Sequence[tuple[Fraction, ...]]) -> bool:
    """Whether strict inequalities ``c_1 y_1 + ... + c_n y_n + c > 0`` have a common solution, by eliminating one y at a time."""
    current = set(rows)
    variables = len(next(iter(current))) - 1 if current else 0
    for _ in range(variables):
        lower = [row for row in current if row[0] > 0]
        upper = [row for row in current if row[0] < 0]
        kept = {row[1:] for row in current if row[0] == 0}
        if len(kept) + len(lower) * len(upper) > _INEQUALITY_LIMIT:
            raise TooLargeError
        kept |= {
            tuple(p / low[0] - q / high[0] for p, q in zip(low[1:], high[1:], strict=True))
            for low in lower
            for high in upper
        }
        current = kept
    return all(row[0] > 0 for row in current)


def same_function(first: Expr, second: Expr) -> bool | None:
    """Whether two expressions of one width are the same function of their atoms.

    Returns:
        True: the same function for all parameter values. False: they differ at some values of the atoms. None: not decided,
        as there are too many terms, or an argument is not affine.
    """
    reading = Reading(first, second)
    try:
        ours, theirs = reading.read(first), reading.read(second)
        used = sorted(frozenset().union(*ours, *theirs))
        differ = any(
            reading.on_cell(ours, used, cell) != reading.on_cell(theirs, used, cell) for cell in reading.cells(used)
        )
    except TooLargeError:
        return None
    if not differ:
        return True
    return False if all(reading.arguments[i].total_degree() == 1 for i in used) else None


def _never_negative(polynomial: Polynomial) -> bool:
    return all(c > 0 and not any(int(e) % 2 for e in m) for m, c in polynomial.to_dict().items())


def _tidy(pieces: Pieces) -> Pieces:
    kept = {gates: part for gates, part in pieces.items() if part != 0}
    if sum(len(part) for part in kept.values()) > TERM_LIMIT:
        raise TooLargeError
    return kept


def _plus(first: Pieces, second: Pieces) -> Pieces:
    result = dict(first)
    for gates, part in second.items():
        result[gates] = result[gates] + part if gates in result else part
    return _tidy(result)


def _times(first: Pieces, second: Pieces) -> Pieces:
    result: Pieces = {}
    for ours, part in first.items():
        for theirs, other in second.items():
            gates = ours | theirs
            product = mul(part, other)
            result[gates] = result[gates] + product if gates in result else product
    return _tidy(result)
