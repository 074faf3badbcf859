"""Formulas in d and in the depth against formulas derived by hand, and against values they were not found from."""

from __future__ import annotations

import math

import pytest
import sympy

from qnn_theory.algebra.closed_form import closed_form, d
from qnn_theory.dimension.closed_form import effective_dimension_closed_form
from qnn_theory.dimension.effective_dimension import effective_dimension
from qnn_theory.feature_spaces.closed_forms import L, degree_formula, dimension_closed_form, dimension_formula, growth
from qnn_theory.feature_spaces.feature_space import feature_space
from qnn_theory.grammar.expr import affine, relu, x, x0
from qnn_theory.grammar.format import Format, with_mid_activation
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import formats

ALL = pytest.mark.parametrize("format", formats(), ids=lambda format: format.id)

BY_HAND = {
    "Linear": d + 1,
    "T2": 1 + d * (d + 1) / 2,
    "T3": d + 1,
    "T5": (d + 1) * (d + 2) / 2,
    "T9": d + d * (d + 1) / 2,
    "T16": d + d * (d + 1) / 2 + d * (d + 1) * (d + 2) / 6,
    # x_i, x_i² with any monomial of degree 2 in d inputs: all patterns but four different inputs, plus x_i³-type and x_i²
    "T21": d + d + (d + d * (d - 1)) + (d + d * (d - 1) + d * (d - 1) / 2 + d * (d - 1) * (d - 2) / 2),
    "T27": d + d + (d + d * (d - 1)),
    "T18-paper": d + d * (d + 1) / 2,
}


@pytest.mark.parametrize("id", BY_HAND)
def test_dimension_formulas_by_hand(id: str) -> None:
    assert sympy.expand(dimension_formula(id) - BY_HAND[id]) == 0


@ALL
def test_formulas_hold_at_a_width_beyond_all_they_were_found_from(format: Format) -> None:
    found = dimension_closed_form(format)
    beyond = found.checked_on[-1] + 3 * divisor(format.expr)
    assert found.formula.subs(d, beyond) == feature_space(format, dim=beyond).dimension
    assert len(found.checked_on) > len(found.fitted_on)
    assert set(found.checked_on).isdisjoint(found.fitted_on)
    assert dimension_formula(format).free_symbols == {sympy.Symbol("d")}


EFFECTIVE_BY_HAND = {
    "T1": d * (d + 1) * (d + 2) / 2,
    "T2": d * (1 + d * (d + 1) / 2),
    "T5": d * (2 * d + 1),
    "T9": d * (d + 1),
    "T15": d * (d + 1) / 2,
    "T19": d * (d + 1),
    "T22": d * (d + 1),
    "QNN-alpha": 4 * d * (d + 1),
}


@pytest.mark.parametrize("id", EFFECTIVE_BY_HAND)
def test_effective_dimension_formulas_by_hand(id: str) -> None:
    assert sympy.expand(effective_dimension_closed_form(id).formula - EFFECTIVE_BY_HAND[id]) == 0


def test_a_formula_that_small_widths_break_says_where_it_starts() -> None:
    t7 = effective_dimension_closed_form("T7")
    assert sympy.expand(t7.formula - d * (3 * d + 2)) == 0
    assert t7.valid_from == 4
    assert effective_dimension("T7", dim=3).dimension == 3 * 10 < t7.formula.subs(d, 3)  # every polynomial of degree 2


def test_depth() -> None:
    assert (
        sympy.expand(
            dimension_formula("T9", depth=2) - sum(sympy.binomial(d + n - 1, n) for n in range(1, 5)).expand(func=True)
        )
        == 0
    )
    steps = growth("T16", dim=4, depth=3)
    assert [step.degree for step in steps] == [3, 9, 27]
    assert all(step.possible == math.comb(4 + step.degree, 4) for step in steps)
    assert all(step.dimension == step.possible - 1 for step in steps[1:])  # only the constant is missing


@ALL
def test_the_degree_formula_is_the_degree_at_every_depth(format: Format) -> None:
    dim = divisor(format.expr)
    for layers in (1, 2, 3):
        assert degree_formula(format).subs(L, layers) == feature_space(format, dim=dim, depth=layers).degree


def test_degrees_that_mix_both_inputs() -> None:
    mixed = Format("mixed", x0 * affine("W_a") ** 2 + x)
    assert [feature_space(mixed, dim=2, depth=n).degree for n in (1, 2, 3)] == [
        degree_formula(mixed).subs(L, n) for n in (1, 2, 3)
    ]
    unclear = Format("unclear", x0 * x0 * affine("W_a") + x * affine("W_b"))
    with pytest.raises(ValueError, match="one monomial of largest degree"):
        degree_formula(unclear)


def test_no_formula_is_an_error() -> None:
    with pytest.raises(ValueError, match="degree at most 2, however: powers of two follows none"):
        closed_form(lambda width: 2**width, step=1, degree=2, what="powers of two")
    with pytest.raises(ValueError, match="polynomial on no region"):
        dimension_formula(with_mid_activation(Format("gate", x * relu(affine("W_a"))), "tanh"))
