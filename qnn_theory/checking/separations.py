"""Separations: that the stated function of the source breaks a rule which all functions of the target obey.

Every rule is recomputed on the target, from its formula and random members of the checker's own, and has to be the one that is
stated; every number about the witness is recomputed from the witness's parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

from qnn_theory.checking.analytic import check_difference, check_sign, check_smoothness
from qnn_theory.checking.equations import check_dimension, check_equations
from qnn_theory.checking.evaluation import NotCheckedError, RejectedError, activations
from qnn_theory.checking.functions import Family, Polynomial, Witness, affine_relus, piecewise, rank, residue
from qnn_theory.checking.kinks import check_kinks
from qnn_theory.checking.maps import PRIME
from qnn_theory.checking.reading import exact_keys, listed, many, monomial, rational, whole
from qnn_theory.grammar.expr import Expr
from qnn_theory.grammar.widths import width

_MEMBERS = 3
_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
Data: TypeAlias = Mapping[str, Any]


def check_separation(source: Expr, target: Expr, rule: Any, data: Any, witness: Any) -> str:
    """Reject a separation that proves nothing; else say how it was checked.

    Raises:
        RejectedError: the rule does not hold for the target, or the witness keeps it.
        NotCheckedError: the checker does not know the rule, or has no numbers for it.
    """
    if not isinstance(rule, str) or not rule:
        raise RejectedError(f"a rule is named, however: {str(rule)[:40]!r}")
    keys = _KEYS.get(rule)
    if keys is None or data is None:
        raise NotCheckedError(f"the rule {str(rule)[:60]!r}" + ("" if keys is None else ", which came without numbers"))
    if rule == "polynomial members":
        inner = data.get("rule") if isinstance(data, dict) else None
        keys = keys | _KEYS[inner] if isinstance(inner, str) and inner in _LINEAR else keys
    exact_keys(data, keys, f"the numbers of the rule {rule!r}")
    if rule in ("output width", "dimension"):
        if witness is not None:
            raise RejectedError(f"a separation by {rule} has no witness")
        return _check_width(source, target, data) if rule == "output width" else check_dimension(source, target, data)
    if width(source) != width(target):
        raise RejectedError("the two formats have different numbers of outputs, which is rule enough")
    own = piecewise(source)
    exact_keys(witness, {"dim", "entries"} | ({"function"} if own else set()), "a witness")
    shown = Witness(source, target, witness)
    known = _stated_function(shown, witness) if own else {}
    if rule in _WITH_FUNCTION:
        if not own:
            raise RejectedError(
                f"the rule {rule!r} is about pieces that are polynomials, and the source has a smooth activation"
            )
        return f"{rule} at d = {shown.dim}{_WITH_FUNCTION[rule](shown, target, data, known)}"
    return f"{rule} at d = {shown.dim}{_OTHERS[rule](shown, target, data)}"


def _stated_function(shown: Witness, witness: Data) -> dict[int, Polynomial]:
    """The witness's outputs around x = (2, 3, 5, 7, ...), which must be those that its parameters give."""
    pieces = shown.piece([Fraction(_PRIMES[i % len(_PRIMES)] + i // len(_PRIMES)) for i in range(shown.dim)])
    if not isinstance(witness["function"], dict) or not witness["function"]:
        raise RejectedError("the witness's function is a mapping from outputs to terms")
    found: dict[int, Polynomial] = {}
    for key, terms in witness["function"].items():
        output = whole(
            int(key) if key.isascii() and key.isdigit() and len(key) < 6 else key, 0, shown.count - 1, "an output"
        )
        if not isinstance(terms, list):
            raise RejectedError("the witness's function is a list of [exponents, coefficient]")
        pairs = [listed(term, 2, "a term [exponents, coefficient]") for term in terms]
        stated = {monomial(m, shown.dim): rational(c) for m, c in pairs}
        if len(stated) != len(terms) or stated != pieces[output]:
            raise RejectedError(f"y_{output + 1} of the witness is not the function that is stated")
        found[output] = stated
    return found


def _output(data: Data, known: Mapping[int, Any]) -> int:
    output = data["output"]
    if type(output) is not int or output not in known:
        raise RejectedError(
            f"the rule is about an output of the witness's stated function, however: {str(output)[:40]}"
        )
    return output


def _check_width(source: Expr, target: Expr, data: Data) -> str:
    stated = rational(data["source"]), rational(data["target"])
    if stated != (width(source), width(target)) or stated[0] == stated[1]:
        raise RejectedError(f"the formats have {width(source)}·d and {width(target)}·d outputs")
    return "output width"


def _linear(rule: str) -> Callable[[Witness, Expr, Data, Mapping[int, Polynomial]], str]:
    def check(shown: Witness, target: Expr, data: Data, known: Mapping[int, Polynomial]) -> str:
        output = _output(data, known)
        family = Family(target, shown.dim)
        members = [family.member()[output] for _ in range(_MEMBERS)]
        _check_linear(rule, data, members, known[output], shown.dim, output)
        return _error(family)

    return check


def _check_linear(
    rule: str, data: Data, members: list[Polynomial], function: Polynomial, dim: int, output: int
) -> None:
    support = {m for member in members for m in member}
    if rule == "degree":
        bound = max(map(sum, support), default=0)
        if whole(data["bound"], 0, 10_000, "a degree") != bound or max(map(sum, function), default=0) <= bound:
            raise RejectedError(f"the target's degree is {bound}, the witness's {max(map(sum, function), default=0)}")
    elif rule == "divisibility":
        j = whole(data["input"], 0, dim - 1, "an input")
        if j != output or not all(m[j] for m in support) or all(m[j] for m in function):
            raise RejectedError(
                f"x_{j + 1} does not divide the target's y_{output + 1}, or divides the witness's, or is not its own"
            )
    elif rule == "monomial":
        m = monomial(data["monomial"], dim)
        if m in support or m not in function or sum(m) > max(map(sum, support), default=0):
            raise RejectedError("the target's output has the monomial, or the witness's has not")
    elif rule == "fixed coefficient":
        m, value = monomial(data["monomial"], dim), rational(data["value"])
        if m not in support or any(f.get(m, 0) != residue(value) for f in members) or function.get(m, 0) == value:
            raise RejectedError("the target's coefficient is not fixed so, or the witness has it")
    else:
        terms = {
            monomial(m, dim): rational(c) for m, c in (listed(t, 2, "a term") for t in many(data["terms"], "the terms"))
        }
        value = rational(data["value"])
        if len(terms) != len(data["terms"]) or not all(terms.values()) or not terms.keys() <= support:
            raise RejectedError("the terms are about different monomials of the target")
        for f in members:
            if sum(residue(c) * f.get(m, 0) for m, c in terms.items()) % PRIME != residue(value):
                raise RejectedError("the target's coefficients are not related so")
        if sum(c * function.get(m, Fraction(0)) for m, c in terms.items()) == value:
            raise RejectedError("the witness's coefficients are related so, too")


def _check_polynomial_members(shown: Witness, target: Expr, data: Data, known: Mapping[int, Polynomial]) -> str:
    """An output P(x, relu(u)): if it is a polynomial, it is P(x, c): u is constant, or relu(u) = 0 on a half-space."""
    output = _output(data, known)
    if activations(shown.source) or not affine_relus(target) or str(data["rule"]) not in _LINEAR:
        raise RejectedError(
            "the source is no polynomial, the target has an activation of another kind, or the rule is none"
        )
    family = Family(target, shown.dim)
    if len(family.relus_of(output)) != 1:
        raise RejectedError(f"the target's y_{output + 1} does not depend on exactly one relu")
    members = []
    for _ in range(_MEMBERS):
        constants = family.gates()
        members.append(family.member(gate=lambda atom, u, constants=constants: 0 * u + constants[atom])[output])  # type: ignore[misc]
    _check_linear(data["rule"], data, members, known[output], shown.dim, output)
    return f" ({data['rule']}){_error(family)}"


def _check_rank(shown: Witness, target: Expr, data: Data, known: Mapping[int, Polynomial]) -> str:
    family = Family(target, shown.dim)
    fixed = family.fixed_part()
    build, used = _matrix(data["matrix"], shown.dim, shown.count)
    if not used <= known.keys():
        raise RejectedError("the matrix is about outputs that the witness does not state")

    def shifted(outputs: Mapping[int, Polynomial]) -> dict[int, Polynomial]:
        return {
            i: {m: residue(outputs[i].get(m, 0)) - fixed[i].get(m, 0) for m in {*outputs[i], *fixed[i]}} for i in used
        }

    bound = max(rank(build(shifted(dict(enumerate(family.member()))))) for _ in range(_MEMBERS))
    ours = rank(build(shifted(known)))
    stated = whole(data["bound"], 0, 10_000, "a rank"), whole(data["rank"], 0, 10_000, "a rank")
    if stated != (bound, ours) or ours <= bound:
        raise RejectedError(f"the target's matrix has rank at most {bound}, the witness's {ours}")
    return _error(family, factor=shown.dim + 2)


def _matrix(data: Any, dim: int, count: int) -> tuple[Callable[[Mapping[int, Polynomial]], list[list[Any]]], set[int]]:
    """How a matrix is built of the outputs' coefficients, and which outputs."""
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(kind, str) or not kind:
        raise RejectedError(f"a matrix has a kind, however: {str(data)[:60]}")

    def unit(*indices: int | None) -> tuple[int, ...]:
        return tuple(sum(k == j for k in indices) for j in range(dim))

    if kind == "gates" and count == dim:
        exact_keys(data, {"kind"}, "a matrix of gates")
        return lambda f: [[f[i].get(unit(i, j), 0) for j in range(dim)] for i in range(dim)], set(range(dim))
    if kind == "form":
        exact_keys(data, {"kind", "output", "rows", "columns", "factor"}, "the matrix of a form")
        output = whole(data["output"], 0, count - 1, "an output")
        rows, columns, (factor,) = (_indices(v, dim) for v in (data["rows"], data["columns"], [data["factor"]]))

        def form(f: Mapping[int, Polynomial]) -> list[list[Any]]:
            return [[(1 + (j == k)) * f[output].get(unit(j, k, factor), 0) for k in columns] for j in rows]

        return form, {output}
    if kind == "shared forms":
        exact_keys(data, {"kind", "outputs", "monomials"}, "a matrix of shared forms")
        outputs = [whole(i, 0, count - 1, "an output") for i in many(data["outputs"], "outputs")]
        monomials = [monomial(m, dim) for m in many(data["monomials"], "monomials")]
        if len({*outputs}) != len(outputs) or len({*monomials}) != len(monomials):
            raise RejectedError("an output or a monomial of the matrix is given twice")
        return lambda f: [[f[i].get(m, 0) for m in monomials] for i in outputs], set(outputs)
    if kind == "multiple":
        exact_keys(data, {"kind", "output", "by"}, "a matrix of multiples")
        output, by = (whole(data[name], 0, count - 1, "an output") for name in ("output", "by"))

        def multiples(f: Mapping[int, Polynomial]) -> list[list[Any]]:
            rows = [
                f[by],
                *({tuple(map(sum, zip(m, unit(j), strict=True))): c for m, c in f[by].items()} for j in range(dim)),
            ]
            rows.append(f[output])
            monomials = sorted({m for row in rows for m in row})
            return [[row.get(m, 0) for m in monomials] for row in rows]

        return multiples, {output, by}
    raise NotCheckedError(f"a matrix of the kind {str(kind)[:40]!r}")


def _indices(value: Any, dim: int) -> list[int | None]:
    if not isinstance(value, list) or not value or len({str(j) for j in value}) != len(value):
        raise RejectedError("the rows and columns of a matrix are lists without repetition")
    return [None if j is None else whole(j, 0, dim - 1, "an index") for j in value]


def _error(family: Family, *, factor: int = 1) -> str:
    """The chance that a property of random members is none of the generic one: (degree / p)^members a coefficient."""
    count = math.comb(family.dim + min(family.degree, 50), family.dim)
    error = min(1.0, count * (factor * family.degree / PRIME) ** (_MEMBERS - 1))
    return f"; error below {max(error, 1e-99):.0e}"


_LINEAR = ("degree", "divisibility", "monomial", "fixed coefficient", "related coefficients")
_KEYS: dict[str, set[str]] = {
    "output width": {"source", "target"},
    "degree": {"output", "bound"},
    "divisibility": {"output", "input"},
    "monomial": {"output", "monomial"},
    "fixed coefficient": {"output", "monomial", "value"},
    "related coefficients": {"output", "terms", "value"},
    "polynomial members": {"output", "rule"},
    "rank": {"matrix", "bound", "rank"},
    "kinks": {"output", "limit", "hyperplanes"},
    "finite difference": {"output", "degree", "direction", "value"},
    "sign": {"output", "side", "shift", "limit", "upper", "point", "value"},
    "smoothness": {"output", "point", "direction", "derivative", "jump"},
    "dimension": {"dim", "source", "target"},
    "equations": {"equations"},
}
_WITH_FUNCTION: dict[str, Callable[[Witness, Expr, Data, Mapping[int, Polynomial]], str]] = {
    **{rule: _linear(rule) for rule in _LINEAR},
    "polynomial members": _check_polynomial_members,
    "rank": _check_rank,
    "equations": check_equations,
}
_OTHERS: dict[str, Callable[[Witness, Expr, Data], str]] = {
    "kinks": check_kinks,
    "finite difference": check_difference,
    "sign": check_sign,
    "smoothness": check_smoothness,
}
