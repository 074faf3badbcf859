"""Polynomials in numbered variables, as dictionaries; a coefficient is any number.

A variable of a layer is an even number; the same variable of the second row is the odd number above it, so that the product of a
value in row u and a value in row v is a polynomial too.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Monomial: TypeAlias = tuple[tuple[int, int], ...]
"""Variables with their exponents, in ascending order."""
Polynomial: TypeAlias = dict[Monomial, Any]

ONE: Monomial = ()


def constant(value: Any) -> Polynomial:
    """A number."""
    return {ONE: value} if value != 0 else {}


def variable(index: int) -> Polynomial:
    """One variable."""
    return {((index, 1),): 1}


def add(*parts: Polynomial) -> Polynomial:
    """The sum."""
    total: Polynomial = {}
    for part in parts:
        for monomial, coefficient in part.items():
            total[monomial] = total[monomial] + coefficient if monomial in total else coefficient
    return {monomial: coefficient for monomial, coefficient in total.items() if coefficient != 0}


def times(factor: Any, of: Polynomial) -> Polynomial:
    """A number times a polynomial."""
    return {monomial: factor * coefficient for monomial, coefficient in of.items()} if factor != 0 else {}


def multiply(left: Polynomial, right: Polynomial) -> Polynomial:
    """The product."""
    total: Polynomial = {}
    for a, p in left.items():
        for b, q in right.items():
            monomial = join(a, b)
            total[monomial] = total[monomial] + p * q if monomial in total else p * q
    return {monomial: coefficient for monomial, coefficient in total.items() if coefficient != 0}


def power(of: Polynomial, exponent: int) -> Polynomial:
    """A power by squaring."""
    result, base = constant(1), of
    while exponent:
        if exponent & 1:
            result = multiply(result, base)
        exponent >>= 1
        if exponent:
            base = multiply(base, base)
    return result


def join(a: Monomial, b: Monomial) -> Monomial:
    """The product of two monomials."""
    if not a or not b:
        return a or b
    exponents = dict(a)
    for name, exponent in b:
        exponents[name] = exponents.get(name, 0) + exponent
    return tuple(sorted(exponents.items()))


def derivative(of: Polynomial, index: int) -> Polynomial:
    """The derivative with respect to one variable."""
    total: Polynomial = {}
    for monomial, coefficient in of.items():
        exponents = dict(monomial)
        exponent = exponents.pop(index, 0)
        if exponent:
            if exponent > 1:
                exponents[index] = exponent - 1
            total[tuple(sorted(exponents.items()))] = coefficient * exponent
    return total


def variables(of: Polynomial) -> set[int]:
    """The variables that occur."""
    return {name for monomial in of for name, _ in monomial}


def in_row(of: Polynomial, row: int) -> Polynomial:
    """The polynomial of the first row (0) or of the second (1)."""
    if not row:
        return of
    return {tuple((name + row, exponent) for name, exponent in monomial): c for monomial, c in of.items()}
