"""More kinks than relus that can make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from qnn_theory.checking.evaluation import Atom, RejectedError
from qnn_theory.checking.functions import Family, Polynomial, Witness, affine_relus, rank, residue
from qnn_theory.checking.maps import PRIME, RANDOM
from qnn_theory.checking.reading import listed, many, rational, whole
from qnn_theory.grammar.expr import Expr


def check_kinks(shown: Witness, target: Expr, data: Mapping[str, Any]) -> str:
    """The witness (one output, or all) has kinks on more hyperplanes than the target has relus that can make them."""
    if not affine_relus(shown.source) or not affine_relus(target):
        raise RejectedError("kinks are counted where every activation is a relu of an affine form")
    output = None if data["output"] is None else whole(data["output"], 0, shown.count - 1, "an output")
    planes = [_plane(plane, shown.dim) for plane in many(data["hyperplanes"], "hyperplanes")]
    for k, one in enumerate(planes):
        if any(rank([_vector(one, shown.dim), _vector(other, shown.dim)]) < 2 for other in planes[:k]):
            raise RejectedError("two hyperplanes are the same")
    jumps = [_jump(shown, plane, output) for plane in planes]
    family = Family(target, shown.dim)
    if output is None:
        limit = len({atom for i in range(shown.count) for atom in family.relus_of(i)})
    elif len(planes) > len(relus := family.relus_of(output)):
        limit = len(relus)
    else:
        idle = [
            r for r in relus if not any(_can(family, [r], output, p, j) for p, j in zip(planes, jumps, strict=True))
        ]
        if any(_can(family, idle, output, p, j) for p, j in zip(planes, jumps, strict=True)):
            idle = []
        limit = len(relus) - len(idle)
    if whole(data["limit"], 0, 10_000, "a limit") != limit or len(planes) <= limit:
        raise RejectedError(f"the target can make {limit} kinks, the witness has {len(planes)}")
    return f"; error below {family.degree * 1e3 / PRIME:.0e}"


def _plane(data: Any, dim: int) -> Polynomial:
    """``c_0 + c_1 x_1 + ... + c_d x_d``, not constant."""
    numbers = [rational(c) for c in listed(data, dim + 1, "a hyperplane")]
    if next((c for c in numbers[1:] if c), 0) != 1:
        raise RejectedError("a hyperplane has the coefficient 1 at the first input that it depends on")
    units = [tuple(int(j == axis) for j in range(dim)) for axis in range(-1, dim)]
    return {unit: c for unit, c in zip(units, numbers, strict=True) if c}


def _vector(plane: Polynomial, dim: int) -> list[Any]:
    return [plane.get(tuple(int(j == axis) for j in range(dim)), Fraction(0)) for axis in range(-1, dim)]


def _jump(shown: Witness, plane: Polynomial, output: int | None) -> Polynomial:
    """How an output changes across a hyperplane, at a random point of it."""
    dim = shown.dim
    constant, *normal = _vector(plane, dim)
    axis = next(j for j, c in enumerate(normal) if c)
    point = [Fraction(RANDOM.randrange(-(10**6), 10**6), 997) for _ in range(dim)]
    point[axis] = (
        -(constant + sum(c * p for j, (c, p) in enumerate(zip(normal, point, strict=True)) if j != axis)) / normal[axis]
    )
    step = [Fraction(int(j == axis)) for j in range(dim)]
    sides = [shown.piece(point, [sign * s for s in step], on=plane) for sign in (1, -1)]
    for k in range(shown.count) if output is None else (output,):
        jump = {
            m: sides[0][k].get(m, Fraction(0)) - sides[1][k].get(m, Fraction(0)) for m in {*sides[0][k], *sides[1][k]}
        }
        if any(jump.values()):
            return {m: c for m, c in jump.items() if c}
    raise RejectedError("the witness has no kink on one of the hyperplanes")


def _can(family: Family, relus: Sequence[Atom], output: int, plane: Polynomial, jump: Polynomial) -> bool:
    """Whether jumps that these relus can make across the hyperplane span the given one."""
    surface = family.ring.from_dict({m: residue(c) for m, c in plane.items()})
    found: list[Polynomial] = []
    for relu in relus:
        for count in range(60):
            values, gates, factor = family.draw(), family.gates(), RANDOM.randrange(1, PRIME)

            def rule(
                atom: Atom, u: Any, on: int, relu: Atom = relu, g: Mapping[Atom, int] = gates, f: int = factor
            ) -> Any:
                return on * f * surface if atom == relu else g[atom] * u

            sides = [family.member(values, lambda atom, u, on=on: rule(atom, u, on))[output] for on in (1, 0)]  # type: ignore[misc]
            found.append({m: (sides[0].get(m, 0) - sides[1].get(m, 0)) % PRIME for m in {*sides[0], *sides[1]}})
            if count > max(sum(map(bool, f.values())) for f in found) + 2:
                break
    monomials = sorted({m for f in (*found, jump) for m in f})
    rows = [[f.get(m, 0) for m in monomials] for f in found]
    return rank(rows) == rank([*rows, [jump.get(m, 0) for m in monomials]])
