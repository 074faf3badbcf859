"""What invariants share: two formats, functions drawn from the first, and the outcome of a separation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeAlias

from qnn_theory.algebra.polynomials import Polynomial
from qnn_theory.feature_spaces.degrees import degree_bound
from qnn_theory.feature_spaces.pieces import piece
from qnn_theory.grammar.expr import Expr, uses_activation
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import normal_form
from qnn_theory.grammar.widths import divisor
from qnn_theory.relations.witness import Entry, Witness, nested, random_entries, shrink, witness

_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
DRAWS = 6

Entries: TypeAlias = Mapping[Entry, Fraction]


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
        data: the rule for `qnn_theory.checking`: its ``rule`` there and that rule's numbers as plain values; ``germs`` says where
            the witness's polynomials are to be stated (`germ_at`). None where the checker does not know the rule.
        grows: whether the rule's bound grows with d, so that each d needs a function of its own.
    """

    source: str
    target: str
    invariant: str
    rule: str
    finding: str
    witness: Witness | None
    dims: tuple[int, ...]
    closed: bool = True
    data: Mapping[str, Any] | None = None
    grows: bool = False

    @property
    def lines(self) -> tuple[str, ...]:
        """The argument, step by step."""
        if self.witness is None:
            return (self.rule, self.finding)
        function = f"{self.source} has {self.witness.function_text}, at {self.witness.parameters_text} (d = {self.witness.dim})"
        dims = ", ".join(map(str, self.dims))
        scope = f"computed at d = {dims}; the rule and the function, padded with zeros, read the same at every larger d"
        if self.grows:
            scope = f"computed at d = {dims}: the bound grows with d, and {self.source} has a function that breaks it at each"
        if not self.closed:
            scope += "; limits of functions are not excluded"
        return (function, self.rule, self.finding, scope)


class Pair:
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

    def is_small(self, dim: int, monomials: int) -> bool:
        """Whether polynomials of both formats have at most this many monomials in d inputs."""
        degree = max(degree_bound(self.a, depth=1), degree_bound(self.b, depth=1))
        return math.comb(dim + degree, dim) <= monomials

    def separation(
        self,
        invariant: str,
        rule: str,
        finding: str,
        shown: Witness | None,
        dims: Sequence[int],
        *,
        closed: bool = True,
        data: Mapping[str, Any] | None = None,
        grows: bool = False,
    ) -> Separation:
        """A separation of this pair."""
        return Separation(
            source=self.source.id,
            target=self.target.id,
            invariant=invariant,
            rule=rule,
            finding=finding,
            witness=shown,
            dims=tuple(dims),
            closed=closed,
            data=data,
            grows=grows,
        )

    def draw(self, dim: int, attempt: int, *, signed: bool = False) -> dict[Entry, Fraction]:
        """Small random parameters of the source, positive unless `signed`."""
        return random_entries(self.source.expr, dim=dim, seed=f"{self.source.id}|{dim}|{attempt}", signed=signed)

    def piece(self, entries: Entries, dim: int) -> list[Polynomial] | None:
        """The piece of the source's function around a fixed positive point."""
        return _piece(self.source.expr, frozenset(entries.items()), dim)

    def shown(self, entries: Entries, holds: Callable[[Entries], bool], dim: int, outputs: Sequence[int]) -> Witness:
        """The witness, made small if wanted."""
        kept = shrink(entries, holds) if self.minimal else entries
        return witness(self.source.expr, kept, dim=dim, outputs=outputs)


@lru_cache(maxsize=4096)
def _piece(expr: Expr, entries: frozenset[tuple[Entry, Fraction]], dim: int) -> list[Polynomial] | None:
    """Cached, because one function of a format is compared with all other formats."""
    return piece(expr, dim=dim, values=nested(expr, dict(entries), dim=dim), point=generic_point(dim))


def germ_at(
    outputs: Sequence[int],
    at: Sequence[Fraction | int],
    along: Sequence[Fraction | int] | None = None,
    *,
    far: bool = False,
) -> dict[str, Any]:
    """Where the polynomials of some outputs are to be stated in a certificate.

    Args:
        outputs: counted from 0.
        at: a point or, far out, a direction.
        along: on which side of it, where a step lies there.
        far: whether `at` is a direction.
    """
    side = None if along is None else [str(number) for number in along]
    return {"far": far, "at": [str(number) for number in at], "along": side, "outputs": list(outputs)}


def on_both_sides(
    outputs: Sequence[int], plane: Sequence[Fraction], at: Sequence[Fraction], *, far: bool = False
) -> list[dict[str, Any]]:
    """The germs above and below a hyperplane ``c_0 + c_1 x_1 + ...``, whose first coefficient of an input is positive."""
    axis = next(i for i, c in enumerate(plane[1:]) if c)
    return [germ_at(outputs, at, [sign * (i == axis) for i in range(len(at))], far=far) for sign in (1, -1)]


def generic_point(dim: int) -> list[Fraction]:
    """A positive point that lies on no hyperplane with small integer coefficients of one sign."""
    return [Fraction(_PRIMES[i % len(_PRIMES)] + i // len(_PRIMES)) for i in range(dim)]


def of_every(expr: Expr) -> str:
    """Where a rule about polynomial pieces holds, in words."""
    return "on every region of every function" if uses_activation(expr) else "in every function"
