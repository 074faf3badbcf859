"""JSON lines are the rows that they say, of whatever types, and what they cannot be is told with file and line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.registry import prepare

SCHEMA = """
name = "t"
[label]
column = "y"
[[field]]
name = "a"
missing = "own"
[[field]]
name = "tags"
kind = "sequence"
separator = "|"
max_length = 3
[[field]]
name = "price"
kind = "numeric"
[[source]]
format = "jsonl"
table = "t.jsonl"
"""
ROWS = [
    {"y": n % 2, "a": [7, 7.0, "7", True, None][n % 5], "tags": ["x", "y", n % 3][: n % 4], "price": n / 7, "other": {}}
    for n in range(60)
]


def prepared(folder: Path, text: str, *, compress: bool = False) -> EncodedDataset:
    (folder / "t.jsonl").write_bytes(gzip.compress(text.encode()) if compress else text.encode())
    (folder / "t.toml").write_text(SCHEMA)
    return prepare(folder / "t.toml", cache_dir=folder / "cache", progress=False, force=True)


@pytest.mark.parametrize("compress", [False, True])
def test_rows_are_read_whatever_their_types(tmp_path: Path, compress: bool) -> None:
    dataset = prepared(tmp_path, "\n".join(map(json.dumps, ROWS)) + "\n\n", compress=compress)
    assert sum(dataset.num_rows(split) for split in ("train", "valid", "test")) == 60
    known = [set(tokens.to_list()) for tokens in dataset.encoder.vocabularies[:2]]
    assert known == [{"7", "true", ""}, {"x", "y", "0", "1", "2"}]


def test_a_key_may_be_absent_from_some_lines(tmp_path: Path) -> None:
    lines = [{key: value for key, value in row.items() if value is not None} for row in ROWS]
    assert set(prepared(tmp_path, "\n".join(map(json.dumps, lines))).encoder.vocabularies[0]) == {"7", "true", ""}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{'y': 1}", r"t\.jsonl:3: a line must be a JSON object, however: Expecting property name"),
        ("[1, 2]", r"t\.jsonl:3: a line must be a JSON object, however: \[1, 2\]"),
        ("", r"t\.jsonl:3: a line must be a JSON object"),
        ('{"y": 1, "a": {"b": 1}}', r"t\.jsonl:3: .*however: a holds an object"),
        ('{"y": 1, "price": "cheap"}', r"t\.jsonl:3: a numeric field must hold a finite number.*price='cheap'"),
        ('{"y": 2}', r"t\.jsonl:3: a label must be 0 or 1, however: y='2'"),
        ("[" * 100_000, r"t\.jsonl:3: a line must be a JSON object"),
    ],
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str, message: str) -> None:
    lines = [*map(json.dumps, ROWS)]
    with pytest.raises(ValueError, match=message):
        prepared(tmp_path, "\n".join([*lines[:2], line, *lines[2:]]))


def test_a_key_that_no_line_has_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a column of the schema is missing, however: 'price' must be there"):
        prepared(tmp_path, "\n".join(json.dumps({k: v for k, v in row.items() if k != "price"}) for row in ROWS))
