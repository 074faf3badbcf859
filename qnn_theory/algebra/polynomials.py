"""Polynomials in d inputs as coefficients, rational or modulo p = 2^61 - 1: the rings they are computed in, and their text."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import flint

from qnn_theory.algebra.monomials import Monomial

PRIME = 2**61 - 1

Polynomial: TypeAlias = dict[Monomial, Any]
"""Monomial -> coefficient; a residue modulo `PRIME` or a rational number."""


def rational_ring(dim: int) -> Any:
    """Polynomials in d inputs over the rationals."""
    return flint.fmpq_mpoly_ctx.get([f"x_{i + 1}" for i in range(dim)], "degrevlex")


def residue_ring(dim: int) -> Any:
    """Polynomials in d inputs modulo `PRIME`."""
    return flint.nmod_mpoly_ctx.get([f"x_{i + 1}" for i in range(dim)], modulus=PRIME, ordering="degrevlex")


def residue(number: Fraction | int) -> int:
    """A rational number modulo `PRIME`."""
    return number.numerator * pow(number.denominator, -1, PRIME) % PRIME


def to_flint(number: Fraction | int) -> Any:
    """A rational number as flint computes with it."""
    return flint.fmpq(number.numerator, number.denominator)


def from_flint(number: Any) -> Fraction:
    """A rational number of flint."""
    return Fraction(int(number.p), int(number.q))


def to_ring(ring: Any, polynomial: Polynomial) -> Any:
    """A polynomial with rational coefficients as an element of a `rational_ring`."""
    return ring.from_dict({m: to_flint(c) for m, c in polynomial.items() if c})


def polynomial_text(polynomial: Polynomial) -> str:
    """A polynomial with rational coefficients, ``x_1*x_2 + 2*x_1``."""
    terms = sorted(
        ((m, c) for m, c in polynomial.items() if c), key=lambda term: (-sum(term[0]), [-e for e in term[0]])
    )
    return sum_text([(c, monomial_text(m)) for m, c in terms])


def monomial_text(monomial: Monomial) -> str:
    """``x_1^2*x_3``; 1 for no factors."""
    parts = [f"x_{i + 1}" + (f"^{e}" if e > 1 else "") for i, e in enumerate(monomial) if e]
    return "*".join(parts) or "1"


def sum_text(terms: Sequence[tuple[Any, str]], *, times: str = "*") -> str:
    """A sum of (coefficient, name), ``2*a - b + 1``; the name 1 is not shown, no terms are 0.

    Args:
        terms: coefficients that are not zero, with the names they multiply.
        times: what stands between a coefficient and its name.
    """
    text = ""
    for coefficient, name in terms:
        size = abs(coefficient)
        part = name if size == 1 else str(size) if name == "1" else f"{size}{times}{name}"
        text = f"{text} {'-' if coefficient < 0 else '+'} {part}" if text else f"{'-' if coefficient < 0 else ''}{part}"
    return text or "0"
