"""Whatever a user's file can be: it is read right, or an error of rule, value and remedy names file and line."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.reading.rows import read_rows
from qnn_models.data.registry import get_schema, prepare

ROWS = 60
GOOD = "y,a,b\n" + "".join(f"{n // 2 % 2},u{n % 7},v{n % 3}\n" for n in range(ROWS))
SCHEMA = """
name = "t"
[label]
column = "y"
[[field]]
names = ["a", "b"]
[[source]]
format = "csv"
table = "t.csv"
"""
FRAME = pl.read_csv(GOOD.encode())


def prepared(folder: Path, schema: str | bytes = SCHEMA, **options: bool) -> EncodedDataset:
    path = folder / "t.toml"
    path.write_bytes(schema if isinstance(schema, bytes) else schema.encode())
    return prepare(path, cache_dir=folder / "cache", progress=False, **options)  # type: ignore[arg-type]


def a_folder(path: Path) -> None:
    path.mkdir()


def text(content: str | bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode())


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


NO_UTF8 = r"t\.csv:1: text must be UTF-8, however: "
CSV: dict[str, tuple[Callable[[Path], object], str]] = {
    "utf-16": (
        text(GOOD.encode("utf-16")),
        r"t\.csv: text must be UTF-8, however: it begins as UTF-16 does; convert it",
    ),
    "utf-32": (text(GOOD.encode("utf-32")), r"begins as UTF-32 does; convert it \(iconv"),
    "utf-16 without a mark": (text(GOOD.encode("utf-16-le")), NO_UTF8 + "this line holds a NUL byte; convert"),
    "latin-1": (
        text(GOOD.replace("u1", "ü").encode("latin-1")),
        r"t\.csv:3: text must be UTF-8, however: this line is not",
    ),
    "latin-1 header": (text("y,ä,b\n".encode("latin-1")), NO_UTF8 + "byte 2 is none of it"),
    "surrogate": (text(GOOD.encode() + b"1,\xed\xa0\x80,v\n"), rf"t\.csv:{ROWS + 2}: text must be UTF-8"),
    "gzip cut off": (
        text(gzip.compress(GOOD.encode())[:-20]),
        r"t\.csv must be sound compressed text, however: Compressed file",
    ),
    "gzip damaged": (text(gzip.compress(GOOD.encode())[:40] + b"x" * 60), r"t\.csv must be sound compressed text"),
    "bzip2 cut off": (text(bz2.compress(GOOD.encode())[:-20]), r"t\.csv must be sound compressed text"),
    "bzip2 damaged": (text(b"BZh9" + b"x" * 50), r"t\.csv must be sound compressed text"),
    "xz cut off": (text(lzma.compress(GOOD.encode())[:-20]), r"t\.csv must be sound compressed text"),
    "zstd cut off": (text(zstd(GOOD.encode())[:-20]), r"t\.csv must be sound compressed text"),
    "parquet": (lambda path: FRAME.write_parquet(path), r'begins as Parquet does; .* format = "parquet"'),
    "empty": (text(""), r"t\.csv: the first line names the columns, however: the file is empty"),
    "an empty line": (text("\n"), r"t\.csv:1: the first line names the columns, however: it is empty"),
    "header only": (text("y,a,b\n"), r"t has none for train, valid, test: its rows are 0 of t\.csv; give more rows"),
    "a folder": (a_folder, r"read from a file, however: .*t\.csv is a folder"),
    "absent": (lambda path: None, r"t is read from these files: t\.csv; however: .* has no such set"),
    "a dangling link": (lambda path: path.symlink_to("gone"), r"read from a file, however: .*t\.csv is none"),
    "a NUL byte": (text(GOOD.replace("u3", "u\0", 1)), r"t\.csv:5: .* holds a NUL byte"),
    "a NUL byte late": (text(GOOD + "1,\0,v\n"), rf"t\.csv:{ROWS + 2}: .* holds a NUL byte"),
    "random bytes": (text(random.Random(0).randbytes(5000)), r"t\.csv:1: text must be UTF-8"),
    "one long line": (text("x" * 2**21), r"t\.csv:1: .* no line ends in its first MiB"),
    "a long name": (text("y,a," + "b" * 200_000 + "\n"), r"t\.csv:1: .* field larger than field limit"),
    "an open quote in the header": (
        text(GOOD.replace("b\n", '"b\n', 1)),
        r"t\.csv:1: the first line names the columns",
    ),
    "old line ends": (text(GOOD.replace("\n", "\r")), r"t\.csv:1: lines must end in"),
    "another separator": (text(GOOD.replace(",", ";")), r"'y' must be there; it has: y;a;b"),
    "many columns": (
        text(",".join(f"c{n}" for n in range(10_000)) + "\n"),
        r"'y' must be there; it has: c0, .*\.\.\.$",
    ),
    "label nan": (text(GOOD + "nan,u,v\n"), rf"t\.csv:{ROWS + 2}: a label must be 0 or 1"),
    "label 0 alone": (
        text(GOOD.replace("\n1", "\n0")),
        r"both labels, however: the 48 train rows of t all have label 0",
    ),
    "label 1 alone": (
        text(GOOD.replace("\n0", "\n1")),
        r"both labels, however: the 48 train rows of t all have label 1",
    ),
}


@pytest.mark.parametrize(("write", "message"), CSV.values(), ids=CSV)
def test_csv_that_cannot_be_read(tmp_path: Path, write: Callable[[Path], object], message: str) -> None:
    write(tmp_path / "t.csv")
    with pytest.raises(ValueError, match=message) as error:
        prepared(tmp_path)
    assert type(error.value) is ValueError  # our own, not UnicodeDecodeError or the like
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 700
    assert not list((tmp_path / "cache").rglob("*.parquet"))


SAME = {
    "as it is": GOOD,
    "windows": GOOD.replace("\n", "\r\n"),
    "a mark": "\ufeff" + GOOD,
    "no last line end": GOOD.rstrip("\n"),
    "empty lines at the end": GOOD + "\n\n",
    "quoted names": GOOD.replace("y,a,b", '"y","a","b"'),
    "other case": GOOD.replace("y,a,b", "Y,A,B"),
    "labels as floats": GOOD.replace("\n1", "\n1.0"),
    "further columns": "".join(f"{line},more\n" for line in GOOD.splitlines()),
}


@pytest.mark.parametrize("content", SAME.values(), ids=SAME)
def test_csv_that_says_the_same(tmp_path: Path, content: str) -> None:
    (tmp_path / "t.csv").write_bytes(content.encode())
    dataset = prepared(tmp_path)
    assert dataset.content_hash == "fafd52ca5fa1" + dataset.content_hash[12:]


@pytest.mark.parametrize("split", ["train", "valid", "test"])
@pytest.mark.parametrize("label", [0, 1])
def test_a_split_of_one_label_is_named(tmp_path: Path, split: str, label: int) -> None:
    for name in ("train", "valid", "test"):
        lines = [f"{label if name == split else n % 2},u,v" for n in range(10)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["y,a,b", *lines]) + "\n")
    schema = SCHEMA.replace('table = "t.csv"', 'train = "train.csv"\nvalid = "valid.csv"\ntest = "test.csv"')
    with pytest.raises(ValueError, match=rf"both labels, however: the 10 {split} rows of t all have label {label};"):
        prepared(tmp_path, schema)


PARQUET: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (text(GOOD), "must be a sound Parquet file, however: Parquet magic bytes"),
    "empty": (text(""), "must be a sound Parquet file, however: Parquet file size is 0"),
    "cut": (lambda path: (FRAME.write_parquet(path), os.truncate(path, 900)), "must be a sound Parquet file"),
    "no rows": (lambda path: FRAME.head(0).write_parquet(path), r"its rows are 0 of t\.parquet"),
    "a struct": (
        lambda path: FRAME.with_columns(a=pl.struct("b")).write_parquet(path),
        r"texts, numbers or .* a is of type Struct",
    ),
    "bytes": (
        lambda path: FRAME.with_columns(a=pl.lit(b"\xff")).write_parquet(path),
        r"texts, numbers or .* a is of type Binary",
    ),
    "no label": (
        lambda path: FRAME.with_columns(y=None).write_parquet(path),
        r"t\.parquet:1: a label must be 0 or 1, however: y=None",
    ),
    "lacking": (
        lambda path: FRAME.drop("b").write_parquet(path),
        r"t\.parquet: a column of the schema is missing, however: 'b'",
    ),
}


@pytest.mark.parametrize(("write", "message"), PARQUET.values(), ids=PARQUET)
def test_parquet_that_cannot_be_read(tmp_path: Path, write: Callable[[Path], object], message: str) -> None:
    write(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=message) as error:
        prepared(tmp_path, SCHEMA.replace('"csv"', '"parquet"').replace("t.csv", "t.parquet"))
    assert type(error.value) is ValueError
    assert "t.parquet" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_field_may_have_any_name(tmp_path: Path) -> None:
    """Columns of our own making never take the place of a field's."""
    names = ["__count__", "token", "count", "index", "literal", "0", "a\tb", "é", "label", "rows"]
    header = ",".join(["y", *names])
    lines = [",".join([str(n // 2 % 2), *(f"{name[0]}{n % 3}" for name in names)]) for n in range(ROWS)]
    (tmp_path / "t.csv").write_text("\n".join([header, *lines]) + "\n")
    quoted = ", ".join(f'"{name}"'.replace("\t", "\\t") for name in names)
    dataset = prepared(tmp_path, SCHEMA.replace('"a", "b"', quoted))
    decoded = dataset.encoder.decode(dataset.split("test").ids)
    assert decoded.columns == names
    for name in names:
        assert set(decoded[name]) <= {f"{name[0]}{n}" for n in range(3)}


def with_field(lines: str) -> str:
    return SCHEMA.replace('names = ["a", "b"]', lines)


DEEP = 20_000  # levels
SCHEMAS: dict[str, tuple[str | bytes, str]] = {
    "binary": (b"\xff\x00\x01", "must be TOML in UTF-8, however: byte 0"),
    "utf-16": (SCHEMA.encode("utf-16"), "must be TOML in UTF-8"),
    "gzip": (gzip.compress(SCHEMA.encode()), "must be TOML in UTF-8"),
    "large": (SCHEMA + "#" * 2**20, r"at most 1048576 bytes, however: .*t\.toml is larger; is it the data"),
    "empty": ("", r"no \[\[source\]\]; add one"),
    "deep": (SCHEMA + "x = " + "[" * DEEP + "]" * DEEP, "nested too deeply"),
    "deep keys": (SCHEMA.replace("column", ".".join(["column"] * 2000)), "nested too deeply"),
    "evil": (SCHEMA.replace('"t"', '"../../evil"'), r"name of a data set .* however: '\.\./\.\./evil'; rename it"),
    "absolute": (SCHEMA.replace('"t"', '"/tmp/evil"'), r"name of a data set .* however: '/tmp/evil'"),
    "no name": (SCHEMA.replace('"t"', '""'), "name of a data set .* however: ''"),
    "names as text": (with_field('names = "ab"'), r"field\[0\]: names must be an array of texts, however: names='ab'"),
    "names as number": (with_field("names = 3"), "names must be an array"),
    "label as text": (
        SCHEMA.replace('[label]\ncolumn = "y"', 'label = "y"'),
        "the label is a table, however: label = 'y'; write",
    ),
    "label twice": (SCHEMA.replace("[label]", "[[label]]"), "label must be a table"),
    "fields": ("fields = []\n" + SCHEMA, "keys must be known, however: 'fields'; did you mean field"),
    "format": (SCHEMA.replace('"csv"', '"cvs"'), "a format must be known, however: format='cvs'; did you mean csv"),
    "files too many": (
        SCHEMA + 'extra = ["t.csv"]',
        r"csv takes 0 files beside the table, however: extra=\('t\.csv',\)",
    ),
    "files too few": (SCHEMA.replace('"csv"', '"ml-100k-recbole"'), "takes 2 files beside the table"),
    "separator line end": (SCHEMA + r'separator = "\n"', "neither ends a line nor quotes"),
    "separator quote": (SCHEMA + "separator = '\"'", "neither ends a line nor quotes"),
    "a file of no name": (SCHEMA.replace('"t.csv"', r'"\u0000"'), "files have names"),
    "a file of a long name": (SCHEMA.replace('"t.csv"', f'"{"x" * 5000}"'), "is read from these files"),
    "a great number": (with_field('name = "a"\nmin_count = 99999999999999999999'), "min_count must be within"),
    "a long sequence": (
        with_field('name = "a"\nkind = "sequence"\nseparator = "|"\nmax_length = 1000000000'),
        "max_length must be 1 to 10000",
    ),
    "edges of nan": (
        with_field('name = "a"\nkind = "numeric"\nbucket = "edges"\nedges = [nan, 1.0]'),
        "ascending numbers",
    ),
    "our own column": (with_field('name = "__label__"'), "every stored column has a name of its own"),
    "columns of a sequence": (
        with_field('name = "a.0"\n[[field]]\nname = "a"\nkind = "sequence"\nseparator = "|"\nmax_length = 2'),
        r"'a\.0' is there twice",
    ),
    "the label as a field": (
        with_field('name = "q"\naliases = ["y"]'),
        "'y' would be 'y' and 'q'; mend names and aliases",
    ),
    "one column for two fields": (with_field('names = ["q", "r"]\naliases = ["a"]'), "'a' would be 'q' and 'r'"),
}


@pytest.mark.parametrize(("schema", "message"), SCHEMAS.values(), ids=SCHEMAS)
def test_schemas_that_cannot_be_used(tmp_path: Path, schema: str | bytes, message: str) -> None:
    (tmp_path / "t.csv").write_text(GOOD)
    with pytest.raises(ValueError, match=message) as error:
        prepared(tmp_path, schema)
    assert type(error.value) is ValueError
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["t.csv", "t.toml"]


def test_a_schema_that_is_a_folder_or_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s.toml").mkdir()
    with pytest.raises(ValueError, match=r"must be a file that can be read, however: .*s\.toml: Is a directory"):
        get_schema(tmp_path / "s.toml")

    def refuse(path: Path, *_: object) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ValueError, match=r"must be a file that can be read, however: .*t\.toml: Permission denied"):
        get_schema(tmp_path / "t.toml")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
@pytest.mark.parametrize(
    "write", [text(gzip.compress(b"a")), text(b"\xff\xfea\0"), text(b""), text(b"\0"), a_folder, lambda path: None]
)
def test_rows_to_predict_on_are_read_as_carefully(tmp_path: Path, suffix: str, write: Callable[[Path], object]) -> None:
    (tmp_path / "t.csv").write_text(GOOD)
    schema = prepared(tmp_path).encoder.schema
    path = tmp_path / f"new{suffix}"
    write(path)
    with pytest.raises(ValueError, match=rf"new\{suffix}") as error:
        list(read_rows(path, schema=schema))
    assert type(error.value) is ValueError


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstd], ids=["gz", "bz2", "xz", "zst"])
def test_compressed_text_is_text(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    (tmp_path / "t.csv").write_bytes(GOOD.encode())
    plain = prepared(tmp_path)
    (tmp_path / "t.csv").write_bytes(compress(GOOD.encode()))
    assert prepared(tmp_path, force=True).content_hash == plain.content_hash


def test_a_pattern_names_files_in_order(tmp_path: Path) -> None:
    header, *lines = GOOD.splitlines(keepends=True)
    (tmp_path / "t.csv").write_text(GOOD)
    whole = prepared(tmp_path)
    (tmp_path / "day-02.csv.gz").write_bytes(gzip.compress((header + "".join(lines[25:])).encode()))
    (tmp_path / "day-01.csv").write_text(header + "".join(lines[:25]))
    (tmp_path / "day-03").mkdir()
    schema = SCHEMA.replace('"t.csv"', '"day-*"')
    assert prepared(tmp_path, schema).content_hash == whole.content_hash
    (tmp_path / "day-04.csv").write_text(header + "1,u1,v1\n")
    assert sum(prepared(tmp_path, schema).num_rows(split) for split in ("train", "valid", "test")) == ROWS + 1
    with pytest.raises(ValueError, match=r"read from these files: month-\*; however: .* has no such set"):
        prepared(tmp_path, SCHEMA.replace('"t.csv"', '"month-*"'))
