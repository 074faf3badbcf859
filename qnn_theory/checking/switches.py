"""What a function is on the two sides of hyperplanes, and which steps of the other format could make it so.

Steps have affine arguments. Near a point of a hyperplane, or far out around a direction in it, a function of the target is
different polynomials on the two sides only if the hyperplane is one on which an argument is 0; far out, if it is parallel to one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from qnn_theory.checking.evaluation import Step, step_kinds
from qnn_theory.checking.functions import (
    PRIME,
    RANDOM,
    Family,
    Germ,
    Place,
    Polynomial,
    Witness,
    in_span,
    plain,
    rank,
    residue,
)
from qnn_theory.checking.reading import NotCheckedError, RejectedError, listed, many, rational, whole
from qnn_theory.grammar.expr import Activation, Bilinear, Expr, Power, Product, walk

_MOST = 60


def check_switches(shown: Witness, target: Expr, data: Mapping[str, Any]) -> str:
    """More hyperplanes with two sides, in one output or in all, than the target has steps that can make them."""
    output = None if data["output"] is None else whole(data["output"], 0, shown.count - 1, "an output")
    surfaces, jumps, far = _surfaces(shown, target, data["hyperplanes"], output)
    family = Family(target, shown.dim)
    places = dict.fromkeys(p for i in range(shown.count) if output in (None, i) for p in family.places_of(i))
    steps = [(p, second) for p in places for second in (False, True)[: 1 + (p[0].kind == "relu6" and not far)]]
    limit = len(steps)
    if output is not None and len(surfaces) <= limit:
        pairs = list(zip(surfaces, jumps, strict=True))
        idle = [s for s in steps if not any(_can(family, [s], output, *pair, far=far) for pair in pairs)]
        if not any(_can(family, idle, output, *pair, far=far) for pair in pairs):
            limit -= len(idle)
    if whole(data["limit"], 0, 10_000, "a limit") != limit or len(surfaces) <= limit:
        raise RejectedError(f"the target can make {limit} such hyperplanes, the witness has {len(surfaces)}")
    return f"; error below {1e3 * family.degree / PRIME:.0e}"


def check_sides(shown: Witness, target: Expr, data: Mapping[str, Any]) -> str:
    """The two sides of a hyperplane, in either order, that are not those of a target whose steps have one argument."""
    output = whole(data["output"], 0, shown.count - 1, "an output")
    (surface,), _, far = _surfaces(shown, target, listed(data["hyperplanes"], 1, "the hyperplanes"), output)
    family = Family(target, shown.dim)
    parallel = _one_argument(family, family.places_of(output))
    if not far and any(number or place[0].kind == "relu6" for place, (_, number) in parallel.items()):
        raise RejectedError("the target's kinks are not on one hyperplane")

    def member(here: bool) -> dict[Any, int]:
        values, steps, first = family.draw(), family.steps(), _argument(family, surface, far)

        def rule(step: Step, u: Any, upper: bool) -> tuple[Any, Any]:
            if step[1:4] not in parallel:
                return steps(step, u)
            factor, number = parallel[step[1:4]]
            v = residue(factor) * first + residue(number) - 6 * step.second
            return v if here else u, int((factor > 0) == upper)

        sides = [family.member(values, lambda s, u, k=k: rule(s, u, k))[output] for k in (True, False)]  # type: ignore[misc]
        return {(k, m): c for k, side in enumerate(sides) for m, c in side.items()}

    upper, lower = (germ.outputs[output] for germ in shown.germs)
    for here in (True, False):  # with the argument in its place only, and with the argument as it is
        members = [member(here)]
        while len(members) < len({m for f in members for m in f}) + 4:
            members.append(member(here))
        pairs = [{(k, m): c for k, f in enumerate(p) for m, c in f.items()} for p in ((upper, lower), (lower, upper))]
        if not any(in_span(members, pair, affine=True) for pair in pairs):
            return f"; error below {(len(members) * family.degree + 1) / PRIME:.0e}"
    raise RejectedError("the target may have such sides")


def affine_arguments(expr: Expr) -> bool:
    """Whether every activation has an affine form of x as its argument."""
    curved = (Product, Power, Activation, Bilinear)
    return not any(isinstance(m, curved) for n in walk(expr) if isinstance(n, Activation) for m in walk(n.of))


def _surfaces(
    shown: Witness, target: Expr, data: Any, output: int | None
) -> tuple[list[Polynomial], list[Polynomial], bool]:
    """The hyperplanes, the differences between their sides, and whether they are far out."""
    surfaces, jumps = [], []
    planes = [[rational(c) for c in listed(p, shown.dim + 1, "a hyperplane")] for p in many(data, "hyperplanes")]
    germs = listed(shown.germs, 2 * len(planes), "the germs of hyperplanes")
    far = germs[0].far
    if not affine_arguments(target) or (not far and step_kinds(target) - {"H"}):
        raise RejectedError("the target has a step of another kind, or one whose argument is not affine")
    for k, plane in enumerate(planes):
        if next((c for c in plane[1:] if c), 0) != 1 or any(rank([plane, other]) < 2 for other in planes[:k]):
            raise RejectedError("a hyperplane is given twice, or its first coefficient of an input is not 1")
        units = [tuple(int(j == axis) for j in range(shown.dim)) for axis in range(-1, shown.dim)]
        surfaces.append({unit: c for unit, c in zip(units, plane, strict=True) if c})
        jumps.append(_jump(germs[2 * k], germs[2 * k + 1], plane, surfaces[-1], output, far))
    return surfaces, jumps, far


def _jump(
    upper: Germ, lower: Germ, plane: Sequence[Fraction], surface: Polynomial, output: int | None, far: bool
) -> Polynomial:
    """The difference between the two sides, once it is known that they are such."""

    def height(point: Sequence[Fraction]) -> Fraction:
        return sum((c * p for c, p in zip(plane[1:], point, strict=True)), Fraction(0))

    facing = upper.at == lower.at and upper.along == [-s for s in lower.along] and height(upper.along) > 0
    if (
        not facing
        or {upper.far, lower.far} != {far}
        or height(upper.at) + (0 if far else plane[0])
        or (far and plane[0])
    ):
        raise RejectedError("two germs are not on the two sides of a hyperplane")
    for argument in (*upper.undecided, *lower.undecided):
        if not in_span([surface], argument):
            raise RejectedError("the point is on another hyperplane, too")
    for i, one in upper.outputs.items():
        if output in (None, i) and i in lower.outputs and one != lower.outputs[i]:
            other = lower.outputs[i]
            return {m: one.get(m, Fraction(0)) - other.get(m, Fraction(0)) for m in {*one, *other}}
    raise RejectedError("the witness is the same on both sides of a hyperplane")


def _argument(family: Family, surface: Polynomial, far: bool) -> Any:
    """A random affine form that is 0 on the hyperplane or, far out, on one that is parallel to it."""
    factor, number = RANDOM.randrange(1, PRIME), RANDOM.randrange(PRIME)
    return factor * family.ring.from_dict({m: residue(c) for m, c in surface.items()}) + far * number


def _can(
    family: Family,
    steps: Sequence[tuple[Place, bool]],
    output: int,
    surface: Polynomial,
    jump: Polynomial,
    *,
    far: bool,
) -> bool:
    """Whether jumps that these steps can make across the hyperplane span the given one."""
    found: list[Polynomial] = []
    for place, second in steps:
        for count in range(_MOST):
            values, others, form = family.draw(), family.steps(), _argument(family, surface, far)

            def rule(
                step: Step, u: Any, on: int, others: Callable[[Step, Any], Any] = others, form: Any = form
            ) -> tuple[Any, Any]:
                own = step[1:4] == place and (far or step.second == second)  # noqa: B023
                return (form - 6 * (far and step.second), on) if own else others(step, u)

            sides = [family.member(values, lambda s, u, on=on: rule(s, u, on))[output] for on in (1, 0)]  # type: ignore[misc]
            found.append({m: (sides[0].get(m, 0) - sides[1].get(m, 0)) % PRIME for m in {*sides[0], *sides[1]}})
            if count > max(sum(map(bool, f.values())) for f in found) + 2:
                break
        else:
            raise NotCheckedError("jumps with so many terms")
    return in_span(found, jump)


def _one_argument(family: Family, places: Sequence[Place]) -> dict[Place, tuple[Fraction, Fraction]]:
    """For each activation the factor and the number that make the argument of the first one its own.

    Raises:
        RejectedError: there are none.
    """
    found: list[dict[Place, tuple[Fraction, Fraction]]] = []
    for _ in range(2):
        arguments: dict[Place, Polynomial] = {}
        steps = family.steps()

        def rule(
            step: Step, u: Any, arguments: dict[Place, Polynomial] = arguments, steps: Any = steps
        ) -> tuple[Any, Any]:
            half = (PRIME + 1) // 2 if step.node.kind == "tanh" else 1
            arguments.setdefault(step[1:4], plain(half * u))
            return steps(step, u)  # type: ignore[no-any-return]

        family.member(None, rule)
        own = [arguments[place] for place in places]
        if not own or not any(map(sum, own[0])):
            raise RejectedError("the target's output has no step with two sides")
        lead, zero = max(own[0], key=lambda m: (sum(m), m)), (0,) * family.dim
        pairs = {}
        for place, argument in zip(places, own, strict=True):
            factor = argument.get(lead, 0) * pow(own[0][lead], -1, PRIME) % PRIME
            rest = {m: (argument.get(m, 0) - factor * own[0].get(m, 0)) % PRIME for m in {*argument, *own[0]}}
            if not factor or any(c for m, c in rest.items() if m != zero):
                raise RejectedError("the arguments of the target's steps are of different directions")
            pairs[place] = (_simple(factor), _simple(rest.get(zero, 0)))
        found.append(pairs)
    if found[0] != found[1]:
        raise RejectedError("the arguments of the target's steps are not multiples of one another")
    return found[0]


def _simple(value: int) -> Fraction:
    """The simple rational number that a residue is."""
    for denominator in range(1, 400):
        numerator = value * denominator % PRIME
        for number in (numerator, numerator - PRIME):
            if abs(number) < 1 << 20:
                return Fraction(number, denominator)
    raise RejectedError("the arguments of the target's steps differ by no simple factor")
