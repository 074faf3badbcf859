"""The smoothness of formats in which kinks cancel, derived by hand: the class of what is left, exactly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

import qnn_theory as qt
from qnn_theory.grammar.expr import Activation, Expr, RowSum, activation, affine, relu, scale, walk, x
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.widths import parameters
from qnn_theory.smoothness_classes.one_sided import Target, find_witness
from qnn_theory.smoothness_classes.smoothness import ANALYTIC, smoothness
from tests.qnn_theory.grammar.test_cancellation import cancelling
from tests.qnn_theory.smoothness_classes.one_sided_differences import assert_jumps

U, V = affine("U"), affine("V")


def relu6(of: Expr) -> Expr:
    return activation("relu6", of)


def prelu(of: Expr) -> Expr:
    return activation("prelu", of)


CASES = [
    (relu(x) - relu(-x), ANALYTIC),
    (relu(x) ** 2 + relu(-x) ** 2, ANALYTIC),
    (relu(x) * relu(-x), ANALYTIC),
    (relu(U) ** 3 - relu(-U) ** 3, ANALYTIC),  # U^3
    (relu(U) ** 3 + relu(-U) ** 3, 2),  # |U|^3
    (relu(U) ** 2 - relu(-U) ** 2, 1),  # U|U|
    (relu(U) + relu(-U), 0),
    ((relu(U) + relu(-U)) ** 2, ANALYTIC),
    ((relu(U) + relu(-U)) ** 3, 2),
    (U * (relu(U) + relu(-U)), 1),
    (relu(U) - relu(-V), 0),
    (relu(U) * relu(V), 0),
    (relu(U) * relu(U - 1), 0),
    (relu(U) * relu(-U - 1), ANALYTIC),  # never both positive
    (relu(U) * relu(1 - U), 0),
    (relu(U + 1) - relu(U - 1), 0),
    (relu(U - V) - relu(V - U), ANALYTIC),
    (relu(U - V) + V - relu(V - U) - U, ANALYTIC),  # the maximum less itself
    (relu(U) * relu(V) - relu(-U) * relu(V), 0),  # U relu(V)
    (V * relu(U) * relu(V) - V * relu(-U) * relu(V), 1),  # U relu(V)^2
    (relu(U * V) - relu(-U * V), ANALYTIC),
    (x * (relu(U) - relu(-U)) + relu(V) ** 2, 1),
    (x * (relu(U) - relu(-U)) + x, ANALYTIC),
    (relu(relu(U) - 1) ** 2, 1),
    (relu(U) ** 2 - 2 * U * relu(U), 1),  # -relu(U)^2
    (relu6(U) - relu(U) + relu(U - 6), ANALYTIC),
    (relu6(U) + relu(U - 6), 0),
    (relu6(U) * relu(-U), ANALYTIC),
    (relu6(U) ** 2 - relu(U) ** 2 + relu(U - 6) ** 2, 0),  # -12 (U - 6) beyond 6
    (relu6(U) ** 2 - relu(U) ** 2 + relu(U - 6) * relu(U + 6), ANALYTIC),  # 36 - U^2 beyond 6, and (U - 6)(U + 6)
    (prelu(U) - prelu(-U), ANALYTIC),  # (1 + s) U
    (prelu(U) * relu(U) + relu(-U) ** 2, ANALYTIC),
    (prelu(U) + relu(-U), 0),
    (relu(scale("a")) - scale("a", relu(x)), 0),  # another function for a < 0
    (scale("a", relu(x)) - scale("a", relu(-x)), ANALYTIC),
    (affine("P", relu(U) - relu(-U)), ANALYTIC),
    (relu(affine("P", relu(U) - relu(-U))), 0),
    (activation("tanh", relu(U) - relu(-U)), ANALYTIC),
    (RowSum(2, relu(U) - relu(-U)), ANALYTIC),
    (relu(x - 1) ** 2 + relu(1 - x) ** 2 + x - 1, ANALYTIC),
]


@pytest.mark.parametrize(("expr", "order"), CASES, ids=range(len(CASES)))
def test_classes_by_hand(expr: Expr, order: object) -> None:
    result = smoothness(Format("cancelling", expr))
    assert (result.order, result.exact) == (order, True)
    if result.witness is not None:
        assert_jumps(Format("cancelling", expr), result.witness)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_stacks_cancel_too(depth: int) -> None:
    assert smoothness(Format("linear", relu(U) - relu(-U)), depth=depth).order is ANALYTIC
    square = smoothness(Format("square", U * relu(U) + x), depth=depth)
    assert (square.order, square.exact) == (1, True)


def test_the_witness_has_the_parameters_that_cancelled() -> None:
    expr = relu(U) * relu(-U) + relu(V)
    witness = smoothness(Format("cancelling", expr)).witness
    assert witness is not None
    assert set(witness.parameters[0]) == {parameter.name for parameter in parameters(expr)}
    assert {float(entry) for row in witness.parameters[0]["U"] for entry in row} == {0.0}


@settings(max_examples=25)
@given(cancelling())
def test_random_classes_are_those_of_the_format_as_it_was_given(expr: Expr) -> None:
    result = smoothness(Format("random", expr))
    derivative = 4 if result.order is ANALYTIC else result.order + 1  # type: ignore[operator]
    for node in walk(expr):
        for threshold in (0, 6) if getattr(node, "kind", None) == "relu6" else (0,):
            if not isinstance(node, Activation):
                continue
            target = Target(layer=1, node=node, threshold=threshold)
            # Raises where a lower derivative jumps at a point that it meets.
            found = find_witness(expr, widths=(2, 2), targets=[target], derivative=derivative, exact=True)
            assert found is None or result.order is not ANALYTIC
    if result.witness is not None and result.witness.exact:
        assert_jumps(Format("random", expr), result.witness)


def test_a_card_shows_the_class() -> None:
    assert qt.smoothness('relu(affine("U")) - relu(-affine("U"))').order is ANALYTIC
