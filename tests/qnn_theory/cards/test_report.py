"""Format cards: complete for every format, true to the interpreters they quote, readable in every rendering."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
import sympy

import qnn_theory as qt
from qnn_theory.cards.report import (
    claims_table,
    format_card,
    formats_table,
    formula_text,
    read_format,
    relation_table,
    smallest_width,
)
from qnn_theory.cards.tables import render
from qnn_theory.costs import cost
from qnn_theory.grammar.expr import affine, relu, scale, x
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.widths import check_dim
from qnn_theory.paper_claims.claim import Claim, Verdict
from qnn_theory.relations.relation import relation
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


@pytest.mark.parametrize(("first", "second", "kind"), [("T9", "T22", "equivalent"), ("T13", "T14", "contains")])
def test_a_relation_shows_both_directions(first: str, second: str, kind: str) -> None:
    found = relation(first, second)
    table = relation_table(found)
    assert table.data["kind"] == kind
    assert set(table.data["certificate"]) == {"forward", "backward"}
    text = render(table, width=10_000)
    assert all(line in text for line in (*found.certificate.forward.lines, *found.certificate.backward.lines))
    assert render(table, "latex").isascii()


def test_claims_count_their_verdicts() -> None:
    def claim(id: str, verdict: Verdict) -> Claim:
        return Claim(id=id, verdict=verdict, statement="A is B.", source="key", evidence="So.", computed_by="qt.cost")

    table = claims_table([claim("one", "holds"), claim("two", "fails"), claim("three", "holds")])
    assert table.title == "Claims of the paper: 2 holds, 1 fails"
    assert [entry["verdict"] for entry in table.data] == ["holds", "fails", "holds"]
    assert "So. (computed by qt.cost)" in render(table, width=200)


def test_a_format_of_ones_own_has_a_card() -> None:
    own = Format("mine", x * relu(affine("W_a")) + scale("alpha", x), source="me", note="a test")
    data = format_card(own).data
    assert (data["source"], data["smoothness"]["order"]) == ("me", 0)


def test_smooth_activations_have_no_monomials() -> None:
    card = format_card("T19~gelu")
    assert card.data["support"] is None
    assert "polynomial on no region" in " ".join(render(card).split())  # wherever the line is broken


def test_activations_attached_to_an_id() -> None:
    assert read_format("T9") is qt.get_format("T9")
    assert (
        read_format("T19~gelu+relu6").expr
        == qt.with_post_activation(qt.with_mid_activation(qt.get_format("T19"), "gelu"), "relu6").expr
    )
    assert read_format("QNN-alpha-released").id == "QNN-alpha-released"
    with pytest.raises(ValueError, match=r"one of relu, .*, however: 'softmax' in 'T9\+softmax'"):
        read_format("T9+softmax")
    with pytest.raises(KeyError, match="nearest is 'T9'"):
        read_format("T99+relu")


def test_the_smallest_width_is_accepted() -> None:
    for format in qt.formats():
        for least in (1, 2, 5):
            width = smallest_width(format, least)
            check_dim(format.expr, width)
            assert least <= width
    assert smallest_width(qt.get_format("T13"), 5) == 6


def test_formulas_on_the_terminal() -> None:
    d, L = sympy.symbols("d L")
    assert formula_text(d**2 + d / 2) == "d² + d/2"
    assert formula_text(3 * d**12 * 2**L) == "3·2^L·d¹²"


def test_wrong_widths_are_named() -> None:
    with pytest.raises(ValueError, match="d must be even, however: d=7"):
        format_card("T13", dim=7)


def test_overview_quotes_the_interpreters() -> None:
    for entry, format in zip(formats_table().data, qt.formats(), strict=True):
        assert entry["parameters"] == str(cost(format).parameters)
        assert entry["latex"] == format.latex
