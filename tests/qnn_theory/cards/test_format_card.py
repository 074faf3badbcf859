"""Format cards: complete for every format, true to the interpreters they quote, readable in every rendering."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
import sympy

import qnn_theory as qt
from qnn_theory.cards.format_card import format_card
from qnn_theory.cards.tables import render
from qnn_theory.costs import cost
from qnn_theory.grammar.expr import affine, relu, scale, x
from qnn_theory.grammar.format import Format
from qnn_theory.smoothness_classes.smoothness import smoothness


@pytest.mark.parametrize("format", qt.formats(), ids=lambda f: f.id)
def test_every_format_has_a_full_card(format: Format) -> None:
    card = format_card(format.id)
    data = json.loads(render(card, "json"))
    assert data["id"] == format.id
    assert data["cost"]["parameters"] == str(cost(format).parameters)
    order = smoothness(format).order
    assert data["smoothness"]["order"] == (order if isinstance(order, int) else "analytic")
    found = data["effective_dimension"]
    d = sympy.Symbol("d")
    assert found["parameters"] == cost(format).parameters.subs(d, data["dim"])
    assert found["parameters"] - found["dimension"] == found["redundant"]
    assert len(data["expanded"]["outputs"]) >= 2
    text = render(card, width=100)
    for label in ("formula", "expanded", "monomials", "effective dimension", "smoothness", "parameters", "FLOPs"):
        assert f"\n{label}" in text
    latex = render(card, "latex")
    assert latex.count("$") % 2 == 0
    assert latex.isascii()


def test_known_values_on_cards() -> None:
    """T1 and T22 at d = 4: dimensions stated by hand (80 + 8 parameters less 24 antisymmetric and 4 doubled; 24 less 4)."""
    t1, t22 = (format_card(id).data["effective_dimension"] for id in ("T1", "T22"))
    assert (t1["parameters"], t1["dimension"]) == (88, 60)
    assert (t22["parameters"], t22["dimension"]) == (24, 20)
    assert format_card("T9", dim=2).data["support"]["size"] == 5  # x1, x2, x1², x1x2, x2²
    assert "relu: analytic (it never acts)" in render(format_card("T4"), width=200)
    assert "relu6: C^0" in render(format_card("T4"), width=200)


def test_the_witness_on_a_card_can_be_followed_by_hand() -> None:
    """T19 at the point: output i jumps by x_i |w_i·v| where w_i·x + b_i = 0, from exact fractions on the card alone."""
    witness = format_card("T19").data["smoothness"]["witness"]
    assert (witness["exact"], witness["derivative"], witness["activation"]) == (True, 1, "relu(W_a x)")
    numbers = {
        name: [[Fraction(v) for v in row] for row in rows] for name, rows in [("W_a", witness["parameters"][0]["W_a"])]
    }
    point, direction = ([Fraction(v) for v in witness[name]] for name in ("point", "direction"))
    for i, jump in enumerate(witness["right_minus_left"]):
        rate = sum(w * v for w, v in zip(numbers["W_a"][i], direction, strict=True))
        at = sum(w * p for w, p in zip(numbers["W_a"][i], point, strict=True)) + Fraction(
            witness["parameters"][0]["b_a"][i]
        )
        assert Fraction(jump) == (point[i] * abs(rate) if at == 0 else 0)


def test_relations_on_request() -> None:
    assert "relations" not in format_card("T9").data
    placed = format_card("T22", relations=True)
    assert "T9" in placed.data["relations"]["equivalent"]
    listed = [id for ids in placed.data["relations"].values() for id in ids]
    assert sorted(listed) == sorted(format.id for format in qt.formats() if format.id != "T22")
    assert "equivalent to" in render(placed, width=100)


def test_a_format_of_ones_own_has_a_card() -> None:
    own = Format("mine", x * relu(affine("W_a")) + scale("alpha", x), source="me", note="a test")
    data = format_card(own, neighbours=False).data
    assert (data["source"], data["smoothness"]["order"]) == ("me", 0)


def test_smooth_activations_have_no_monomials() -> None:
    card = format_card("T19~gelu", neighbours=False)
    assert card.data["support"] is None
    assert "polynomial on no region" in " ".join(render(card).split())  # wherever the line is broken


def test_wrong_widths_are_named() -> None:
    with pytest.raises(ValueError, match="d must be even, however: d=7"):
        format_card("T13", dim=7)
