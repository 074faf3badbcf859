"""Absurd sizes are answered at once, by closed forms, or refused at once; every refusal names its limit and a remedy."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction

import pytest

import qnn_theory as qt
from qnn_theory.cards.format_card import format_card
from qnn_theory.feature_spaces.closed_forms import degree_formula
from qnn_theory.feature_spaces.quadratic_form import quadratic_forms
from qnn_theory.feature_spaces.regions import region_feature_space, regions_on_line
from qnn_theory.feature_spaces.sparse_expansion import expand
from qnn_theory.grammar.expr import Expr, HeadMajor, RowSum, affine, relu, x
from qnn_theory.grammar.format import Format
from qnn_theory.registry import qnn_alpha

AT_ONCE = 20  # seconds on a busy machine; what is refused too late takes minutes, or never ends


def relate(expr: Expr) -> object:
    return qt.relation(Format("mine", expr), "T9")


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda: qt.feature_space("T1", dim=100_000),
            "up to a width of 500, however: T1 has 100000; use dimension_formula",
        ),
        (lambda: qt.feature_space("T1", dim=4, depth=1000), "has degree about 2\\^1000; use a smaller d, fewer layers"),
        (
            lambda: qt.feature_space("T18-paper", dim=4, depth=1000),
            "width of 500, however: T18-paper has about 2\\^1002",
        ),
        (lambda: qt.feature_space("T9", dim=8, depth=12), "has degree 4096; use a smaller d"),
        (
            lambda: qt.feature_space("T9", dim=4, depth=10**9),
            "at most 1000 layers, however: depth=1000000000; use fewer",
        ),
        (lambda: qt.effective_dimension("T1", dim=100_000), "up to 10000 parameters, .* use a smaller size"),
        (lambda: qt.effective_dimension("T9", dim=4, depth=1000), "at d=4, depth=1000 has 20000; use a smaller size"),
        (lambda: qt.effective_dimension("T18", dim=100), "of maps of maps is computed up to 2000 parameters"),
        (lambda: quadratic_forms("T1", dim=1000), "use quadratic_rank_formulas, the closed forms in d"),
        (lambda: qt.smoothness("T19", depth=1000), "through at most 20 layers, however: T19 at depth=1000; use fewer"),
        (lambda: expand("T1", dim=1000), "at most 5000000 terms, however: T1 at d=1000, depth=1 may have more; use"),
        (lambda: expand("T1", dim=4, depth=1000), "at most 5000000 terms"),
        (lambda: regions_on_line("T19", dim=10_000), "has 100010000 and degree 2; use a smaller size"),
        (lambda: regions_on_line("T19", dim=4, depth=100), "degree about 2\\^100; use a smaller size"),
        (lambda: region_feature_space("T19", dim=10_000), "has 100010000 and degree 2; use a smaller size"),
        (lambda: relate(affine("W") ** 40), "up to a degree of 32, however: mine has 40; use a smaller format"),
        (lambda: relate(RowSum(rows=5000, of=x)), "up to a number of rows of 500, however: mine has 5000"),
        (
            lambda: relate(affine("P", affine("Q", width=Fraction(1, 997)))),
            "up to a smallest d of 64, however: mine has 997",
        ),
        (
            lambda: relate(HeadMajor(heads=2, embedding_dim=10**6, of=x)),
            "up to a smallest d of 64, however: mine has 1000000",
        ),
        (
            lambda: relate(affine("P", affine("Q", width=Fraction(1000)))),
            "number of parameters .* 20000, however: mine has",
        ),
        (
            lambda: qt.relation(qnn_alpha(rows=300), "T9"),
            "number of parameters \\(d = 10\\) of 20000, however: .* has 33000",
        ),
        (lambda: affine_format(width=Fraction(10**9)), "output width of W is at most 1000 d, however: 1000000000"),
        (lambda: Format("mine", x ** (10**9)), "exponent of at most 100, however: 1000000000"),
        (lambda: Format("mine", RowSum(rows=10**9, of=relu(x))), "at most 10000 rows, however: rows=1000000000"),
    ],
)
def test_what_is_out_of_reach_is_refused_at_once(ask: Callable[[], object], message: str) -> None:
    start = time.process_time()
    with pytest.raises(ValueError, match=message):
        ask()
    assert time.process_time() - start < AT_ONCE


def affine_format(*, width: Fraction) -> Format:
    return Format("mine", affine("V", affine("W", width=width)))


def test_costs_are_formulas_at_any_size() -> None:
    d = qt.cost("T1").parameters.free_symbols.pop()
    assert qt.cost("T1").parameters.subs(d, 10**6) == 10**18 + 10**12 + 2 * 10**6
    assert degree_formula("T1").subs("L", 1000) == 2**1000


@pytest.mark.parametrize("id", ["T1", "T18-paper", "T19", "T25"])
def test_a_card_at_an_absurd_width_holds_the_closed_forms(id: str) -> None:
    dim = 100_000
    start = time.process_time()
    data = format_card(id, dim=dim).data
    assert time.process_time() - start < AT_ONCE
    (d,) = qt.dimension_formula(id).free_symbols
    assert data["support"]["size"] == qt.dimension_formula(id).subs(d, dim)
    assert "500" in data["support"]["beyond"]
    found = data["effective_dimension"]
    assert found["parameters"] == qt.cost(id).parameters.subs(d, dim) == found["dimension"] + found["redundant"]


def test_a_closed_form_continues_what_is_counted() -> None:
    """On the far side of the limit the card says what the near side would."""
    assert qt.feature_space("T1", dim=40).dimension == qt.dimension_formula("T1").subs("d", 40)


@pytest.mark.parametrize("id", ["T1", "T19", "T18-paper"])
def test_a_card_at_an_absurd_depth_says_what_it_lacks(id: str) -> None:
    start = time.process_time()
    data = format_card(id, depth=1000).data
    assert time.process_time() - start < AT_ONCE
    assert data["support"]["size"] is None
    assert "use" in data["support"]["beyond"]
    assert data["effective_dimension"]["dimension"] is None
    assert "depth=1000" in data["effective_dimension"]["beyond"]
    assert data["smoothness"]["order"] is None or data["smoothness"]["order"] == "analytic"
