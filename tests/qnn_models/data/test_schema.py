"""Schemas: strict TOML, and a rule for every field."""

from __future__ import annotations

import csv
from importlib import resources
from pathlib import Path

import pytest

from qnn_models.data.registry import dataset_names, describe, get_schema
from qnn_models.data.schema import Field, Label, Schema, Source
from qnn_models.data.schema_toml import load_schema

GOOD = """
name = "shop"
ratios = [6, 2, 2]
[label]
column = "bought"
[[field]]
names = ["user", "item"]
min_count = 3
[[field]]
name = "price"
kind = "numeric"
[[field]]
name = "tags"
kind = "sequence"
max_length = 4
separator = "|"
[[source]]
format = "csv"
table = "shop.csv"
"""


def _load(tmp_path: Path, text: str) -> Schema:
    path = tmp_path / "shop.toml"
    path.write_text(text)
    return load_schema(path)


def test_toml_becomes_a_schema(tmp_path: Path) -> None:
    assert _load(tmp_path, GOOD) == Schema(
        name="shop",
        ratios=(6, 2, 2),
        label=Label(column="bought"),
        fields=(
            Field(name="user", min_count=3),
            Field(name="item", min_count=3),
            Field(name="price", kind="numeric"),
            Field(name="tags", kind="sequence", max_length=4, separator="|"),
        ),
        sources=(Source(format="csv", table="shop.csv"),),
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("min_count", "min_cuont", r"field\[0\].*min_cuont.*did you mean min_count"),
        ('column = "bought"', "", r"label.*'column' must be given"),
        ("max_length = 4", 'max_length = "4"', r"field\[2\].*max_length must be of type int.*'4'"),
        ("max_length = 4", "max_length = true", r"max_length must be of type int"),
        ('kind = "numeric"', 'kind = "number"', r"field\[1\].*kind must be one of categorical, numeric, sequence"),
        ("[6, 2, 2]", "[6, 2]", r"ratios must be of type"),
        ("[6, 2, 2]", "[6, 2, 0]", r"three positive integers.*\(6, 2, 0\)"),
        ('separator = "|"', "", r"needs a separator.*tags"),
        ('"item"', '"user"', r"distinct names.*user"),
        ('"item"', '"bought"', r"label must not be a field.*bought"),
        ("min_count = 3", "min_count = 0", r"at least 1.*min_count=0"),
        ('table = "shop.csv"', 'train = "a.csv"', r"source\[0\].*needs a test file"),
        ('[[source]]\nformat = "csv"\ntable = "shop.csv"', "", r"no \[\[source\]\]"),
        ("[label]", "[label", r"must be TOML"),
        ('bucket = "edges"', "", None),
    ],
)
def test_what_does_not_fit_is_named_with_file_and_key(tmp_path: Path, old: str, new: str, message: str | None) -> None:
    text = GOOD.replace(old, new, 1)
    if message is None:
        text = GOOD.replace('kind = "numeric"', 'kind = "numeric"\nbucket = "edges"\nedges = [3, 1]')
        message = "ascending"
    with pytest.raises(ValueError, match=message) as error:
        _load(tmp_path, text)
    assert "shop.toml" in str(error.value)


def test_what_has_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a file"):
        load_schema(tmp_path / "absent.toml")


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(KeyError, match="did you mean criteo"):
        get_schema("kriteo")


@pytest.mark.parametrize("name", [name for name in dataset_names() if name != "planted"])
def test_every_committed_schema_loads_under_its_own_name(name: str) -> None:
    schema = get_schema(name)
    assert schema.name == name
    assert schema.origin
    assert all(file in describe(name) for source in schema.sources for file in source.files)


PUBLISHED = {
    "criteo": "Criteo_x4_10_h5",
    "criteo-h5": "Criteo_x4_10_h5",
    "frappe": "Frappe_x1_h5",
    "kkbox": "KKBox_csv",
    "kkbox-h5": "KKBox_csv",
    "ml-1m": "ML_1M_7_x1",
    "tenrec": "Tenrec_x1",
    "ipinyou": "iPinYou_x1_csv",
    "ipinyou-published": "iPinYou_x1_csv",
}


@pytest.mark.parametrize(("name", "published"), PUBLISHED.items())
def test_fields_are_those_of_the_published_vocabularies(name: str, published: str) -> None:
    text = resources.files("qnn_theory").joinpath("published/vocabulary_sizes.csv").read_text()
    rows = [row for row in csv.DictReader(text.splitlines()) if row["dataset"] == published]
    fields = get_schema(name).fields
    assert {row["field"] for row in rows} == {field.name for field in fields}
    assert {row["field"] for row in rows if row["type"] == "sequence"} == {
        f.name for f in fields if f.kind == "sequence"
    }


def test_a_schema_fingerprint_follows_the_rules_not_the_prose(tmp_path: Path) -> None:
    schema = _load(tmp_path, GOOD)
    assert _load(tmp_path, 'description = "a shop"\n' + GOOD).fingerprint() == schema.fingerprint()
    assert _load(tmp_path, GOOD.replace("min_count = 3", "min_count = 2")).fingerprint() != schema.fingerprint()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("[[field]]", "[[fields]]"),
            r"each field is a table of its own, however: \[\[fields\]\] is there; write \[\[field\]\]",
        ),
        (("[label]\n", "[labels]\n"), "'labels'; did you mean label"),
    ],
)
def test_near_misses_say_what_was_meant(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    (tmp_path / "s.toml").write_text(GOOD.replace(*change))
    with pytest.raises(ValueError, match=message):
        load_schema(tmp_path / "s.toml")


def test_a_label_that_is_a_text_says_how_to_write_it(tmp_path: Path) -> None:
    lines = [
        'name = "t"',
        'label = "click"',
        "[[field]]",
        'name = "a"',
        "[[source]]",
        'format = "csv"',
        'table = "t.csv"',
    ]
    (tmp_path / "s.toml").write_text("\n".join(lines))
    with pytest.raises(
        ValueError, match=r"the label is a table, however: label = 'click'; write \[label\] and below it column"
    ):
        load_schema(tmp_path / "s.toml")
