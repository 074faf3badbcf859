"""Linear rules that all members of a polynomial family obey: degrees, missing monomials, fixed and related coefficients.

For one output, the coefficient vectors of all members span an affine space; its equations are the rules. They are read off
random members, so a rule that does not hold for all members survives only with a probability of about (number of monomials)/p.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import flint

from qnn_theory.algebra.modular import to_fraction
from qnn_theory.algebra.monomials import Monomial
from qnn_theory.algebra.polynomials import PRIME, Polynomial, monomial_text, residue, sum_text


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule of a family and how a polynomial breaks it.

    Attributes:
        kind: what the rule is about.
        severity: the easier a rule is to grasp, the smaller.
        rule: the rule in words, a predicate of "y_i": ``has degree at most 2``.
        finding: what the polynomial has instead: ``has degree 3 (x_1^3)``.
        test: whether another polynomial breaks the rule too.
        data: the rule as an equation between coefficients: ``terms`` [monomial, factor], the first with factor 1, and ``value``.
    """

    kind: str
    severity: tuple[int, int, int]
    rule: str
    finding: str
    test: Callable[[Polynomial], bool]
    data: Mapping[str, Any]


class LinearRules:
    """The rules of one output.

    Args:
        members: random members of the family, coefficients modulo `PRIME`; more of them than they have monomials.
    """

    def __init__(self, members: Sequence[Polynomial]) -> None:
        self._members = members
        self.support = sorted({m for member in members for m in member}, key=lambda m: (-sum(m), tuple(-e for e in m)))
        self.degree = max(map(sum, self.support), default=0)
        first = members[0]
        self.fixed = {m: first.get(m, 0) for m in self.support if all(f.get(m, 0) == first.get(m, 0) for f in members)}

    @cached_property
    def relations(self) -> list[tuple[dict[Monomial, int], int]]:
        """Equations Σ λ_m [m] = c between coefficients that are not fixed, as (λ, c)."""
        free = [m for m in self.support if m not in self.fixed]
        if not free:
            return []
        rows = [[f.get(m, 0) for m in free] + [1] for f in self._members]
        kernel, nullity = flint.nmod_mat(len(rows), len(free) + 1, [c for row in rows for c in row], PRIME).nullspace()
        equations = flint.nmod_mat(
            nullity, len(free) + 1, [int(kernel[r, c]) for c in range(nullity) for r in range(len(free) + 1)], PRIME
        )
        reduced, rank = equations.rref() if nullity else (equations, 0)
        result = []
        for r in range(rank):
            row = [int(reduced[r, c]) for c in range(len(free) + 1)]
            result.append(({m: c for m, c in zip(free, row, strict=False) if c}, -row[-1] % PRIME))
        return result

    def violation(self, polynomial: Polynomial, *, own: int | None) -> Violation | None:
        """The simplest rule that a polynomial with rational coefficients breaks, or None.

        Args:
            polynomial: the polynomial.
            own: the input that the output is at, for the rule that it is divisible by it.
        """
        degree = max((sum(m) for m, c in polynomial.items() if c), default=0)
        if degree > self.degree:
            top = self.degree
            worst = _simplest(m for m, c in polynomial.items() if c and sum(m) > top)
            return Violation(
                "degree",
                (0, 0, 0),
                f"has degree at most {top}",
                f"has degree {degree} ({monomial_text(worst)})",
                lambda f: any(c and sum(m) > top for m, c in f.items()),
                missing_term(worst),
            )
        if own is not None and self.support and all(m[own] for m in self.support):
            rest = [m for m, c in polynomial.items() if c and not m[own]]
            if rest:
                return Violation(
                    "divisibility",
                    (1, 0, 0),
                    f"is divisible by x_{own + 1}: it vanishes where x_{own + 1} = 0",
                    f"has the term {monomial_text(_simplest(rest))}",
                    lambda f: any(c and not m[own] for m, c in f.items()),
                    missing_term(_simplest(rest)),
                )
        known = set(self.support)
        outside = [m for m, c in polynomial.items() if c and m not in known]
        if outside:
            m = _simplest(outside)
            return Violation(
                "monomial",
                (2, sum(m), len(m)),
                f"has no term {monomial_text(m)}",
                f"has it with coefficient {polynomial[m]}",
                lambda f: bool(f.get(m, 0)),
                missing_term(m),
            )
        for m, value in self.fixed.items():
            number = _rational(value)
            if number is not None and polynomial.get(m, Fraction(0)) != number:
                return Violation(
                    "fixed coefficient",
                    (3, sum(m), 0),
                    f"has the coefficient {number} at {monomial_text(m)}",
                    f"has the coefficient {polynomial.get(m, Fraction(0))}",
                    lambda f, m=m, number=number: f.get(m, Fraction(0)) != number,  # type: ignore[misc]
                    {"terms": [[list(m), "1"]], "value": str(number)},
                )
        return self._broken_relation(polynomial)

    def _broken_relation(self, polynomial: Polynomial) -> Violation | None:
        def broken(f: Polynomial, relation: dict[Monomial, int], value: int) -> bool:
            return sum(c * residue(f.get(m, Fraction(0))) for m, c in relation.items()) % PRIME != value

        found = []
        for relation, value in self.relations:
            numbers = {m: _rational(c) for m, c in relation.items()}
            total = _rational(value)
            if total is None or None in numbers.values() or not broken(polynomial, relation, value):
                continue
            left = sum_text([(c, f"[{monomial_text(m)}]") for m, c in numbers.items() if c is not None])
            has = sum((c * polynomial.get(m, Fraction(0)) for m, c in numbers.items() if c is not None), Fraction(0))
            found.append(
                Violation(
                    "related coefficients",
                    (4, len(relation), sum(map(sum, relation))),
                    f"has coefficients with {left} = {total}",
                    f"has {left} = {has}",
                    lambda f, relation=relation, value=value: broken(f, relation, value),  # type: ignore[misc]
                    _equation(numbers, total),
                )
            )
        return min(found, key=lambda v: v.severity, default=None)


def missing_term(monomial: Monomial) -> dict[str, Any]:
    """The equation that a coefficient is 0; see `Violation.data`."""
    return {"terms": [[list(monomial), "1"]], "value": "0"}


def _equation(numbers: Mapping[Monomial, Fraction | None], value: Fraction) -> dict[str, Any]:
    known = [(m, c) for m, c in numbers.items() if c]
    lead = known[0][1]
    return {"terms": [[list(m), str(c / lead)] for m, c in known], "value": str(value / lead)}


def _rational(value: int) -> Fraction | None:
    return to_fraction(value, prime=PRIME, bound=1 << 20)


def _simplest(monomials: Any) -> Monomial:
    return min(monomials, key=lambda m: (sum(m), max(m, default=0), tuple(-e for e in m)))
