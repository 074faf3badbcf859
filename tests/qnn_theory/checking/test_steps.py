"""Directions made of others: maps after one another, separations carried over, constant gates; and what they may not do."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

import qnn_theory as qt
from qnn_theory.checking.directions import check_direction
from qnn_theory.checking.document import seal
from qnn_theory.checking.reading import NotCheckedError, RejectedError
from qnn_theory.grammar.readings.formula_text import to_formula
from qnn_theory.grammar.widths import parameters
from qnn_theory.relations.certificate_files import direction_data, own_parameter
from qnn_theory.relations.certificates import Containment
from qnn_theory.relations.relation import decide
from qnn_theory.relations.transitivity import by_transitivity, chain
from tests.qnn_theory.checking.mutants import mutants
from tests.qnn_theory.relations.test_transitivity import NARROW, but_not

GLU = "affine('A') * silu(affine('B'))"
TWO = "row_sum(2, x * relu(affine('W'))) + x"


def chained(*formats: str) -> Any:
    """The containments of each format in the next, as one direction from the first to the last."""
    found = [qt.get_format(format) for format in formats]
    links = [decide(a, b) for a, b in itertools.pairwise(found)]
    assert all(isinstance(link, Containment) for link in links)
    return plain(direction_data(chain(*links), found[0], found[-1]))  # type: ignore[arg-type]


def plain(data: Any) -> Any:
    return json.loads(json.dumps(data))


def verdict(entry: Any, source: str, target: str) -> str:
    try:
        check_direction(entry, qt.get_format(source).expr, qt.get_format(target).expr)
    except RejectedError:
        return "rejected"
    except NotCheckedError:
        return "not checked"
    return "accepted"


@pytest.mark.parametrize(
    "formats", [("T4", "T5", "T8"), ("T9", "T22", "T10"), ("T19", "QNN-alpha", "row_sum(5, x * relu(affine('W'))) + x")]
)
def test_chains_are_accepted_and_no_link_can_be_missing(formats: tuple[str, ...]) -> None:
    entry = chained(*formats)
    assert verdict(entry, formats[0], formats[-1]) == "accepted"
    assert verdict(entry, formats[-1], formats[0]) == "rejected"
    for k in range(len(entry["links"])):
        fewer = entry["links"][:k] + entry["links"][k + 1 :]
        assert verdict(entry | {"links": fewer}, formats[0], formats[-1]) == "rejected"
    turned = {"verdict": "contained", "links": entry["links"][::-1]}
    assert verdict(turned, formats[0], formats[-1]) == "rejected"


def test_a_format_in_between_must_exist_at_every_width() -> None:
    """T13 exists at even d only, so a chain through it says nothing about d = 3."""
    link = {"formula": to_formula(qt.get_format("T13").expr), "proof": {"verdict": "contained", "map": {}}}
    with pytest.raises(RejectedError, match="does not exist at every d"):
        check_direction({"verdict": "contained", "links": [link]}, qt.get_format("T5").expr, qt.get_format("T8").expr)


@pytest.mark.parametrize(("source", "target"), [("T24", NARROW), ('x * affine("P") + affine("Q")', "T7")])
def test_carried_separations_are_accepted(source: str, target: str) -> None:
    a, b = qt.get_format(source), qt.get_format(target)  # the inner witness is as it was drawn: not every entry matters
    between = tuple(map(qt.get_format, ("T9", "T10", "T22", "T5")))
    found = by_transitivity(a, b, but_not(source, target), between)
    assert found is not None
    entry = plain(direction_data(found, a, b))
    assert "separation" in entry
    assert verdict(entry, source, target) == "accepted"
    assert verdict(entry, target, source) == "rejected"
    for where, what, changed in mutants(entry):
        if len(where) < 4 or what in ("plus one", "longer"):
            outcome = verdict(changed, source, target)
            assert outcome == "rejected" or {"map", "data", "rule", "at", "along", "far", "entries"} & set(where), (
                where,
                what,
            )


def test_nothing_is_carried_the_wrong_way() -> None:
    """T9 ⊆ T5 and T5 ⊄ T22 do not give T9 ⊄ T22."""
    inside = plain(direction_data(decide(qt.get_format("T9"), qt.get_format("T5")), *map(qt.get_format, ("T9", "T5"))))
    lacks = plain(direction_data(decide(qt.get_format("T5"), qt.get_format("T22")), *map(qt.get_format, ("T5", "T22"))))
    for key in ("below", "above"):
        forged: dict[str, Any] = {"verdict": "not contained", "below": None, "above": None, "separation": lacks}
        forged[key] = {"formula": 'affine("W_a") * affine("W_b")', "proof": inside}
        assert verdict(forged, "T9", "T22") == "rejected"
    assert (
        verdict({"verdict": "not contained", "below": None, "above": None, "separation": lacks}, "T5", "T22")
        == "rejected"
    )


def gated() -> Any:
    a, b = qt.get_format("Linear"), qt.get_format(GLU)
    return plain(direction_data(decide(a, b), a, b))


def test_constant_gates_are_accepted_and_their_numbers_matter() -> None:
    entry = gated()
    assert entry["gates"]
    assert verdict(entry, "Linear", GLU) == "accepted"
    for where, what, changed in mutants(entry):
        assert verdict(changed, "Linear", GLU) == "rejected" or where == ("map",), (where, what)


@pytest.mark.parametrize(
    "target",
    [
        "affine('A') * silu(affine('B')) * affine('B')",  # the map is used elsewhere, too
        "affine('A') * silu(affine('B')) * tanh(affine('B'))",
        "affine('A') * silu(affine('B', bias=False))",
        "affine('A') * gelu(affine('B'))",
        "affine('A') * silu(affine('C'))",
    ],
)
def test_a_gate_is_constant_only_where_its_map_is_its_own(target: str) -> None:
    assert verdict(gated(), "Linear", target) == "rejected"


@pytest.mark.parametrize(
    ("source", "target", "outcome"),
    [
        ("relu(affine('W')) - relu(-affine('W'))", "affine('W')", "accepted"),
        ("relu(affine('W')) * relu(-affine('W')) + affine('W')", "affine('W')", "accepted"),
        ("relu(relu(affine('W')))", "relu(affine('W'))", "accepted"),
        ("relu(2 * affine('W'))", "2 * relu(affine('W'))", "accepted"),
        ("silu(affine('W')) - silu(-affine('W'))", "affine('W')", "accepted"),
        ("tanh(affine('W'))", "2 * sigmoid(2 * affine('W')) - 1", "accepted"),
        ("affine('W') * sigmoid(affine('W'))", "silu(affine('W'))", "accepted"),
        ("sigmoid(0 * x) + affine('W')", "affine('W') + 1/2", "accepted"),
        ("relu(affine('W')) ** 2", "affine('W') * relu(affine('W'))", "accepted"),
        # A value of a smooth gate is no indicator: its square is another function.
        ("sigmoid(affine('W')) ** 2", "sigmoid(affine('W'))", "rejected"),
        ("silu(affine('W')) ** 2", "affine('W') * silu(affine('W'))", "rejected"),
        ("relu6(affine('W')) ** 2", "affine('W') * relu6(affine('W'))", "rejected"),
        ("mish(affine('W')) - mish(-affine('W'))", "affine('W')", "rejected"),
        ("relu(-2 * affine('W'))", "2 * relu(affine('W'))", "rejected"),
        ("relu(affine('W'))", "affine('W')", "rejected"),
        ("gelu(affine('W'))", "silu(affine('W'))", "rejected"),
        ("relu(affine('W') - 1)", "relu(affine('W')) - 1", "rejected"),
    ],
)
def test_identities_of_activations(source: str, target: str, outcome: str) -> None:
    """The map is W' = W, b' = b."""
    entry = {"verdict": "contained", "map": {"W": own_parameter("W"), "b": own_parameter("b")}}
    assert verdict(entry, source, target) == outcome


def test_what_cancels_in_a_target_is_left_out_first() -> None:
    target = "x * (relu(affine('W')) - relu(-affine('W')))"
    a, b = qt.get_format("T19"), qt.get_format(target)
    entry = plain(direction_data(decide(a, b), a, b))
    assert entry["above"]["formula"] == 'x * affine("W")'
    assert verdict(entry, "T19", target) == "accepted"
    assert seal({"a": entry}) != seal({"a": gated()})


BY_COEFFICIENTS = [
    (NARROW, "T1"),
    ("scale('alpha') * affine('W')", "T1"),
    ("bilinear('A', affine('B'))", "bilinear('C') + affine('W')"),
]


@pytest.mark.parametrize(("source", "target"), BY_COEFFICIENTS)
def test_maps_by_coefficients_are_accepted_and_what_they_say_matters(source: str, target: str) -> None:
    a, b = qt.get_format(source), qt.get_format(target)
    entry = plain(direction_data(decide(a, b), a, b))
    assert verdict(entry, source, target) == "accepted"
    assert verdict(entry, target, source) == "rejected"
    for number, (where, what, changed) in enumerate(mutants(entry)):
        if number % 4:
            continue
        assert verdict(changed, source, target) == "rejected" or where in (("map",), ("free",)), (where, what)


PRODUCT, SQUARES = "affine('W_a') * affine('W_b')", "affine('U') ** 2 - affine('V') ** 2"


def test_a_formula_of_another_function_is_rejected() -> None:
    a, b = qt.get_format(SQUARES), qt.get_format(PRODUCT)
    text = json.dumps(direction_data(decide(a, b), a, b))
    assert verdict(json.loads(text), SQUARES, PRODUCT) == "accepted"
    formula = json.loads(text)["map"]["W_a"][0][0][0][1][1]
    assert formula in ('affine("U") + affine("V")', 'affine("U") - affine("V")')
    wrong = (
        "x",
        "affine('U')",
        "affine('W_a')",
        "x * affine('U')",
        "relu(x)",
        "x ** 100",
        "import os",
        "affine('U') + 1",
    )
    for other in (
        *wrong,
        "affine('U', bias=False)",
        "affine('U', width=2)",
        "scale('b_U')",
        "affine('V', affine('U'))",
    ):
        forged = json.loads(text)
        for name, operation in (("W_a", "slope"), ("b_a", "value")):
            forged["map"][name] = [[[["1", [operation, other]]]]]
        assert verdict(forged, SQUARES, PRODUCT) == "rejected", other


def test_no_map_with_free_parameters_goes_into_a_format_without_the_terms() -> None:
    """T16 is cubic: what T1 can take of it is not all of it; T9 has no constant; T5 is not linear in its parameters."""
    a, b = qt.get_format(NARROW), qt.get_format("T1")
    entry = plain(direction_data(decide(a, b), a, b))
    assert entry["free"]
    assert verdict(entry, NARROW, "T1") == "accepted"
    assert verdict(entry, "T16", "T1") == "rejected"
    for source, target in (("Linear", "T9"), ("T1", "T10"), ("T9", "T5"), ("T18", "T10"), ("T19", "T1"), ("T9", "T19")):
        names = [p.name for p in parameters(qt.get_format(target).expr)]
        assert verdict({"verdict": "contained", "map": {}, "free": names}, source, target) == "rejected"
    names = [p.name for p in parameters(qt.get_format("T10").expr)]
    for source in ("T9", "T10", "Linear", "T20"):
        assert verdict({"verdict": "contained", "map": {}, "free": names}, source, "T10") == "accepted"
    for free in ([], ["W_z"], [*names, "W_z"], [names[0], *names], names[1:], [3]):
        assert verdict({"verdict": "contained", "map": {}, "free": free}, "T9", "T10") == "rejected"


@pytest.mark.parametrize(
    ("source", "target", "outcome"),
    [
        ("relu6(affine('W'))", "relu(affine('W')) - relu(affine('W') - 6)", "accepted"),
        ("relu6(affine('W'))", "6 - relu6(6 - affine('W'))", "accepted"),
        ("relu6(relu6(affine('W')))", "relu6(affine('W'))", "accepted"),
        ("relu(relu(affine('W')) - 1)", "relu(affine('W') - 1)", "accepted"),
        ("relu(affine('W')) * relu(-1 - affine('W'))", "0 * affine('W')", "accepted"),
        ("relu(affine('W')) * relu(1 - affine('W'))", "0 * affine('W')", "rejected"),
        ("relu6(affine('W'))", "relu(affine('W')) - relu(affine('W') - 5)", "rejected"),
        ("relu6(affine('W'))", "6 - relu6(-affine('W'))", "rejected"),
        ("relu(relu(affine('W')) + 1)", "relu(affine('W') + 1)", "rejected"),
        ("relu(relu(affine('W')) - 1)", "relu(affine('W')) - 1", "rejected"),
        ("relu6(2 * affine('W'))", "2 * relu6(affine('W'))", "rejected"),
        ("x * mish(affine('W')) * 0 + mish(0 * affine('W'))", "0 * affine('W')", "accepted"),
    ],
)
def test_identities_of_kinks_in_a_row(source: str, target: str, outcome: str) -> None:
    entry = {"verdict": "contained", "map": {"W": own_parameter("W"), "b": own_parameter("b")}}
    assert verdict(entry, source, target) == outcome
