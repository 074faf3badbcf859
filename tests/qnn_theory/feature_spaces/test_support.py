"""The feature space: set rules against the expansion over GF(p), against SymPy, and against sets written by hand."""

from __future__ import annotations

import itertools
import math
import time

import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qnn_theory.feature_spaces.feature_space import LISTING_LIMIT, feature_space
from qnn_theory.feature_spaces.sparse_expansion import expand
from qnn_theory.feature_spaces.symbolic import inputs, to_sympy
from qnn_theory.grammar.expr import Expr, activation, affine, bilinear, relu, scale, uses_activation, x, x0
from qnn_theory.grammar.format import Format, with_mid_activation
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import formats, qnn_alpha

ALL = pytest.mark.parametrize("format", formats(), ids=lambda format: format.id)


def variable(i: int, dim: int) -> tuple[int, ...]:
    return tuple(int(i == j) for j in range(dim))


def simplex(dim: int, degree: int) -> set[tuple[int, ...]]:
    return {m for m in itertools.product(range(degree + 1), repeat=dim) if sum(m) <= degree}


@ALL
@pytest.mark.parametrize(("multiple", "depth"), [(1, 1), (2, 1), (3, 1), (2, 2), (1, 3)])
def test_set_rules_equal_the_expansion_over_gf_p(format: Format, multiple: int, depth: int) -> None:
    dim = multiple * divisor(format.expr)
    space = feature_space(format, dim=dim, depth=depth)
    expansion = expand(format, dim=dim, depth=depth)
    assert expansion.error_bound < 1e-9
    assert space.exact
    assert space.per_coordinate == expansion.per_coordinate


@ALL
def test_set_rules_equal_sympy_expand(format: Format) -> None:
    dim = 2 * divisor(format.expr)
    space = feature_space(format, dim=dim)
    for value, monomials in zip(to_sympy(format, dim=dim), space.per_coordinate, strict=True):
        active = value.replace(sympy.Max, lambda *arguments: sum(arguments))  # every gate active: max(0, u) = u
        found = sympy.Poly(sympy.expand(active), *inputs(dim)).monoms()
        assert frozenset(found) == monomials


def test_sets_written_by_hand() -> None:
    dim = 4
    e = [variable(i, dim) for i in range(dim)]
    one = (0,) * dim

    def times(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(i + j for i, j in zip(a, b, strict=True))

    t9 = feature_space("T9", dim=dim)
    assert t9.per_coordinate == tuple(frozenset([e[i], *(times(e[i], e[j]) for j in range(dim))]) for i in range(dim))
    assert (t9.dimension, t9.degree) == (14, 2)
    assert feature_space("T3", dim=dim).monomials == {one, *(times(v, v) for v in e)}
    assert feature_space("T5", dim=dim).monomials == simplex(dim, 2)
    t14 = feature_space("T14", dim=dim)
    assert t14.counts == (15, 15, 5, 5)
    assert feature_space("T13", dim=dim, depth=2).monomials == simplex(dim, 4)
    cross = feature_space("CrossNetV2", dim=dim, depth=2)
    assert cross.per_coordinate[1] == {m for m in simplex(dim, 3) if m[1] >= 1}
    released = feature_space("QNN-alpha-released", dim=dim)
    assert released.per_coordinate[1] == {e[1], e[2], *(times(e[2], e[j]) for j in range(dim))}


def test_counts_at_depth_3_and_width_8_are_exact_within_seconds() -> None:
    started = time.perf_counter()
    t16 = feature_space("T16", dim=8, depth=3)
    elapsed = time.perf_counter() - started
    assert t16.degree == 27
    assert all((27, *[0] * 7)[i:] + (27, *[0] * 7)[:i] in t16.union for i in range(8))
    assert feature_space("T5", dim=8, depth=3).dimension == math.comb(16, 8)
    assert feature_space("T9", dim=8, depth=3).dimension == math.comb(16, 8) - 1
    assert feature_space("T18-paper", dim=8, depth=3).coordinates[0].size == math.comb(15, 7)
    assert elapsed < 5


@pytest.mark.parametrize("id", ["T16", "T21", "T27", "T30"])
def test_deep_sets_agree_with_the_expansion_on_a_face(id: str) -> None:
    """With x_3 = ... = x_8 = 0 these formats are themselves at d = 2, where depth 3 can be multiplied out."""
    big = feature_space(id, dim=8, depth=3).union
    face = frozenset().union(*expand(id, dim=2, depth=3).per_coordinate)
    for m in itertools.product(range(big.degree + 1), repeat=2):
        assert ((*m, *[0] * 6) in big) == (m in face)


def test_what_is_missing() -> None:
    assert feature_space("T5", dim=4).missing == ()
    assert feature_space("T9", dim=4).missing == ("no constant", "every output y_i is divisible by its own input x_i")
    t3 = feature_space("T3", dim=4)
    assert t3.only_even_exponents
    assert t3.has_constant
    assert not t3.has_cross_terms
    assert t3.missing_by_degree == (0, 4, 6)
    t2 = feature_space("T2", dim=4)
    assert t2.missing == ("no monomial of degree 1",)
    assert t2.has_squares
    t21 = feature_space("T21", dim=5)
    assert t21.missing_by_degree[4] == math.comb(5, 4)
    off_diagonal = Format("off", relu(affine("W_a")) * scale("alpha", x) + x)
    assert feature_space(off_diagonal, dim=3).divisible_by_own_input


def test_a_fixed_negative_factor_is_contained_and_said_to_be_inexact() -> None:
    cancels = Format("cancels", x * affine("W_a") + (-1) * (affine("W_a") * x) + x)
    space = feature_space(cancels, dim=3)
    expansion = expand(cancels, dim=3)
    assert not space.exact
    assert expansion.per_coordinate == tuple(frozenset([variable(i, 3)]) for i in range(3))
    assert all(small < large for small, large in zip(expansion.per_coordinate, space.per_coordinate, strict=True))


LEAVES = st.sampled_from(
    [x, x0, affine("W_a"), affine("W_b", bias=False), bilinear("A"), scale("alpha"), affine("W_c", x**2)]
)


def _combine(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    return st.one_of(
        st.builds(lambda a, b: a + b, inner, inner),
        st.builds(lambda a, b: a * b, inner, inner),
        st.builds(lambda a: a**2, inner),
        st.builds(lambda a: 3 * a, inner),
        st.builds(relu, inner),
        st.builds(lambda a, n: affine(n, a), inner, st.sampled_from(["W_d", "W_e"])),
    )


@settings(max_examples=40, deadline=None)
@given(st.recursive(LEAVES, _combine, max_leaves=4), st.sampled_from([(1, 1), (2, 1), (3, 1), (2, 2)]))
def test_random_expressions_agree(expr: Expr, size: tuple[int, int]) -> None:
    dim, depth = size
    format = Format("random", expr)
    assume(feature_space(format, dim=dim, depth=depth).degree <= 16)
    assert (
        feature_space(format, dim=dim, depth=depth).per_coordinate
        == expand(format, dim=dim, depth=depth).per_coordinate
    )


def test_heads_and_rows_do_not_change_the_space() -> None:
    plain = feature_space(qnn_alpha(rows=1), dim=8, depth=2)
    assert feature_space(qnn_alpha(rows=5, heads=2), dim=8, depth=2).coordinates == plain.coordinates
    assert plain.coordinates == feature_space("T9", dim=8, depth=2).coordinates


def test_errors_name_rule_value_and_remedy() -> None:
    with pytest.raises(ValueError, match="T13 joins two half-width parts, so d must be even, however: d=7"):
        feature_space("T13", dim=7)
    with pytest.raises(ValueError, match="depth is a positive integer, however: depth=0"):
        feature_space("T9", dim=4, depth=0)
    with pytest.raises(ValueError, match="polynomial on no region"):
        feature_space(with_mid_activation(qnn_alpha(), "gelu"), dim=4)
    with pytest.raises(KeyError, match="T99"):
        feature_space("T99", dim=4)
    with pytest.raises(ValueError, match=f"listed up to {LISTING_LIMIT}, however: T16"):
        _ = feature_space("T16", dim=8, depth=3).monomials
    with pytest.raises(ValueError, match="layers must keep the width"):
        feature_space(Format("wide", x0 * affine("W_a") | x), dim=2, depth=2)
    with pytest.raises(ValueError, match="at most 5000000 terms"):
        expand("T16", dim=8, depth=3)
    with pytest.raises(ValueError, match=r"at least 2\^31 - 1"):
        expand("T9", dim=2, prime=101)


def test_the_piece_is_named() -> None:
    assert feature_space("T9", dim=4).piece == "everywhere"
    for format in formats():
        if uses_activation(format.expr):
            assert feature_space(format, dim=4).piece == "all gates active"
    assert feature_space(Format("p", x * activation("prelu", affine("W_a"))), dim=2).piece == "all gates active"
