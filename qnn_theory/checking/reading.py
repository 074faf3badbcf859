"""Reading plain values: keys, numbers and texts of a certificate, or the reason why they are none."""

from __future__ import annotations

import re
from collections.abc import Set
from fractions import Fraction
from typing import Any

from qnn_theory.grammar.expr import Expr
from qnn_theory.grammar.readings.formula import parse
from qnn_theory.grammar.widths import check_expr, divisor

STEP = 64
"""The largest number that d must be a multiple of."""

_RATIONAL = re.compile(r"-?\d{1,80}(/[1-9]\d{0,79})?", re.ASCII)


class RejectedError(ValueError):
    """The certificate proves nothing; the message says why."""


class NotCheckedError(Exception):
    """The checker has no way, or no time, to decide; the message says about what."""


def exact_keys(value: Any, keys: Set[str], what: str) -> dict[str, Any]:
    """A mapping with exactly these keys."""
    if not isinstance(value, dict):
        raise RejectedError(f"{what}, however: {str(value)[:60]} is no mapping")
    if value.keys() != keys:
        missing, extra = sorted(keys - value.keys()), sorted(map(str, value.keys() - keys))
        raise RejectedError(f"{what}, however: missing {missing or 'none'}, not known {extra or 'none'}"[:300])
    return value


def rational(value: Any) -> Fraction:
    """A rational number in lowest terms, written as text: ``-3/2``."""
    if not isinstance(value, str) or not _RATIONAL.fullmatch(value) or str(Fraction(value)) != value:
        raise RejectedError(f"a number is written as a fraction in lowest terms, -3/2, however: {str(value)[:60]!r}")
    return Fraction(value)


def whole(value: Any, low: int, high: int, what: str) -> int:
    """A whole number in a range."""
    if type(value) is not int or not low <= value <= high:
        raise RejectedError(f"{what} is a whole number from {low} to {high}, however: {str(value)[:60]}")
    return value


def listed(value: Any, length: int, what: str) -> list[Any]:
    """A list of this length."""
    if not isinstance(value, list) or len(value) != length:
        raise RejectedError(f"{what} is a list of {length}, however: {str(value)[:60]}")
    return value


def many(value: Any, what: str, *, least: int = 1) -> list[Any]:
    """A list of at least so many."""
    if not isinstance(value, list) or len(value) < least:
        raise RejectedError(f"{what}: a list of at least {least}, however: {str(value)[:60]}")
    return value


def monomial(value: Any, dim: int) -> tuple[int, ...]:
    """D exponents."""
    return tuple(whole(e, 0, 1000, "an exponent") for e in listed(value, dim, "a monomial"))


def read_formula(formula: Any, what: str) -> Expr:
    """The expression of a formula."""
    if not isinstance(formula, str):
        raise RejectedError(f"{what} is a formula, however: {str(formula)[:60]}")
    try:
        expr = parse(formula)
        check_expr(expr)
    except (ValueError, RecursionError) as error:
        raise RejectedError(f"{what} cannot be read: {error}") from None
    if divisor(expr) > STEP:
        raise RejectedError(f"{what} needs d to be a multiple of {divisor(expr)}, and up to {STEP} is checked")
    return expr
