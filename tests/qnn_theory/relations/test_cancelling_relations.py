"""Relations of formats in which activations cancel, derived by hand; and of formats in which they only seem to."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qnn_theory as qt
from qnn_theory.grammar.evaluate import evaluate, relu_of_numbers
from qnn_theory.grammar.expr import Expr, RowSum, activation, affine, relu, scale, x
from qnn_theory.grammar.format import Format
from qnn_theory.relations.invariants.pair import Separation
from qnn_theory.relations.relation import decide
from qnn_theory.relations.witness import nested
from tests.qnn_theory.grammar.test_cancellation import cancelling
from tests.qnn_theory.relations.test_any_pair import check_map, special_cases

U, V, W = affine("U"), affine("V"), affine("W")
ABS = relu(W) + relu(-W)
ZERO = 0 * x
WIDE = affine("P", relu(affine("Q", width=Fraction(2))))


def prelu(of: Expr) -> Expr:
    return activation("prelu", of)


def relu6(of: Expr) -> Expr:
    return activation("relu6", of)


CASES: list[tuple[Expr, Expr | str, str]] = [
    # What cancels.
    (relu(U) * relu(-U), "Linear", "contained"),
    (relu(U) * relu(-U), ZERO, "equivalent"),
    (relu(U) * relu(-U), "T19", "incomparable"),  # which adds x
    (relu(U) * relu(-U) + x, "T19", "contained"),
    (relu(U) - relu(-U), "Linear", "equivalent"),
    (x * (relu(U) - relu(-U)) + x, "T9", "equivalent"),
    (relu(U) ** 2 + relu(-U) ** 2, "T4", "equivalent"),
    (ABS**2, U**2, "equivalent"),
    (U * relu(U), relu(V) ** 2, "equivalent"),
    (relu(relu(U) - 1), relu(V), "equivalent"),
    (relu(U) ** 3 - relu(-U) ** 3, U**3, "equivalent"),
    (affine("P", relu(U) - relu(-U)), "Linear", "equivalent"),
    (RowSum(2, relu(W) - relu(-W)), "Linear", "equivalent"),
    (scale("a", relu(x)) - scale("a", relu(-x)), scale("b"), "equivalent"),
    (relu(x) - relu(-x), x, "equivalent"),
    (relu(x * U) - relu(-x * U), "T9", "equivalent"),
    (relu(U) * relu(-1 - U) + U, "Linear", "equivalent"),
    (prelu(U) * relu(U), relu(V) ** 2, "equivalent"),
    (relu6(U) + relu(U - 6), relu(V), "equivalent"),
    (relu(U - V) + V, relu(V - U) + U, "equivalent"),  # the larger of two
    (U - relu(U), -relu(V), "equivalent"),
    (x - relu(x), -relu(-x), "equivalent"),
    (relu(U + 1) - relu(U - 1), WIDE, "contained"),
    # The two sides of one kink.
    (ABS, relu(V), "incomparable"),
    (ABS, "Linear", "incomparable"),
    (-ABS, ABS, "incomparable"),
    (ABS, 2 * relu(V) - V, "equivalent"),
    (x * ABS, x * relu(V), "incomparable"),
    (x * ABS + x, "T19", "incomparable"),
    (ABS, RowSum(2, relu(V)), "contained"),
    (x * ABS, RowSum(2, x * relu(V)), "contained"),
    (relu(U) + U, relu(V), "incomparable"),
    (U - relu(U), relu(V), "incomparable"),
    (x - relu(x), relu(-x), "incomparable"),
    # relu6 is two relus.
    (relu6(U), relu(V), "incomparable"),
    (relu6(U), relu(V) - relu(V - 6), "equivalent"),
    (relu(U) - relu(U - 1), relu6(6 * V) / 6, "equivalent"),
    (relu6(relu6(U)), relu6(V), "equivalent"),
    (relu6(U), 6 - relu6(V), "equivalent"),
    (relu6(U), 5 - relu6(V), "incomparable"),
    (relu6(U), WIDE, "contained"),
    (x * relu6(U) + x, "T19", "incomparable"),
    (x * relu6(U), x * relu(V), "incomparable"),
    (x * relu6(U) + x, x * relu6(-V) + x, "equivalent"),
    (relu6(U) + relu6(V), relu6(W), "contains"),
    (relu6(U) * relu(-U) + W, "Linear", "equivalent"),
    # What does not cancel.
    (relu(U) * relu(V), ZERO, "contains"),
    (relu(U) - relu(-V), "Linear", "contains"),
    (relu(U + 1) - relu(U - 1), "Linear", "incomparable"),
    (relu(U) * relu(1 - U), ZERO, "contains"),
    (relu(-U), relu(V), "equivalent"),
    (x * relu(-U) + x, "T19", "equivalent"),
    (prelu(U), relu(V), "contains"),
    (relu(U) + W, relu(V), "contains"),
]


@pytest.mark.parametrize(("first", "second", "kind"), CASES, ids=range(len(CASES)))
def test_relations_by_hand(first: Expr, second: Expr | str, kind: str) -> None:
    a = Format("first", first)
    b = qt.get_format(second) if isinstance(second, str) else Format("second", second)
    found = qt.relation(a, b)
    assert found.kind == kind
    check_map(a, b, found.certificate.forward)
    check_map(b, a, found.certificate.backward)


def test_a_limit_is_not_separated_as_if_it_were_none() -> None:
    """a relu6(u) is relu(v) in the limit of large a: the second kink moves to infinity."""
    found = qt.relation(Format("first", relu(V)), Format("second", scale("a", relu6(U)))).certificate.forward
    assert isinstance(found, Separation)
    assert (found.invariant, found.closed) == ("half-spaces", False)


@settings(max_examples=25)
@given(st.data())
def test_a_special_case_of_what_cancels_is_never_separated(data: st.DataObject) -> None:
    target = Format("target", data.draw(cancelling()))
    source = Format("source", data.draw(special_cases(target.expr)))
    found = decide(source, target)
    assert not isinstance(found, Separation), found.lines
    check_map(source, target, found)


def test_a_map_sets_what_cancels_to_zero() -> None:
    target = Format("target", relu(U) * relu(-U) + W)
    found = qt.relation("Linear", target).certificate.forward
    assert {a.parameter.name: a.text for a in found.map.assignments}["U"] == "U' = 0"  # type: ignore[union-attr]


def test_the_witness_of_half_spaces_is_as_claimed() -> None:
    """|u| rises on both sides of its kink, which no relu does."""
    found = qt.relation(Format("first", ABS), Format("second", relu(V))).certificate.forward
    assert isinstance(found, Separation)
    assert found.invariant == "half-spaces"
    assert found.witness is not None
    dim, entries = found.witness.dim, dict(found.witness.entries)
    values = nested(ABS, entries, dim=dim)
    both = [evaluate(ABS, [Fraction(t)] * dim, values, activation=relu_of_numbers)[0] for t in (-1, 0, 1)]
    assert both == [1, 0, 1]
