"""The expansion over GF(p): what its error bound promises, and degrees against SymPy."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy

from qnn_theory.algebra.polynomials import PRIME
from qnn_theory.feature_spaces.degrees import degree_bound, input_degree, total_degree
from qnn_theory.feature_spaces.feature_space import feature_space
from qnn_theory.feature_spaces.sparse_expansion import expand
from qnn_theory.feature_spaces.symbolic import inputs, to_sympy
from qnn_theory.grammar.expr import affine, uses_activation, x
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import formats

POLYNOMIAL = [format for format in formats() if not uses_activation(format.expr)]


@pytest.mark.parametrize("format", POLYNOMIAL, ids=lambda format: format.id)
def test_degrees_and_the_error_bound_are_those_of_the_expanded_outputs(format: Format) -> None:
    dim = divisor(format.expr)
    outputs = [sympy.expand(value) for value in to_sympy(format, dim=dim)]
    parameters = sorted(set().union(*(value.free_symbols for value in outputs)) - set(inputs(dim)), key=str)
    by_parameters = max(sympy.Poly(value, *parameters).total_degree() for value in outputs if value.has(*parameters))
    assert input_degree(format, dim=dim) == max(sympy.Poly(value, *inputs(dim)).total_degree() for value in outputs)
    assert total_degree(format, dim=dim) == max(
        sympy.Poly(value, *parameters, *inputs(dim)).total_degree() for value in outputs
    )
    found = expand(format, dim=dim)
    assert found.parameter_degree == by_parameters
    coefficients = sum(len(monomials) for monomials in found.per_coordinate)
    assert found.error_bound >= Fraction(coefficients * by_parameters, PRIME)


@pytest.mark.parametrize("format", formats(), ids=lambda format: format.id)
def test_degrees_of_stacks(format: Format) -> None:
    dim = divisor(format.expr)
    for depth in (1, 2, 3):
        degree = feature_space(format, dim=dim, depth=depth).degree
        assert input_degree(format, dim=dim, depth=depth) == degree
        assert degree_bound(format.expr, depth=depth) == degree


def test_other_seeds_and_primes_find_the_same_support() -> None:
    for id in ("T5", "T16", "T20"):
        found = {expand(id, dim=3, depth=2, seed=seed).per_coordinate for seed in range(4)}
        found.add(expand(id, dim=3, depth=2, prime=2**31 - 1).per_coordinate)
        assert len(found) == 1


def test_identical_terms_cancel_but_different_maps_do_not() -> None:
    same = Format("same", affine("W_a") + (-1) * affine("W_a") + x)
    other = Format("other", affine("W_a") + (-1) * affine("W_b") + x)
    assert [len(monomials) for monomials in expand(same, dim=3).per_coordinate] == [1, 1, 1]
    assert [len(monomials) for monomials in expand(other, dim=3).per_coordinate] == [4, 4, 4]
