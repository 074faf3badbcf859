"""Polynomials as coefficients: their text is read back by SymPy, their numbers go through flint and back."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from qnn_theory.algebra.polynomials import (
    PRIME,
    Polynomial,
    from_flint,
    monomial_text,
    polynomial_text,
    rational_ring,
    residue,
    sum_text,
    to_flint,
    to_ring,
)

numbers = st.fractions(max_denominator=50)
monomials = st.tuples(*[st.integers(0, 3)] * 3)
polynomials = st.dictionaries(monomials, numbers, max_size=5)


def value(polynomial: Polynomial) -> sympy.Expr:
    inputs = sympy.symbols("x_1:4")
    return sympy.Add(
        *(
            sympy.Rational(c.numerator, c.denominator) * sympy.Mul(*(x**e for x, e in zip(inputs, m, strict=True)))
            for m, c in polynomial.items()
        )
    )


@given(polynomials)
def test_the_text_is_the_polynomial(polynomial: Polynomial) -> None:
    assert sympy.expand(sympy.sympify(polynomial_text(polynomial)) - value(polynomial)) == 0
    assert sympy.expand(sympy.sympify(str(to_ring(rational_ring(3), polynomial))) - value(polynomial)) == 0


@given(numbers)
def test_numbers_keep_their_value(number: Fraction) -> None:
    assert from_flint(to_flint(number)) == number
    assert residue(number) * number.denominator % PRIME == number.numerator % PRIME


@pytest.mark.parametrize(
    ("terms", "times", "text"),
    [
        ([], "*", "0"),
        ([(Fraction(-1), "a"), (Fraction(1, 2), "b")], "*", "-a + 1/2*b"),
        ([(Fraction(1), "W_a"), (Fraction(-3), "I")], " ", "W_a - 3 I"),
        ([(Fraction(2), "1"), (Fraction(-1), "1")], " ", "2 - 1"),
    ],
)
def test_sums_are_written_as_by_hand(terms: list[tuple[Fraction, str]], times: str, text: str) -> None:
    assert sum_text(terms, times=times) == text


def test_monomials_are_written_as_by_hand() -> None:
    assert [monomial_text(m) for m in ((2, 0, 1), (0, 1, 0), (0, 0, 0))] == ["x_1^2*x_3", "x_2", "1"]
