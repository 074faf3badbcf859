"""Overviews quote the interpreters, hold both directions of a relation, and count the verdicts of claims."""

from __future__ import annotations

import pytest

import qnn_theory as qt
from qnn_theory.cards.overviews import claims_table, formats_table, relation_table
from qnn_theory.cards.tables import render
from qnn_theory.costs import cost
from qnn_theory.paper_claims.claim import Claim, Verdict
from qnn_theory.relations.relation import relation


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


def test_overview_quotes_the_interpreters() -> None:
    for entry, format in zip(formats_table().data, qt.formats(), strict=True):
        assert entry["parameters"] == str(cost(format).parameters)
        assert entry["latex"] == format.latex
