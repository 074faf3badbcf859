"""Rules about parameters: dimensions of function classes, and equations without a solution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import flint

from qnn_theory.checking.evaluation import degree, filled, outputs, shapes, step_kinds
from qnn_theory.checking.functions import PRIME, RANDOM, Witness, fmpq, rank, residue
from qnn_theory.checking.reading import NotCheckedError, RejectedError, listed, many, monomial, whole
from qnn_theory.grammar.expr import Expr
from qnn_theory.grammar.widths import divisor

_LIMITS = (150, 150, 2048)


def check_equations(shown: Witness, target: Expr, data: Mapping[str, Any]) -> str:
    """Coefficients that the target's parameters would have to give: the ideal of these equations contains 1."""
    dim, (germ,) = shown.dim, listed(shown.germs, 1, "the germs of this rule")
    if step_kinds(target) or step_kinds(shown.source):
        raise RejectedError("equations are about polynomials, and a format has an activation")
    places = [listed(place, 2, "an equation [output, monomial]") for place in many(data["equations"], "equations")]
    wanted = [(whole(i, 0, shown.count - 1, "an output"), monomial(m, dim)) for i, m in places]
    if len({*wanted}) != len(wanted) or not {i for i, _ in wanted} <= germ.outputs.keys():
        raise RejectedError("the equations are about different coefficients of the witness's stated outputs")
    own = shapes(target, dim)
    count = sum(map(math.prod, own.values()))
    ring = flint.fmpq_mpoly_ctx.get([*(f"x{i}" for i in range(dim)), *(f"p{i}" for i in range(count))], "degrevlex")
    unknown = iter(ring.gens()[dim:])
    values = {name: filled(shape, lambda at: next(unknown)) for name, shape in own.items()}
    found = outputs(target, list(ring.gens()[:dim]), values, lambda step, u: (u, u), fmpq)
    small = flint.fmpz_mpoly_ctx.get([f"p{i}" for i in range(count)], "degrevlex")
    polynomials = []
    for output, m in wanted:
        terms: dict[tuple[int, ...], Any] = {}
        for exponents, c in (found[output] + 0 * ring.gens()[0]).to_dict().items():
            if tuple(map(int, exponents[:dim])) == m:
                terms[tuple(map(int, exponents[dim:]))] = c
        constant = (0,) * count
        terms[constant] = terms.get(constant, flint.fmpq(0)) - fmpq(germ.outputs[output].get(m, Fraction(0)))
        scale = math.lcm(*(int(c.q) for c in terms.values()))
        polynomials.append(small.from_dict({e: int((c * scale).p) for e, c in terms.items() if c != 0}))
    basis: Any
    basis, finished = flint.fmpz_mpoly_vec([p for p in polynomials if not p.is_zero()], small).buchberger_naive(
        limits=_LIMITS
    )
    if any(basis[k].is_constant() and basis[k] != 0 for k in range(len(basis))):
        return ", exact"
    if not finished:
        raise NotCheckedError("equations whose Gröbner basis is too long to compute")
    raise RejectedError("the equations do not contradict each other")


def check_dimension(source: Expr, target: Expr, data: Mapping[str, Any]) -> str:
    """The rank of the derivative of all outputs, at random points, with respect to all parameters; recomputed for both."""
    dim = whole(data["dim"], 1, 16, "d")
    if dim % math.lcm(divisor(source), divisor(target)) or step_kinds(source) or step_kinds(target):
        raise RejectedError("a dimension is one of polynomials, at a d that both formats have")
    ours, theirs = _dimension(source, dim), _dimension(target, dim)
    stated = whole(data["source"], 0, 20_000, "a dimension"), whole(data["target"], 0, 20_000, "a dimension")
    if stated != (ours, theirs) or ours <= theirs:
        raise RejectedError(f"the dimensions are {ours} and {theirs}")
    return f"dimension at d = {dim}; error below {min(1.0, (theirs + 1) * degree(target, of_parameters=1) / PRIME):.0e}"


def _dimension(expr: Expr, dim: int) -> int:
    """Columns of the derivative by dual numbers c0 + c1 e, e^2 = 0: one slope for each parameter entry."""
    own = shapes(expr, dim)
    count = sum(map(math.prod, own.values()))
    if count > 600:
        raise NotCheckedError(f"the dimension of a format with {count} parameters at d = {dim}")
    number = iter(range(count))
    values = {n: filled(s, lambda at: _Dual(RANDOM.randrange(PRIME), {next(number): 1})) for n, s in own.items()}
    rows: list[list[int]] = []
    while len(rows) < count + 8:
        x = [_Dual(RANDOM.randrange(PRIME), {}) for _ in range(dim)]
        found = outputs(expr, x, values, lambda step, u: (u, u), lambda f: _Dual(residue(f), {}))
        rows += [[y.slopes.get(k, 0) for k in range(count)] for y in found]
    return rank(rows)


class _Dual:
    """A residue with its derivatives by the parameters that it depends on."""

    __slots__ = ("slopes", "value")

    def __init__(self, value: int, slopes: dict[int, int]) -> None:
        self.value, self.slopes = value, slopes

    def __add__(self, other: _Dual) -> _Dual:
        slopes = self.slopes | {k: (self.slopes.get(k, 0) + s) % PRIME for k, s in other.slopes.items()}
        return _Dual((self.value + other.value) % PRIME, slopes)

    def __mul__(self, other: _Dual) -> _Dual:
        slopes = {k: s * other.value % PRIME for k, s in self.slopes.items()}
        slopes |= {k: (slopes.get(k, 0) + s * self.value) % PRIME for k, s in other.slopes.items()}
        return _Dual(self.value * other.value % PRIME, slopes)
