"""Smoothness classes against a table made by hand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

import qnn_theory as qt
from qnn_theory.grammar.expr import Expr, RowSum, activation, affine, constant, mean, relu, scale, uses_activation, x
from qnn_theory.grammar.format import Format, with_mid_activation
from qnn_theory.smoothness_classes.smoothness import ANALYTIC, smoothness
from tests.qnn_theory.smoothness_classes.one_sided_differences import assert_jumps

POLYNOMIAL = [format for format in qt.formats() if not uses_activation(format.expr)]

# (format, post, mid, depth) -> class, each by an argument of one line.
BY_HAND = [
    ("T9", None, None, 3, ANALYTIC),  # a polynomial
    ("T4", "relu", None, 2, ANALYTIC),  # relu of a square is the square
    ("T4", "prelu", None, 1, ANALYTIC),
    ("T4", "relu6", None, 1, 0),  # the square passes 6
    ("T15", "relu", None, 1, 0),  # the half without the square
    ("T9", "gelu", None, 2, ANALYTIC),
    ("T9", "relu", None, 1, 0),
    ("T19", None, None, 1, 0),  # x relu(w x + b), x not zero where w x + b is
    ("T19", None, "tanh", 3, ANALYTIC),
    ("T19", None, "relu6", 1, 0),
    ("T19", "mish", None, 1, 0),
    ("T24", None, "silu", 1, ANALYTIC),
    ("T24", "relu", "silu", 1, 0),
    ("T28", None, None, 1, 1),  # relu(u)^2 is C^1
    ("T28", None, None, 2, 1),
    ("T28", "relu", None, 1, 0),
    ("T28", None, "relu6", 1, 0),  # relu6(u)^2 has an angle at u = 6
    ("T28", None, "prelu", 1, 1),
    ("T29", None, None, 1, 0),
    ("T3", "relu", None, 1, 0),
    ("QNN-alpha", None, None, 2, 0),
    ("QNN-alpha", None, "gelu", 2, ANALYTIC),
]


SPECIAL = [
    ("x relu(x)", x * relu(x), 1),
    ("x^2 relu(x)", x**2 * relu(x), 2),
    ("relu(x)^3", relu(x) ** 3, 2),
    ("x relu(alpha x)", x * relu(scale("alpha")), 1),
    ("x relu(W x)", x * relu(affine("W_a")), 0),
    ("u relu(u)", affine("W_a") * relu(affine("W_a")), 1),
    ("relu(x^3)", relu(x**3), 2),
    ("relu(x^2)", relu(x**2), ANALYTIC),
    ("relu(-x^2)", relu(-1 * x**2), ANALYTIC),
    ("relu(x^2 u)", relu(x**2 * affine("W_a")), 0),
    ("u relu(x^2 u)", affine("W_a") * relu(x**2 * affine("W_a")), 1),
    ("relu(relu(u) + x^2)", relu(relu(affine("W_a")) + x**2), 0),
    ("relu(sum of squares)", relu(affine("W_a") ** 2 + x**2), ANALYTIC),
    ("relu6(sigmoid)", activation("relu6", activation("sigmoid", affine("W_a"))), ANALYTIC),
    ("relu6(2 relu6)", activation("relu6", 2 * activation("relu6", affine("W_a"))), 0),
    ("x relu6(x)", x * activation("relu6", x), 0),
    ("x prelu(x)", x * activation("prelu", x), 1),
    ("relu(gelu(u))", relu(activation("gelu", affine("W_a"))), 0),
    ("u relu(tanh(u))", affine("W_a") * relu(activation("tanh", affine("W_a"))), 1),
    ("tanh(x relu(x))", activation("tanh", x * relu(x)), 1),
    ("W(relu(u)^2)", affine("W_b", relu(affine("W_a")) ** 2), 1),
    ("W relu(u)^2 relu(v)", affine("W_b", relu(affine("W_a")) ** 2 * relu(affine("W_c"))), 0),
    ("row sum of squares", RowSum(rows=2, of=x * relu(affine("W")) ** 2), 1),
    ("relu(x) joined to x^2 relu(x)", relu(x) | x**2 * relu(x), 0),
    (
        "relu of joined squares",
        relu(affine("W_a", width=Fraction(1, 2)) ** 2 | affine("W_b", width=Fraction(1, 2)) ** 2),
        ANALYTIC,
    ),
    ("x relu(x + x)", x * relu(x + x), 1),
    ("relu(1), a constant", relu(constant(1)) * x, ANALYTIC),
    ("relu(-1 - x^2), zero", relu(-1 - x**2), ANALYTIC),
    ("relu(x^2 + 1)", relu(x**2 + 1), ANALYTIC),
    ("relu(x - 1)", relu(x - 1), 0),
    ("x relu(x - 1)", x * relu(x - 1), 0),
    ("(x - 1) relu(x - 1)", (x - 1) * relu(x - 1), 1),
    ("1 - relu(1 - u)^2", 1 - relu(1 - affine("W_a")) ** 2, 1),
    ("relu6(x^2 + 1)", activation("relu6", x**2 + 1), 0),
    ("relu6(sigmoid + 5)", activation("relu6", activation("sigmoid", x) + 5), ANALYTIC),
    ("mean of x relu(x) and u relu(u)", mean(x * relu(x), affine("W_a") * relu(affine("W_a"))), 1),
]


@pytest.mark.parametrize(("id", "post", "mid", "depth", "order"), BY_HAND)
def test_classes_derived_by_hand(id: str, post: Any, mid: Any, depth: int, order: object) -> None:
    result = smoothness(id, depth=depth, post_activation=post, mid_activation=mid)
    assert (result.order, result.exact) == (order, True)


@pytest.mark.parametrize(("name", "expr", "order"), SPECIAL, ids=[name for name, _, _ in SPECIAL])
def test_special_positions(name: str, expr: Expr, order: object) -> None:
    result = smoothness(Format("special", expr))
    assert (result.order, result.exact) == (order, True)
    if result.witness is not None:
        assert_jumps(Format("special", expr), result.witness)


def test_an_analytic_format_has_no_kink() -> None:
    assert all(smoothness(format).order is ANALYTIC for format in POLYNOMIAL)
    assert smoothness("T9").kinks == ()
    assert smoothness("T9").first_jump is None
    assert smoothness("T9").witness is None
    assert ANALYTIC > 10**6
    assert not ANALYTIC < 3
    assert max(2, ANALYTIC) is ANALYTIC
    assert str(ANALYTIC) == "ANALYTIC"


def test_the_later_layers_smooth_what_they_square() -> None:
    """T3 squares its input: the kink of layer 1's relu leaves layer 2 as C^1, its own relu stays."""
    squared = Format("squared", affine("W_a", relu(affine("W_b"))) + affine("W_c", relu(affine("W_b")) ** 2))
    assert smoothness(squared).order == 0
    first = [kink for kink in smoothness("T3", depth=2, post_activation="relu").kinks if kink.layer == 1]
    assert [kink.order for kink in first] == [1]
    assert first[0].jump is None


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(KeyError, match="nearest is 'T9'"):
        smoothness("T99")
    with pytest.raises(ValueError, match="depth is a positive integer, however: depth=0"):
        smoothness("T9", depth=0)


def test_mid_and_post_are_those_of_the_format_builders() -> None:
    assert (
        smoothness("T19", mid_activation="relu6").order
        == smoothness(with_mid_activation(qt.get_format("T19"), "relu6")).order
    )
