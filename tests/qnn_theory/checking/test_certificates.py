"""What the search proves, the checker accepts; what is changed, forged or malformed, it never does."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

import qnn_theory as qt
from qnn_theory.checking.document import Finding, check, check_text, seal
from qnn_theory.dimension.effective_dimension import effective_dimension
from qnn_theory.grammar.readings.formula_text import to_formula
from qnn_theory.relations.certificate_files import certificate_data, certificate_text
from qnn_theory.relations.relation import containment_order
from tests.qnn_theory.checking.mutants import mutants

Document = dict[str, Any]

# Every rule that separates, and maps of every kind of term.
OF_EVERY_KIND = {
    "polynomial members, smoothness": ("T9", "T24"),
    "equations, monomial": ("T10", "T7"),
    "kinks, map": ("T26", "T19"),
    "related coefficients, divisibility": ("T9", "T20"),
    "sign, divisibility": ("T9", "T4"),
    "finite difference, smooth": ("x * silu(affine('W'))", "T9"),
    "fixed coefficient, map": ("x * scale('a') + scale('b')", "x * scale('a') + x"),
    "output width": ("T18-paper", "T9"),
    "degree, map": ("T9", "Linear"),
    "rank gates, sign": ("T19", "T25"),
    "rank multiple, map": ("T13", "T14"),
    "rank form": ("T7", "T18"),
    "map with products": ("T9", "T18"),
    "map with blocks": ("T14", "T12"),
    "map with a row sum": ("T19", "QNN-alpha"),
    "map with slopes": ("relu(affine('W'))", "prelu(affine('V'))"),
}


def formula_of(name: str) -> str | None:
    try:
        return to_formula(qt.get_format(name).expr)
    except (KeyError, ValueError):
        return None


@cache
def _written(first: str, second: str) -> str:
    return certificate_text(first, second)


def certificate(first: str, second: str) -> Document:
    result: Document = json.loads(_written(first, second))
    return result


def sealed(document: Any) -> Any:
    return document | {"seal": seal(document)} if isinstance(document, dict) and "seal" in document else document


def checked(document: Any) -> Finding:
    return check(document, formula_of=formula_of)


@pytest.mark.parametrize("pair", OF_EVERY_KIND.values(), ids=OF_EVERY_KIND.keys())
def test_certificates_of_every_kind_are_accepted(pair: tuple[str, str]) -> None:
    found = check_text(_written(*pair), formula_of=formula_of)
    if "silu" in pair[0]:  # the way back is none of a registered pair: it may be open, or a rule that is not checked
        assert found.lines[0].startswith("accepted: ")
    else:
        assert found.status == "accepted", found.lines
    assert not any(line.startswith("rejected") for line in found.lines)


def test_a_line_says_what_was_accepted() -> None:
    lines = checked(certificate("T9", "T5")).lines
    assert lines[0].startswith(
        "accepted: T9 ⊆ T5 (map, multiplied out at d = 2, 3 and, at random parameters, 6; error below "
    )
    assert lines[1].startswith("accepted: T5 ⊄ T9 (coefficients at d = 4 and, padded with zeros, 5; error below ")


@pytest.mark.parametrize(
    ("source", "target", "larger"),
    [
        ("T5", "T9", True),
        ("T7", "T18", True),
        ("T26", "T19", True),
        ("T9", "T24", True),
        ("T9", "T4", True),
        ("T9", "T25", False),
    ],
)
def test_a_larger_d_is_named_only_where_it_was_checked(source: str, target: str, larger: bool) -> None:
    """The last is by the rank d of x_i W_ij x_j against d/2 of T25's: at every d it needs a function of its own."""
    lines = [line for line in checked(certificate(source, target)).lines if f"{source} ⊄ {target}" in line]
    assert len(lines) == 1
    assert ("padded with zeros" in lines[0]) == larger, lines


def test_the_committed_order_is_accepted() -> None:
    """Every pair of registered formats, from the committed file: nothing of it is computed anew."""
    ids = [format.id for format in qt.formats()]
    assert not containment_order().open
    for k, first in enumerate(ids):
        for second in ids[k + 1 :]:
            found = checked(certificate_data(first, second))
            assert found.status == "accepted", (first, second, found.lines)


@pytest.mark.parametrize("pair", OF_EVERY_KIND.values(), ids=OF_EVERY_KIND.keys())
def test_any_change_of_a_file_is_rejected(pair: tuple[str, str]) -> None:
    for where, what, changed in mutants(certificate(*pair)):
        found = checked(changed)
        assert found.status == "rejected", (where, what, found.lines)
        assert found.lines[0].startswith("rejected: ")


# What another proof of the same kind may have: another point on a kink, a part of the half-space or of the matrix.
FREE = {
    "point",
    "at",
    "along",
    "far",
    "direction",
    "around",
    "side",
    "shift",
    "outputs",
    "rows",
    "columns",
    "form",
    "terms",
}
# A rule, a map or a bound that is not known is not refuted.
UNKNOWN = {"rule", "data", "map", "limit", "upper", "side", "shift"}


@pytest.mark.parametrize("pair", OF_EVERY_KIND.values(), ids=OF_EVERY_KIND.keys())
def test_a_change_that_is_sealed_again_is_rejected_for_what_it_says(pair: tuple[str, str]) -> None:
    """Who forges a certificate computes the seal; what is said must fail then, unless it is true."""
    document = certificate(*pair)
    other_is_open = checked(document).status == "not checked"
    rejected = 0
    for number, (where, what, changed) in enumerate(mutants(document)):
        if where[:1] == ("seal",) or (len(where) > 4 and number % 6):  # of the entries of long lists a sixth
            continue
        found = checked(sealed(changed))
        rejected += found.status == "rejected"
        if found.status == "accepted":
            row = "entries" in where and where[-2:] == (1, 0) and "row_sum" in document["second"]["formula"]
            assert FREE & set(where[2:]) or row, (where, what, found.lines)  # the rows of a row sum are interchangeable
        if found.status == "not checked" and not other_is_open:
            assert where[-1] in UNKNOWN, (where, what, found.lines)
    assert rejected > 60


def _replaced(value: Any, new: Any) -> list[Any]:
    """The value with each of its parts, one at a time, replaced."""
    if isinstance(value, dict):
        return [new, *(value | {k: changed} for k, part in value.items() for changed in _replaced(part, new))]
    if isinstance(value, list):
        parts = list(enumerate(value))[:2]
        return [new, *([*value[:k], c, *value[k + 1 :]] for k, part in parts for c in _replaced(part, new))]
    return [new]


P = "1/2305843009213693951"


@pytest.mark.parametrize("new", [None, [], True, -1, {"a": 1}, P], ids=str)
@pytest.mark.parametrize("kind", ["equations, monomial", "rank gates, sign", "map with slopes"])
def test_values_of_another_type_crash_nothing(kind: str, new: Any) -> None:
    document = certificate(*OF_EVERY_KIND[kind])
    for direction in ("forward", "backward"):
        for changed in _replaced(document[direction], new):
            if changed != document[direction]:
                checked(sealed(document | {direction: changed}))  # an error of any other kind fails the test


IDENTITY = [[[["1", ["identity", 1]]]]]


def _forged_map(first: str, second: str, map: Document) -> Document:
    document = certificate(first, second)
    kind = {"contained": "equivalent", "not contained": "contained", "open": "open"}[document["backward"]["verdict"]]
    return sealed(document | {"forward": {"verdict": "contained", "map": map}, "kind": kind})


def own(name: str) -> list[Any]:
    return [[[["1", ["parameter", name]]]]]


@pytest.mark.parametrize(
    ("first", "second", "map"),
    [
        ("T10", "T9", {"W_a": own("W_a"), "b_a": own("b_a")}),
        ("T10", "T9", {"W_a": own("W_b"), "b_a": own("b_b")}),
        ("T5", "T9", {"W_a": own("W_b"), "b_a": own("b_b")}),
        ("T19", "T9", {"W_a": own("W_a"), "b_a": own("b_a")}),
        ("T9", "T19", {"W_a": own("W_a"), "b_a": own("b_a")}),
        ("T22", "T9", {"W_a": own("W_a"), "b_a": own("alpha")}),
        ("T9", "Linear", {"W_a": own("W_a"), "b_a": own("b_a")}),
        ("T5", "T4", {"W_a": own("W_a"), "b_a": own("b_a")}),
        ("T9", "Linear", {"W_a": IDENTITY, "b_a": [[[]]]}),
        ("T9", "T4+relu", {"W_a": own("W_a"), "b_a": own("b_a")}),
        ("x * relu(affine('W'))", "x * relu(-affine('W'))", {"W": own("W"), "b": own("b")}),
        ("x * silu(affine('W'))", "x * sigmoid(affine('W'))", {"W": own("W"), "b": own("b")}),
        (
            "x * relu(affine('W'))",
            "x * prelu(affine('W'))",
            {"W": own("W"), "b": own("b"), "slope": [[[["1", ["one"]]]]]},
        ),
    ],
)
def test_a_forged_map_is_rejected(first: str, second: str, map: Document) -> None:
    found = checked(_forged_map(first, second, map))
    assert found.status == "rejected"
    assert "⊆" in found.lines[0]


@pytest.mark.parametrize(
    "map",
    [
        {"W_a": [[[["1", ["no such", 1]]]]], "b_a": [[[]]]},
        {"W_a": [[[["1", ["parameter", "W_z"]]]]], "b_a": [[[]]]},
        {"W_a": [[[["1", ["parameter", "b_a"]]]]], "b_a": [[[]]]},
        {"W_a": [[[["1/0", ["identity", 1]]]]], "b_a": [[[]]]},
        {"W_a": [[[[1, ["identity", 1]]]]], "b_a": [[[]]]},
        {"W_a": [[[["1", ["identity", 0]]]]], "b_a": [[[]]]},
        {"W_a": [[[["1", ["identity", 10**30]]]]], "b_a": [[[]]]},
        {"W_a": [[[["1", ["compose", ["identity", 1]]]]]], "b_a": [[[]]]},
        {"W_a": [[[["1", ["apply", ["identity", 1], ["identity", 1]]]]]], "b_a": [[[]]]},
        {"W_a": [[[["1", ["rows", ["identity", 1], 5, 1]]]]], "b_a": [[[]]]},
        {"W_a": [[[["1", ["columns", ["identity", 1], 1]]]]], "b_a": [[[]]]},
        {"W_a": [[[]]] * 7, "b_a": [[[]]]},
        {"W_a": [[[]]]},
        {"W_a": [], "b_a": []},
        [],
        "W_a' = W_a",
    ],
    ids=lambda map: str(map)[:60],
)
def test_a_malformed_map_is_rejected(map: Any) -> None:
    assert checked(_forged_map("T22", "T9", map)).status == "rejected"


def germ(at: list[str], along: list[str] | None = None, *, far: bool = False) -> Document:
    """Of y_1 = x_1 x_2 + x_1, which it is everywhere."""
    return {"far": far, "at": at, "along": along, "outputs": {"0": [[[1, 0, 0, 0], "1"], [[1, 1, 0, 0], "1"]]}}


AT, ALONG, BACK, PLANE = (
    ["2", "3", "5", "7"],
    ["1", "0", "0", "0"],
    ["-1", "0", "0", "0"],
    ["-2", "1", "0", "0", "0"],
)
ONE, TWO = [germ(AT)], [germ(AT, ALONG), germ(AT, BACK)]


def equation(*terms: tuple[list[int], str], value: str = "0", gates: str = "free", output: int = 0) -> Document:
    return {"output": output, "terms": [list(term) for term in terms], "value": value, "gates": gates}


FORMS = [[0, [int(i == j) for i in range(4)]] for j in range(4)]


@pytest.mark.parametrize(
    ("rule", "data", "germs"),
    [
        ("coefficients", equation(([1, 1, 0, 0], "1")), ONE),
        ("coefficients", equation(([1, 0, 0, 0], "1")), [germ(AT, far=True)]),
        ("coefficients", equation(([0, 0, 0, 0], "1"), value="1"), ONE),
        ("coefficients", equation(([1, 0, 0, 0], "1"), value="2"), ONE),
        ("coefficients", equation(([1, 0, 0, 0], "1"), ([1, 1, 0, 0], "-1"), value="1"), ONE),
        ("coefficients", equation(([1, 1, 0, 0], "1"), gates="constant"), ONE),
        ("coefficients", equation(([1, 1, 0, 0], "1"), gates="any"), ONE),
        ("coefficients", equation(([1, 1, 0, 0], "1"), output=1), ONE),
        ("coefficients", equation(([1, 1, 0, 0], "1")), []),
        ("rank", {"rows": FORMS, "columns": [m for _, m in FORMS], "form": [0] * 4, "bound": 1, "rank": 2}, ONE),
        ("rank", {"rows": FORMS, "columns": [m for _, m in FORMS], "form": [0] * 4, "bound": 2, "rank": 2}, ONE),
        ("rank", {"rows": [[0, [0] * 4]], "columns": [[1, 1, 0, 0]], "form": None, "bound": 0, "rank": 1}, ONE),
        ("hyperplanes", {"output": 0, "limit": 0, "hyperplanes": [PLANE]}, TWO),
        ("hyperplanes", {"output": None, "limit": 0, "hyperplanes": [PLANE]}, TWO),
        ("sides", {"output": 0, "hyperplanes": [PLANE]}, TWO),
        (
            "no polynomial",
            {"output": 0, "degree": 2, "direction": AT, "around": AT, "value": "2", "reason": "pieces"},
            [],
        ),
        (
            "no polynomial",
            {"output": 0, "degree": 2, "direction": AT, "around": AT, "value": "2", "reason": "rate"},
            [],
        ),
        (
            "sign",
            {"output": 0, "side": 1, "shift": 0, "limit": "0", "upper": True, "point": ["1"] * 4, "value": "2"},
            [],
        ),
        ("smoothness", {"output": 0, "derivative": 1, "jump": "1"}, TWO),
        ("smoothness", {"output": 0, "derivative": 1, "jump": "0"}, TWO),
        ("dimension", {"dim": 4, "source": 41, "target": 20}, None),
        ("equations", {"equations": [[0, [1, 0, 0, 0]]]}, ONE),
        ("output width", {"source": "1", "target": "1"}, None),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_a_forged_separation_of_contained_formats_is_rejected(rule: str, data: Document, germs: Any) -> None:
    """T9 is contained in T5, so no rule of any kind separates it."""
    document = certificate("T9", "T5")
    witness = None if germs is None else {"dim": 4, "entries": [["W_a", [0, 1], "1"]], "germs": germs}
    forged = {"verdict": "not contained", "rule": rule, "data": data, "witness": witness}
    found = checked(sealed(document | {"forward": forged, "kind": "incomparable"}))
    assert found.status == "rejected" or (rule == "sign" and found.status == "not checked"), found.lines
    assert ": T9 ⊄ T5: " in (found.lines[0] if found.status == "rejected" else found.lines[-1])


@pytest.mark.parametrize(("source", "target", "entries"), [("T9", "T5", [["W_a", [0, 1], "1"]])])
def test_the_forged_witness_is_a_function_of_its_format(source: str, target: str, entries: list[Any]) -> None:
    """So that the test above fails for the rules and not for the function that is stated."""
    from qnn_theory.checking.functions import Witness

    data = {"dim": 4, "entries": entries, "germs": [*ONE, *TWO, germ(AT, far=True)]}
    Witness(qt.get_format(source).expr, qt.get_format(target).expr, data)


def test_dimensions_are_checked() -> None:
    """No registered pair needs this rule; the certificate is written by hand."""
    sizes = [effective_dimension(id, dim=4).dimension for id in ("T5", "T4")]
    document = certificate("T5", "T4")
    data = {"dim": 4, "source": sizes[0], "target": sizes[1]}
    forward = {"verdict": "not contained", "rule": "dimension", "data": data, "witness": None}
    assert checked(sealed(document | {"forward": forward})).status == "accepted"
    for key in data:
        wrong = forward | {"data": data | {key: data[key] + 1}}
        assert checked(sealed(document | {"forward": wrong})).status == "rejected"


def test_an_unknown_rule_is_not_checked() -> None:
    document = certificate("T5", "T9")
    forward = document["forward"] | {"rule": "growth", "data": {"along": ["1"]}}
    found = checked(sealed(document | {"forward": forward}))
    assert found.status == "not checked"
    assert any(line.startswith("not checked: T5 ⊄ T9: the rule 'growth'") for line in found.lines)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON text"),
        ("{", "no JSON text"),
        ("[]", "no mapping"),
        ("3", "no mapping"),
        ("NaN", "numbers are whole"),
        ('{"a": 1, "a": 2}', "a key stands twice"),
        ('{"a": 1.5}', "numbers are whole"),
        ("[" * 100_000, "no JSON text"),
        ("9" * 10_000, ""),
        (b"\xff\xfe", "no JSON text"),
        ("{}", "missing"),
        (" " * 6_000_000, "at most"),
    ],
    ids=lambda part: str(part)[:20],
)
def test_files_that_are_no_certificates(text: str | bytes, reason: str) -> None:
    found = check_text(text)
    assert found.status == "rejected"
    assert reason in found.lines[0]


@pytest.mark.parametrize(
    "formula",
    [
        "",
        "x *",
        "__import__('os')",
        "affine('W') + affine('W', width=2)",
        "x ** 101",
        "x ** 100 * affine('W') ** 100",
        "y",
        "(" * 500,
        "relu(" * 40 + "x" + ")" * 40,
        "affine('W', affine('V', width=1/997))",
        "affine('W', width=1000)",
    ],
)
def test_hostile_formulas_are_not_accepted(formula: str) -> None:
    document = certificate("T9", "T5")
    changed = sealed(document | {"first": {"name": formula, "formula": formula}})
    assert checked(changed).status != "accepted"


def test_time_that_is_over_accepts_nothing() -> None:
    found = check(certificate("T9", "T5"), formula_of=formula_of, seconds=0)
    assert found.status == "not checked"
    assert all("longer than the time" in line for line in found.lines)


def test_names_stand_for_their_formulas() -> None:
    document = certificate("T9", "T5")
    for name in ("T8", "T99", "", "x"):
        changed = sealed(document | {"first": document["first"] | {"name": name}})
        assert checked(changed).status == "rejected"
    formula = sealed(document | {"first": document["first"] | {"name": document["first"]["formula"]}})
    assert checked(formula).status == "accepted"


@pytest.mark.parametrize(
    ("first", "second"), [("T9", "T5"), ("T19", "T9"), ("T13", "T14"), ("T10", "T7"), ("T24", "T4")]
)
def test_swapped_formats_are_rejected(first: str, second: str) -> None:
    document = certificate(first, second)
    swapped = document | {"first": document["second"], "second": document["first"]}
    assert checked(sealed(swapped)).status == "rejected"
    swapped = document | {"forward": document["backward"], "backward": document["forward"]}
    assert checked(sealed(swapped)).status == "rejected"
