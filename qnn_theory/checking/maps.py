"""Containments: that the target, at parameters which a map makes of the source's, is the source.

The identity is multiplied out over the rationals: at two small d with every parameter and input an indeterminate, at a larger d
with the inputs as indeterminates and random parameters. A step is an unknown of its own: H(u) is 0 or 1, equal for all positive
multiples of u and 1 - H(u) for negative ones, and H(u + c) H(u) = H(u) for c > 0; s(-u) = 1 - s(u). What holds for all values of
the unknowns holds for the functions.

With free parameters, in which the target has to be linear, the identity is a system of linear equations, that is solved by some
values of them for random parameters of the source, and so for all.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from fractions import Fraction
from typing import Any

import flint

from qnn_theory.checking.evaluation import Step, degree, filled, outputs, shapes, step_kinds
from qnn_theory.checking.functions import AT_ZERO, RANDOM, fmpq
from qnn_theory.checking.reading import NotCheckedError, RejectedError
from qnn_theory.checking.terms import mapped
from qnn_theory.grammar.expr import Activation, Expr, RowSum, walk
from qnn_theory.grammar.widths import divisor, width

_SIZE = 2**60


def check_map(source: Expr, target: Expr, data: Any, free: Collection[str] = ()) -> str:
    """Reject a map under which the target is not the source; else say how it was proved.

    Raises:
        RejectedError: it is not, or the map is malformed.
        NotCheckedError: the expressions are too large to be multiplied out.
    """
    if data is None:
        raise NotCheckedError("a map without its data")
    if width(source) != width(target):
        raise RejectedError("the two formats have different numbers of outputs")
    step = math.lcm(divisor(source), divisor(target))
    small = (step, 2 * step) if step > 1 else (2, 3)
    large = max(3 * step, step * -(-6 // step))
    for dim in small:
        _compare(source, target, data, free, dim, symbolic=not free)
    for _ in range(2):
        _compare(source, target, data, free, large, symbolic=False)
    error = ((degree(source, of_parameters=1) + 3 * degree(target, of_parameters=1)) / _SIZE) ** 2
    return (
        f"map, multiplied out at d = {small[0]}, {small[1]} and, at random parameters, {large}; error below {error:.0e}"
    )


def _compare(source: Expr, target: Expr, data: Any, free: Collection[str], dim: int, *, symbolic: bool) -> None:
    own, theirs = shapes(source, dim), shapes(target, dim)
    if free and (not theirs.keys() >= set(free) or step_kinds(source) or step_kinds(target)):
        raise RejectedError("free parameters are some of the target's, and of polynomials")
    count = sum(math.prod(shape) for shape in own.values()) if symbolic else 0
    unknown = sum(math.prod(theirs[name]) for name in free)
    names = [
        f"{k}{i}"
        for k, n in (("x", dim), ("p", count), ("z", unknown), ("g", _count(source, dim) + _count(target, dim)))
        for i in range(n)
    ]
    ring = flint.fmpq_mpoly_ctx.get(names, "degrevlex")
    generators, first = ring.gens(), dim + count + unknown
    zero = 0 * generators[0]

    def number(f: Fraction) -> Any:
        return zero + fmpq(f)

    given, solved = iter(generators[dim : dim + count]), iter(generators[dim + count : first])
    values = {
        name: filled(shape, lambda at: next(given) if symbolic else zero + RANDOM.randrange(-_SIZE, _SIZE))
        for name, shape in own.items()
    }
    rule = _Rule(ring, first)
    put = mapped(target, data, values, dim, number, free)
    put |= {name: filled(theirs[name], lambda at: next(solved)) for name in free}
    left, right = (outputs(e, generators[:dim], v, rule, number) for e, v in ((source, values), (target, put)))
    differences = [rule.reduced(zero + one - other) for one, other in zip(left, right, strict=True)]
    if free:
        _solve(differences, dim, unknown)
    elif (k := next((k for k, d in enumerate(differences) if d), None)) is not None:
        raise RejectedError(f"under the map, y_{k + 1} of the two formats differ at d = {dim}")


def _solve(differences: list[dict[tuple[int, ...], Any]], dim: int, unknown: int) -> None:
    """Whether some values of the free parameters make all differences 0."""
    rows: dict[tuple[int, tuple[int, ...]], list[Any]] = {}
    for k, difference in enumerate(differences):
        for exponents, c in difference.items():
            own = exponents[dim : dim + unknown]
            if sum(own) > 1:
                raise RejectedError("the target is not linear in the free parameters")
            if sum(own) and abs(c) > 10**6:
                raise NotCheckedError("free parameters that are multiplied by the source's")
            row = rows.setdefault((k, exponents[:dim]), [flint.fmpq(0)] * (unknown + 1))
            row[own.index(1) if sum(own) else unknown] = c
    matrix = flint.fmpq_mat(len(rows), unknown + 1, [c for row in rows.values() for c in row])
    without = flint.fmpq_mat(len(rows), unknown, [c for row in rows.values() for c in row[:-1]])
    if rows and matrix.rank() != without.rank():
        raise RejectedError(f"no values of the free parameters give the source's function at d = {dim}")


class _Rule:
    """What steps are: unknowns, from `first` on."""

    def __init__(self, ring: Any, first: int) -> None:
        self._ring, self._first = ring, first
        self._known: dict[tuple[str, str], Any] = {}
        self._chains: dict[str, dict[Any, int]] = {}
        """Of the arguments of H without their numbers: those numbers, and which unknown it is."""

    def __call__(self, step: Step, u: Any) -> tuple[Any, Any]:
        u = 0 * self._ring.gens()[0] + u
        if step.kind == "H":
            return u, self._indicator(u)
        if u == 0:
            return u, fmpq(AT_ZERO[step.kind])
        turned = step.kind != "m" and u.leading_coefficient() < 0
        known = self._unknown(step.kind, str(-u if turned else u))
        return u, 1 - known if turned else known

    def _unknown(self, kind: str, argument: str) -> Any:
        return self._ring.gens()[self._known.setdefault((kind, argument), self._first + len(self._known))]

    def _indicator(self, u: Any) -> Any:
        if u.is_constant():
            return int(u != 0 and u.leading_coefficient() > 0)
        inner = [k for chain in self._chains.values() for k in chain.values() if any(m[k] for m in u.to_dict())]
        if inner:  # H(A + g B) is H(A) where g is 0, and H(A + B) where it is 1
            off, on = (self._indicator(self._at(u, inner[0], value)) for value in (0, 1))
            g = self._ring.gens()[inner[0]]
            return (1 - g) * off + g * on
        lead = u.leading_coefficient()
        monic = u * (1 / lead)
        constant = monic.to_dict().get((0,) * len(self._ring.gens()), flint.fmpq(0))
        key = str(monic - constant)
        chain = self._chains.setdefault(key, {})
        if constant not in chain:
            self._unknown("H", f"{key} + {constant}")
            chain[constant] = self._known["H", f"{key} + {constant}"]
        g = self._ring.gens()[chain[constant]]
        return g if lead > 0 else 1 - g

    def _at(self, u: Any, k: int, value: int) -> Any:
        """A polynomial at a value, 0 or 1, of one of the unknowns."""
        terms: dict[tuple[int, ...], Any] = {}
        for m, c in u.to_dict().items():
            if value or not m[k]:
                rest = (*m[:k], 0, *m[k + 1 :])
                terms[rest] = terms.get(rest, 0) + c
        return self._ring.from_dict(terms)

    def reduced(self, polynomial: Any) -> dict[tuple[int, ...], Any]:
        """The terms that are not 0, with a power of an indicator as itself, and a product of a chain as its smallest."""
        chains = [[k for _, k in sorted(chain.items())] for chain in self._chains.values()]
        terms: dict[tuple[int, ...], Any] = {}
        for monomial, c in polynomial.to_dict().items():
            m = list(map(int, monomial))
            for chain in chains:
                present = [k for k in chain if m[k]]
                for k in present:
                    m[k] = int(k == present[0])
            terms[tuple(m)] = terms.get(tuple(m), 0) + c
        return {m: c for m, c in terms.items() if c != 0}


def _count(expr: Expr, dim: int) -> int:
    """How many steps there can be; one more where activations are nested, as an argument has several cases."""
    rows = max((node.rows for node in walk(expr) if isinstance(node, RowSum)), default=1)
    nodes = [node for node in walk(expr) if isinstance(node, Activation)]
    depth = max((sum(isinstance(n, Activation) for n in walk(node)) for node in nodes), default=1)
    return int(rows * sum(2 * int(width(node) * dim) for node in nodes) * 2 ** min(depth - 1, 4))
