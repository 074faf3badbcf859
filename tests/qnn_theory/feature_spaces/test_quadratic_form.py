"""Ranks of quadratic forms against SymPy's Hessian at rational parameters, and against ranks known by hand."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
import sympy

from qnn_theory.algebra.closed_form import d
from qnn_theory.feature_spaces.quadratic_form import quadratic_forms, quadratic_rank_formulas
from qnn_theory.feature_spaces.symbolic import inputs, to_sympy
from qnn_theory.grammar.expr import Expr, HeadMajor, affine, bilinear, x
from qnn_theory.grammar.format import Format, with_mid_activation
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import formats, get_format

ALL = pytest.mark.parametrize("format", formats(), ids=lambda format: format.id)


@ALL
def test_ranks_are_those_of_sympy(format: Format) -> None:
    dim = max(2, divisor(format.expr))
    generator = random.Random(11)
    variables = inputs(dim)
    at_zero = dict.fromkeys(variables, 0)
    ranks, homogeneous, hessians, gradients = [], [], [], []
    outputs = [value.replace(sympy.Max, lambda *parts: sum(parts)) for value in to_sympy(format, dim=dim)]
    symbols = sorted(set().union(*(value.free_symbols for value in outputs)) - set(variables), key=str)
    numbers = {symbol: sympy.Integer(generator.randint(1, 10**6)) for symbol in symbols}
    for value in outputs:
        polynomial = value.subs(numbers)
        gradient = sympy.Matrix([polynomial.diff(v).subs(at_zero) for v in variables])
        hessian = sympy.hessian(polynomial, variables).subs(at_zero)
        corner = sympy.Matrix([[2 * polynomial.subs(at_zero)]])
        ranks.append(hessian.rank())
        homogeneous.append(sympy.Matrix.vstack(corner.row_join(gradient.T), gradient.row_join(hessian)).rank())
        hessians.append(list(hessian))
        gradients.append(list(gradient))
    found = quadratic_forms(format, dim=dim)
    assert found.ranks == tuple(ranks)
    assert found.homogeneous_ranks == tuple(homogeneous)
    assert found.span == sympy.Matrix(hessians).rank()
    assert found.linear_rank == sympy.Matrix(gradients).rank()


RANKS_BY_HAND = {
    "T1": [(0, 1, d)],
    "T3": [(0, 1, d)],
    "T4": [(0, 1, 1)],
    "T5": [(0, 1, 2)],
    "T7": [(0, 1, d)],
    "T9": [(0, 1, 2)],
    "T11": [(0, Fraction(1, 2), 0), (Fraction(1, 2), 1, 1)],
    "T12": [(0, Fraction(1, 2), 2), (Fraction(1, 2), 1, d)],
    "T15": [(0, Fraction(1, 2), 1), (Fraction(1, 2), 1, 0)],
    "T18": [(0, 1, d)],
    "T21": [(0, 1, 1)],
    "Linear": [(0, 1, 0)],
}


@pytest.mark.parametrize("id", RANKS_BY_HAND)
def test_rank_formulas_by_hand(id: str) -> None:
    found = [(block.start, block.stop, block.rank.formula) for block in quadratic_rank_formulas(id)]
    assert found == RANKS_BY_HAND[id]


@ALL
def test_rank_formulas_hold_at_a_further_width(format: Format) -> None:
    width = 12 * divisor(format.expr)
    ranks = quadratic_forms(format, dim=width).ranks
    for block in quadratic_rank_formulas(format):
        own = ranks[int(block.start * len(ranks)) : int(block.stop * len(ranks))]
        assert set(own) == {int(block.rank.formula.subs(d, width))}


def test_other_invariants_tell_formats_apart() -> None:
    square, product, shifted = (quadratic_forms(id, dim=4) for id in ("T4", "T5", "T8"))
    assert (square.homogeneous_ranks[0], product.homogeneous_ranks[0], shifted.homogeneous_ranks[0]) == (1, 2, 4)
    assert quadratic_forms("T2", dim=4).linear_rank == 0
    assert quadratic_forms("T13", dim=4).span == 2
    assert quadratic_forms("T4", dim=4).pencil_rank == 4
    assert quadratic_forms("T11", dim=4).pencil_rank == 2


def test_errors() -> None:
    with pytest.raises(ValueError, match="polynomial in pieces"):
        quadratic_forms(with_mid_activation(get_format("T19"), "gelu"), dim=2)
    with pytest.raises(ValueError, match="d must be even, however: d=5"):
        quadratic_forms("T12", dim=5)


def permuted(times: int) -> Format:
    half = Fraction(1, 2)
    expr: Expr = affine("W_a", width=half) ** 2 | affine("W_b", width=half)
    for _ in range(times):
        expr = HeadMajor(heads=2, embedding_dim=2, of=expr)
    return Format(f"permuted {times} times", expr)


def test_blocks_follow_a_permutation_or_are_refused() -> None:
    quarters = quadratic_rank_formulas(permuted(1))
    assert [(block.start, block.rank.formula) for block in quarters] == [
        (Fraction(i, 4), (i + 1) % 2) for i in range(4)
    ]
    assert quadratic_rank_formulas(Format("prefix", bilinear("A", width=Fraction(1, 2)) | x * x))[0].stop == Fraction(
        1, 3
    )
    with pytest.raises(ValueError, match="shares one rank"):
        quadratic_rank_formulas(permuted(5))
