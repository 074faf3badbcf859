"""Separations: that the stated function of the source breaks a rule which all functions of the target obey.

Every rule is recomputed on the target, from its formula and random members of the checker's own, and has to be the one that is
stated; every number about the witness is recomputed from the witness's parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

from qnn_theory.checking.bounds import bounds, factors, never_negative
from qnn_theory.checking.evaluation import Step, outputs, step_kinds
from qnn_theory.checking.functions import (
    PRIME,
    RANDOM,
    Family,
    Germ,
    Polynomial,
    Witness,
    on_line,
    rank,
    residue,
)
from qnn_theory.checking.parameters import check_dimension, check_equations
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
from qnn_theory.checking.smooth import check_no_polynomial
from qnn_theory.checking.switches import affine_arguments, check_sides, check_switches
from qnn_theory.grammar import expr as g
from qnn_theory.grammar.widths import divisor, width

Data: TypeAlias = Mapping[str, Any]
Check: TypeAlias = Callable[[Witness, g.Expr, Data], str]


def check_separation(source: g.Expr, target: g.Expr, rule: Any, data: Any, witness: Any) -> str:
    """Reject a separation that proves nothing; else say how it was checked.

    Raises:
        RejectedError: the rule does not hold for the target, or the witness keeps it.
        NotCheckedError: the checker does not know the rule, or has no numbers for it.
    """
    if not isinstance(rule, str) or not rule:
        raise RejectedError(f"a rule is named, however: {str(rule)[:40]!r}")
    if rule not in _RULES or data is None:
        raise NotCheckedError(f"the rule {rule[:60]!r}" + (", which came without numbers" if rule in _RULES else ""))
    keys, check = _RULES[rule]
    exact_keys(data, keys, f"the numbers of the rule {rule!r}")
    if rule in ("output width", "dimension"):
        if witness is not None:
            raise RejectedError(f"a separation by {rule} has no witness")
        return _check_width(source, target, data) if rule == "output width" else check_dimension(source, target, data)
    if width(source) != width(target):
        raise RejectedError("the two formats have different numbers of outputs, which is rule enough")
    shown = Witness(source, target, witness)
    how = check(shown, target, data)
    return f"{rule} at d = {shown.dim}{_at_a_larger_d(shown, target, witness, data, check)}{how}"


def _at_a_larger_d(shown: Witness, target: g.Expr, witness: Data, data: Data, check: Check) -> str:
    """Where function and rule, padded with zeros, hold at the next d, too, that is said; a rank may grow with d."""
    more = math.lcm(divisor(shown.source), divisor(target))
    larger = _padded(witness, shown.dim, more, "0") | {"dim": shown.dim + more}
    try:
        check(Witness(shown.source, target, larger), target, _padded(data, shown.dim, more, "0"))
    except (RejectedError, NotCheckedError):
        return ""
    return f" and, padded with zeros, {shown.dim + more}"


def _padded(value: Any, dim: int, more: int, end: str) -> Any:
    """Monomials, points and hyperplanes with more inputs, of which none occurs; points are 1 there."""
    if isinstance(value, dict):
        own = {key: "1" if key == "at" else "0" for key in value}
        return {key: part if key == "entries" else _padded(part, dim, more, own[key]) for key, part in value.items()}
    if not isinstance(value, list):
        return value
    for kind, zero in ((int, 0), (str, end)):
        if len(value) in (dim, dim + 1) and all(type(part) is kind for part in value):
            return [*value, *[zero] * more]
    return [_padded(part, dim, more, end) for part in value]


def _check_width(source: g.Expr, target: g.Expr, data: Data) -> str:
    stated = rational(data["source"]), rational(data["target"])
    if stated != (width(source), width(target)) or stated[0] == stated[1]:
        raise RejectedError(f"the formats have {width(source)}·d and {width(target)}·d outputs")
    return "output width"


def _one_germ(shown: Witness, target: g.Expr, *, everywhere: bool = False) -> Germ:
    """The witness's only germ, which the target's family of polynomials has to hold."""
    (germ,) = listed(shown.germs, 1, "the germs of this rule")
    if not everywhere and not germ.far and step_kinds(target) - {"H"}:
        raise RejectedError("functions of the target are no polynomials near a point")
    return germ  # type: ignore[no-any-return]


def _check_linear(shown: Witness, target: g.Expr, data: Data) -> str:
    """An equation between coefficients of an output that all of the target's polynomials obey.

    With constant gates, the witness is a polynomial everywhere, and the target's output depends on one activation of an affine u:
    where u is not a constant, the activation tends to one on a half-space.
    """
    constant = data["gates"] == "constant"
    germ, family = _one_germ(shown, target, everywhere=constant), Family(target, shown.dim)
    output = _stated(germ, data["output"])
    pairs = [listed(t, 2, "a term [exponents, factor]") for t in many(data["terms"], "the terms")]
    terms, value = {monomial(m, shown.dim): rational(c) for m, c in pairs}, rational(data["value"])
    if len(terms) != len(pairs) or not all(terms.values()) or next(iter(terms.values())) != 1:
        raise RejectedError("the terms are about different monomials, the first with factor 1")
    rule: Callable[[Step, Any], tuple[Any, Any]] | None = None
    if constant:
        place = listed(family.places_of(output), 1, f"what y_{output + 1} of the target depends on")[0]
        if step_kinds(shown.source) or place[0].kind == "prelu" or not affine_arguments(place[0]):
            raise RejectedError("the source is no polynomial, or the target has a gate of another kind")

        def rule(step: Step, u: Any) -> tuple[Any, Any]:
            return RANDOM.randrange(PRIME), RANDOM.randrange(PRIME)

    elif data["gates"] != "free":
        raise RejectedError("gates are free or constant")
    for member in (family.member(None, rule)[output] for _ in range(2)):
        if sum(residue(c) * member.get(m, 0) for m, c in terms.items()) % PRIME != residue(value):
            raise RejectedError(f"coefficients of the target's y_{output + 1} are not related so")
    if sum(c * germ.outputs[output].get(m, 0) for m, c in terms.items()) == value:
        raise RejectedError("the witness's coefficients are related so, too")
    return f"; error below {max((family.degree / PRIME) ** 2, 1e-99):.0e}"


def _stated(germ: Germ, output: Any) -> int:
    if type(output) is not int or output not in germ.outputs:
        raise RejectedError(f"the rule is about a stated output of the witness, however: {str(output)[:40]}")
    return output


def _check_rank(shown: Witness, target: g.Expr, data: Data) -> str:
    """A matrix of coefficients: at row [output, shift] and column m stands that of x^(m + shift) in the output.

    For a quadratic form that is multiplied by x^form, entries with shift = m + form are doubled. What the target is at all
    parameters zero is subtracted first.
    """
    germ, family = _one_germ(shown, target), Family(target, shown.dim)
    fixed = family.fixed_part()
    columns = [monomial(m, shown.dim) for m in many(data["columns"], "columns")]
    rows = []
    for row in many(data["rows"], "rows"):
        output, shift = listed(row, 2, "a row [output, shift]")
        exponents = tuple(whole(e, -1000, 1000, "an exponent") for e in listed(shift, shown.dim, "a shift"))
        rows.append((_stated(germ, output), exponents))
    form = None if data["form"] is None else monomial(data["form"], shown.dim)
    if len({*rows}) != len(rows) or len({*columns}) != len(columns):
        raise RejectedError("a row or a column of the matrix is given twice")

    def matrix(f: Mapping[int, Polynomial]) -> list[list[int]]:
        def entry(output: int, shift: tuple[int, ...], m: tuple[int, ...]) -> Any:
            at = tuple(a + b for a, b in zip(m, shift, strict=True))
            value = residue(f[output].get(at, 0)) - fixed[output].get(at, 0)
            return 2 * value if form and shift == tuple(a + b for a, b in zip(m, form, strict=True)) else value

        return [[entry(output, shift, m) for m in columns] for output, shift in rows]

    bound = max(rank(matrix(dict(enumerate(family.member())))) for _ in range(2))
    ours = rank(matrix(germ.outputs))
    stated = whole(data["bound"], 0, 10_000, "a rank"), whole(data["rank"], 0, 10_000, "a rank")
    if stated != (bound, ours) or ours <= bound:
        raise RejectedError(f"the target's matrix has rank at most {bound}, the witness's {ours}")
    return f"; error below {max((len(rows) * family.degree / PRIME) ** 2, 1e-99):.0e}"


def _check_sign(shown: Witness, target: g.Expr, data: Data) -> str:
    """``y_i - shift x_i`` is at least (at most) a limit on an orthant for the target; the witness has a point beyond."""
    output = whole(data["output"], 0, shown.count - 1, "an output")
    side, shift = whole(data["side"], -1, 1, "a side"), whole(data["shift"], 0, 1, "a shift")
    point, value, limit = shown.point(data["point"]), rational(data["value"]), rational(data["limit"])
    listed(shown.germs, 0, "the germs of this rule")
    rest = target
    if shift:
        terms = list(target.terms) if isinstance(target, g.Sum) else []
        own = next((k for k, term in enumerate(terms) if isinstance(term, g.Input | g.FirstInput)), None)
        if own is None or len(terms) < 2:
            raise RejectedError("the target adds no x that could be subtracted")
        del terms[own]
        rest = terms[0] if len(terms) == 1 else g.Sum(terms=tuple(terms))
    first, part = Fraction(0), rest
    for part in rest.parts if isinstance(rest, g.Concat) else (rest,):
        if output < (first + width(part)) * shown.dim:
            break
        first += width(part)
    if type(data["upper"]) is not bool or any(number * side < 0 for number in point):
        raise RejectedError("the point is not in the orthant")

    def exact(step: Step, u: Fraction) -> tuple[Fraction, int]:
        if step.kind != "H":
            raise NotCheckedError("the value of a smooth activation")
        return u, int(u > 0)

    found = outputs(shown.source, point, shown.values, exact, lambda number: number)[output]
    distance = value - shift * (point[output] if output < shown.dim else 0) - limit
    if found != value or distance == 0 or (distance > 0) != data["upper"]:
        raise RejectedError(f"the witness has y_{output + 1} = {str(found)[:60]} at the point")
    known = bounds(part, side)[data["upper"]]
    if known == limit:
        return ", exact"
    if math.isinf(known):
        raise NotCheckedError("a bound that the target's formula does not show")
    raise RejectedError("the target does not keep to this bound, as far as its formula shows")


def _check_smoothness(shown: Witness, target: g.Expr, data: Data) -> str:
    """A derivative of the witness along a line jumps, of an order up to which the target's are continuous."""
    output, order = (
        whole(data["output"], 0, shown.count - 1, "an output"),
        whole(data["derivative"], 1, 1000, "an order"),
    )
    upper, lower = listed(shown.germs, 2, "the germs of this rule")
    if upper.far or lower.far or upper.at != lower.at or upper.along != [-step for step in lower.along]:
        raise RejectedError("two germs are not on the two sides of a point")
    one, other = upper.outputs.get(output, {}), lower.outputs.get(output, {})
    jump = {m: one.get(m, Fraction(0)) - other.get(m, Fraction(0)) for m in {*one, *other}}
    line = on_line(jump, upper.at, upper.along)
    first = next((k for k, c in enumerate(line) if c), None)
    if first != order or line[first] * math.factorial(first) != rational(data["jump"]):
        raise RejectedError(f"the witness's derivative of order {order} does not jump so there, or not as the first")
    smooth = smoothness_bound(target)
    if smooth < order:
        raise NotCheckedError(
            f"that functions of the target are smoother than C^{smooth}, which is all its formula shows"
        )
    return ", exact"


def smoothness_bound(expr: g.Expr) -> float:
    """An r such that all functions are C^r, from the formula. relu(u)^n is C^(n - 1), and u relu(u) is C^1."""
    if not g.uses_activation(expr):
        return math.inf
    if isinstance(expr, g.Product | g.Power | g.Multiple):
        _, found = factors(expr)
        kinked = [f for f in found if not math.isinf(smoothness_bound(f))]
        if all(isinstance(f, g.Activation) and f.kind == "relu" and math.isinf(smoothness_bound(f.of)) for f in kinked):
            return min((found[f] - 1 + found[f.of] for f in kinked if isinstance(f, g.Activation)), default=math.inf)
    if isinstance(expr, g.Activation) and step_kinds(expr) and expr.kind in ("relu", "relu6", "prelu"):
        return smoothness_bound(expr.of) if expr.kind == "relu" and never_negative(expr.of) else 0
    return min(map(smoothness_bound, g.children(expr)), default=math.inf)


_RULES: dict[str, tuple[set[str], Check]] = {
    "output width": ({"source", "target"}, lambda *_: ""),
    "dimension": ({"dim", "source", "target"}, lambda *_: ""),
    "coefficients": ({"output", "terms", "value", "gates"}, _check_linear),
    "rank": ({"rows", "columns", "form", "bound", "rank"}, _check_rank),
    "hyperplanes": ({"output", "hyperplanes", "limit"}, check_switches),
    "sides": ({"output", "hyperplanes"}, check_sides),
    "sign": ({"output", "side", "shift", "limit", "upper", "point", "value"}, _check_sign),
    "smoothness": ({"output", "derivative", "jump"}, _check_smoothness),
    "no polynomial": ({"output", "degree", "around", "direction", "value", "reason"}, check_no_polynomial),
    "equations": ({"equations"}, check_equations),
}
