"""Files as people have them, each of its own kind: the schema that is proposed prepares them as it is, and is right."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from qnn_models.data.proposing.propose import propose, schema_text
from qnn_models.data.registry import prepare
from qnn_models.data.schema import Schema
from qnn_models.data.schema_toml import load_schema

ROWS = 3_000
R = np.random.default_rng(0)
USERS = R.zipf(1.4, ROWS) % 500
PRICE = np.round(R.lognormal(1.0, 1.0, ROWS), 2)
RATIO = R.random(ROWS)
TAGS = [
    "|".join(R.choice(["sport", "news", "film", "music", "art"], R.integers(1, 4), replace=False)) for _ in range(ROWS)
]
EFFECT = R.normal(size=500)[USERS] + 2 * (RATIO - 0.5) + np.array(["sport" in tags for tags in TAGS])
CLICK = (R.random(ROWS) < 1 / (1 + np.exp(-EFFECT))).astype(int)
DAY = np.sort(R.integers(0, 86400 * 30, ROWS))
ISO = [f"2024-01-{1 + s // 86400:02d} {s % 86400 // 3600:02d}:{s % 3600 // 60:02d}:{s % 60:02d}" for s in DAY]


def frame(**more: Any) -> pl.DataFrame:
    return pl.DataFrame({"click": CLICK, "user_id": USERS, "price": PRICE, "ratio": RATIO, "tags": TAGS, **more})


def text(table: pl.DataFrame, **options: Any) -> str:
    return table.write_csv(**options)


def kinds(schema: Schema) -> dict[str, str]:
    return {one.name: one.kind for one in schema.fields}


EXPECTED = {"user_id": "categorical", "price": "numeric", "ratio": "numeric", "tags": "sequence"}


def tried(folder: Path, files: dict[str, bytes], **options: Any) -> Schema:
    """The schema proposed for some files, after they were prepared by it as it is written."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    proposal = propose([folder / name for name in files], **options)
    path = folder / "my.toml"
    path.write_text(schema_text(proposal), encoding="utf-8")
    dataset = prepare(path, cache_dir=folder / "cache", progress=False)
    assert load_schema(path) == proposal.schema
    assert dataset.layout.num_fields == len(proposal.schema.fields)
    assert set(proposal.reasons) == set(kinds(proposal.schema))
    return proposal.schema


KINDS: dict[str, tuple[Callable[[], bytes], str]] = {
    "plain": (lambda: text(frame()).encode(), "t.csv"),
    "gz": (lambda: gzip.compress(text(frame()).encode()), "t.csv.gz"),
    "bz2": (lambda: bz2.compress(text(frame()).encode()), "t.csv.bz2"),
    "tsv": (lambda: text(frame(), separator="\t").encode(), "t.tsv"),
    "semicolons": (lambda: text(frame(), separator=";").encode(), "t.csv"),
    "quoted separators": (
        lambda: text(frame(title=[f"a, {u % 40}" for u in USERS]), quote_style="always").encode(),
        "t.csv",
    ),
    "decimal commas": (
        lambda: text(
            frame().with_columns(pl.col("price", "ratio").cast(pl.String).str.replace(".", ",", literal=True)),
            separator=";",
        ).encode(),
        "t.csv",
    ),
    "dates": (lambda: text(frame(when=ISO)).encode(), "t.csv"),
    "Booleans": (lambda: text(frame().with_columns(pl.col("click") == 1)).encode(), "t.csv"),
    "Booleans of Python": (
        lambda: text(frame().with_columns(pl.Series("click", [str(c == 1) for c in CLICK]))).encode(),
        "t.csv",
    ),
    "one per cent missing": (
        lambda: text(
            frame().with_columns(pl.when(pl.Series(R.random(ROWS) > 0.01)).then(pl.all().exclude("click")).name.keep())
        ).encode(),
        "t.csv",
    ),
    "NA": (
        lambda: text(
            frame().with_columns(pl.when(pl.Series(R.random(ROWS) > 0.01)).then(pl.all().exclude("click")).name.keep()),
            null_value="NA",
        ).encode(),
        "t.csv",
    ),
    "pandas with a missing id": (
        lambda: text(
            frame().with_columns(pl.when(pl.Series(R.random(ROWS) > 0.01)).then(pl.col("user_id").cast(pl.Float64)))
        ).encode(),
        "t.csv",
    ),
    "an id of every row": (lambda: text(frame(request=[f"r{n:08x}" for n in range(ROWS)])).encode(), "t.csv"),
    "a row number": (lambda: text(frame().with_row_index("index")).encode(), "t.csv"),
    "a constant": (lambda: text(frame(site="x")).encode(), "t.csv"),
    "a leak": (lambda: text(frame(click_time=np.where(CLICK == 1, R.random(ROWS), -1.0))).encode(), "t.csv"),
    "Windows line ends and a mark of UTF-8": (
        lambda: b"\xef\xbb\xbf" + text(frame()).replace("\n", "\r\n").encode(),
        "t.csv",
    ),
    "JSON lines": (lambda: "\n".join(map(json.dumps, frame().to_dicts())).encode(), "t.jsonl"),
    "umlauts": (lambda: text(frame(größe=[["klein", "groß"][u % 2] for u in USERS])).encode(), "t.csv"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_ones_own_is_prepared_by_what_is_proposed(tmp_path: Path, kind: str) -> None:
    content, name = KINDS[kind]
    schema = tried(tmp_path, {name: content()})
    found = kinds(schema)
    also = {"quoted separators": {"title": "categorical"}, "umlauts": {"größe": "categorical"}}.get(kind, {})
    assert found == {**EXPECTED, **also}
    assert schema.label.column == "click"
    assert schema.split_by == ("when" if kind == "dates" else "")


def test_parquet_with_types_of_its_own(tmp_path: Path) -> None:
    table = frame(tag_list=[tags.split("|") for tags in TAGS]).with_columns(pl.col("click").cast(pl.Boolean))
    sink = io.BytesIO()
    table.drop("tags").write_parquet(sink)
    found = kinds(tried(tmp_path, {"t.parquet": sink.getvalue()}))
    assert found == {"user_id": "categorical", "price": "numeric", "ratio": "numeric", "tag_list": "sequence"}


def test_rare_clicks(tmp_path: Path) -> None:
    rows = 20_000
    click = np.zeros(rows, dtype=int)
    click[:: rows // 40] = 1
    table = pl.DataFrame({"click": click, "item": R.integers(0, 50, rows), "noise": R.random(rows)})
    assert kinds(tried(tmp_path, {"t.csv": text(table).encode()})) == {"item": "numeric", "noise": "numeric"}


def test_files_of_several_days_and_files_named_for_their_splits(tmp_path: Path) -> None:
    lines = text(frame()).splitlines(keepends=True)
    days = {f"day-{n}.csv": "".join([lines[0], *lines[1 + n :: 3]]).encode() for n in range(3)}
    (tmp_path / "a").mkdir()
    assert tried(tmp_path / "a", days).sources[0].table == "day-*.csv"
    (tmp_path / "b").mkdir()
    splits = dict(zip(("train.csv", "valid.csv", "test.csv"), days.values(), strict=True))
    assert tried(tmp_path / "b", splits).sources[0].parts == {name.removesuffix(".csv"): name for name in splits}
    (tmp_path / "b" / "my.toml").unlink()
    assert propose([tmp_path / "b"]).schema.sources[0].train == "train.csv"


def test_a_schema_may_lie_beside_other_folders(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "t.csv").write_text(text(frame()))
    proposal = propose([tmp_path / "data" / "t.csv"], folder=tmp_path)
    assert proposal.schema.sources[0].table == "data/t.csv"
    (tmp_path / "my.toml").write_text(schema_text(proposal), encoding="utf-8")
    assert prepare(tmp_path / "my.toml", cache_dir=tmp_path / "c", progress=False).num_rows("train") == ROWS * 8 // 10


def test_what_is_left_out_says_why(tmp_path: Path) -> None:
    table = frame(site="x", request=[f"r{n}" for n in range(ROWS)], paid=CLICK * 3 + 1, when=ISO)
    (tmp_path / "t.csv").write_text(text(table))
    left_out = propose([tmp_path / "t.csv"]).left_out
    assert "constant" in left_out["site"]
    assert "nearly every row has its own" in left_out["request"]
    assert "is it known before the label?" in left_out["paid"]
    assert "it orders the rows" in left_out["when"]


@pytest.mark.parametrize(
    ("labels", "name", "rule"),
    [
        (["no", "yes"], "label", {"positive": ("yes",)}),
        (["skip", "click"], "event", {"positive": ("click",)}),
        (["1", "2", "3", "4", "5"], "rating", {"positive_above": 3.0}),
        (["0.0", "1.0"], "y", {}),
        (["FALSE", "TRUE"], "is_click", {}),
        (["0", "1", ""], "clicked", {"drop_missing": True}),
    ],
)
def test_labels_of_many_kinds(tmp_path: Path, labels: list[str], name: str, rule: dict[str, Any]) -> None:
    column = [labels[n] for n in R.integers(0, len(labels), ROWS)]
    sink = io.StringIO()
    csv.writer(sink).writerows([[name, "user", "x"], *zip(column, USERS, RATIO, strict=True)])
    named = {} if name in ("label", "y", "is_click", "clicked") else {"label": name}
    found = tried(tmp_path, {"t.csv": sink.getvalue().encode()}, **named).label
    assert {key: getattr(found, key) for key in rule} == rule
    dataset = prepare(tmp_path / "my.toml", cache_dir=tmp_path / "cache", progress=False)
    total = sum(dataset.num_rows(split) for split in ("train", "valid", "test"))
    assert total == sum(text != "" for text in column)
    clicks = sum(int(dataset.split(split).labels.sum()) for split in ("train", "valid", "test"))
    wanted = {"yes", "click", "4", "5", "1.0", "TRUE"} | ({"1"} if name == "clicked" else set())
    assert clicks == sum(text in wanted for text in column)


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        (
            "t.csv",
            "a,b\n1,x\n2,y\n3,z\n",
            {},
            "one column is what is predicted, however: no column holds two values; name it",
        ),
        (
            "t.csv",
            "a,b\n1,x\n2,y\n1,x\n",
            {},
            "one column is what is predicted, however: a, b all hold two values; name it",
        ),
        (
            "t.csv",
            "y,b\n0,x\n1,y\n",
            {"label": "click"},
            "the label is a column of the file, however: 'click' is none",
        ),
        ("t.csv", "y,b\n", {}, "a schema is guessed from rows, however: .*t.csv has none"),
        ("t.csv", "y,b\n0,x\n1,x\n", {}, "a schema has fields, however: no column .* b: constant"),
        ("t.xlsx", "y,b\n", {}, r"a file's suffix says what it is .*however: t\.xlsx; rename it"),
        ("t.csv", "y,b\n0,x,z\n1,x\n", {}, r"t\.csv:2: a row must have 2 columns, however: this one has 3"),
    ],
)
def test_what_no_schema_can_be_guessed_from(
    tmp_path: Path, name: str, content: str, options: dict[str, Any], message: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        propose([tmp_path / name], **options)
