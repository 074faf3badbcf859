"""Preparing: splits, sources, caching, and errors that name file and line and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.encoding.splits import split_sizes
from qnn_models.data.registry import get_schema
from qnn_models.data.registry import prepare as prepare_dataset
from tests.qnn_models.data_files import CRITEO_COLUMNS, criteo_rows, write_criteo_raw, write_split_csv

SPLITS = ("train", "valid", "test")


def _prepare(name: str | Path, source: Path, cache: Path, **options: object) -> EncodedDataset:
    return prepare_dataset(name, source=source, cache_dir=cache, progress=False, **options)  # type: ignore[arg-type]


def _schema(folder: Path, **changes: str) -> Path:
    parts = {
        "split": "",
        "label": '[label]\ncolumn = "y"',
        "fields": '[[field]]\nnames = ["a", "b"]',
        "source": '[[source]]\nformat = "csv"\ntable = "t.csv"',
        **changes,
    }
    path = folder / "t.toml"
    path.write_text('name = "t"\n' + "\n".join(parts.values()) + "\n")
    return path


def _table(folder: Path, rows: int = 40) -> Path:
    lines = ["y,a,b", *(f"{n % 2},u{n},v{n % 3}" for n in range(rows))]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return folder / "t.csv"


@given(st.integers(0, 10**9), st.lists(st.integers(1, 20), min_size=2, max_size=3))
def test_split_sizes_are_exact(rows: int, ratios: list[int]) -> None:
    sizes = split_sizes(rows, ratios)
    assert sum(sizes) == rows
    assert all(abs(size * sum(ratios) - rows * ratio) < sum(ratios) for size, ratio in zip(sizes, ratios, strict=True))


def test_criteo_split_sizes_are_the_published_ones() -> None:
    assert split_sizes(45_840_617, (8, 1, 1)) == [36_672_493, 4_584_062, 4_584_062]


def test_criteo_raw_follows_the_rules(tmp_path: Path) -> None:
    rows = criteo_rows(400)
    dataset = _prepare("criteo", write_criteo_raw(tmp_path / "raw", rows), tmp_path)
    assert [dataset.num_rows(split) for split in SPLITS] == [320, 40, 40]
    decoded = [
        (int(label), *tokens)
        for split in SPLITS
        for label, tokens in zip(
            dataset.split(split).labels, dataset.encoder.decode(dataset.split(split).ids).rows(), strict=True
        )
    ]
    buckets = {"": "", "0": "0", "1": "1", "2": "2", "3": "1", "7": "3", "-1": "-1", "150": "25", "20000": "98"}
    expected = [(int(row[0]), *(buckets[n] for n in row[1:14]), *(token or None for token in row[14:])) for row in rows]
    assert sorted(decoded, key=repr) == sorted(expected, key=repr)


def test_given_splits_stay_as_they_are(tmp_path: Path) -> None:
    rows = criteo_rows(60)
    header = ["Label", *CRITEO_COLUMNS[1:]]
    dataset = _prepare("criteo", write_split_csv(tmp_path / "csv", header, rows, sizes=(40, 12, 8)), tmp_path)
    for split, some in zip(SPLITS, (rows[:40], rows[40:52], rows[52:]), strict=True):
        assert dataset.split(split).labels.tolist() == [float(row[0]) for row in some]
    # 40 rows leave few tokens seen 10 times; a token that the training rows show less often is id 1 everywhere.
    column = dataset.layout.names.index("C1")
    counts = {token: sum(row[14] == token for row in rows[:40]) for token in {row[14] for row in rows}}
    known = [counts[row[14]] >= 10 and row[14] != "" for row in rows[52:]]
    assert (dataset.split("test").ids[:, column] > 1).tolist() == known


def test_frappe_libfm_and_csv_agree(tmp_path: Path) -> None:
    names = ["user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city"]
    rows = [[str(n % 2), *(str(10 * field + n * (field + 3) % 5) for field in range(10))] for n in range(50)]
    csv_folder = write_split_csv(tmp_path / "csv", ["label", *names], rows, sizes=(30, 10, 10))
    libfm = tmp_path / "libfm"
    libfm.mkdir()
    start = 0
    for split, size in (("train", 30), ("validation", 10), ("test", 10)):
        lines = [
            " ".join(["1" if row[0] == "1" else "-1", *(f"{token}:1" for token in row[1:])])
            for row in rows[start : start + size]
        ]
        (libfm / f"frappe.{split}.libfm").write_text(" \n".join(lines) + "\n")
        start += size
    hashes = {_prepare("frappe", folder, tmp_path / folder.name / "c").content_hash for folder in (csv_folder, libfm)}
    assert len(hashes) == 1
    (libfm / "frappe.test.libfm").write_text("1 " + " ".join(f"{k}:1" for k in range(9)) + " 4:0.5\n")
    with pytest.raises(ValueError, match=r"frappe\.test\.libfm:1: a one-hot field must be index:1, however: '4:0\.5'"):
        _prepare("frappe", libfm, tmp_path, force=True)


def test_ipinyou_holds_validation_rows_out_of_training(tmp_path: Path) -> None:
    header = ["click", *(field.name for field in get_schema("ipinyou").fields)]
    rows = [[str(n % 2), str(n), *["x"] * 15] for n in range(110)]
    folder = write_split_csv(tmp_path / "csv", header, rows, sizes=(90, 0, 20))
    (folder / "valid.csv").unlink()
    honest = _prepare("ipinyou", folder, tmp_path)
    assert [honest.num_rows(split) for split in SPLITS] == [80, 10, 20]
    published = _prepare("ipinyou-published", folder, tmp_path)
    assert torch.equal(published.split("valid").ids, published.split("test").ids)


def test_kkbox_and_tenrec_columns(tmp_path: Path) -> None:
    header = [
        *("msno", "song_id", "source_system_tab", "source_screen_name", "source_type", "city", "gender"),
        *("registered_via", "language", "genre_ids", "artist_name", "isrc", "bd", "target"),
    ]
    row = ["m", "s", "tab", '"a, ""b"""', "type", "1", "", "7", "3", "465|1259", "A|B|C|D", "TWA530", "28", "1"]
    rows = [[*row[:-1], str(n % 2)] for n in range(30)]
    folder = write_split_csv(tmp_path / "kkbox", header, rows, sizes=(20, 5, 5))
    dataset = _prepare("kkbox", folder, tmp_path)
    decoded = dataset.encoder.decode(dataset.split("test").ids).row(0, named=True)
    assert decoded["source_screen_name"] == 'a, "b"'
    assert (decoded["genre_ids"], decoded["artist_name"]) == (["465", "1259"], ["A", "B", "C"])
    assert (decoded["isrc"], decoded["bd"], decoded["gender"]) == ("TW", "2", None)

    tenrec = tmp_path / "tenrec"
    tenrec.mkdir()
    columns = ["user_id", "item_id", "click", "video_category", "gender", "age", *(f"hist_{k}" for k in range(1, 11))]
    lines = [",".join([str(n % 3), "7", str(n % 2), "1", "2", "3", *["9"] * 10]) for n in range(100)]
    (tenrec / "ctr_data_1M.csv").write_text("\n".join([",".join(columns), *lines]) + "\n")
    assert [_prepare("tenrec", tenrec, tmp_path).num_rows(split) for split in SPLITS] == [80, 10, 10]


def test_a_users_own_csv_and_parquet_agree(tmp_path: Path) -> None:
    schema = _schema(
        tmp_path,
        fields='[[field]]\nnames = ["a", "b"]\n[[field]]\nname = "n"\nkind = "numeric"\nbucket = "integer"\n'
        '[[field]]\nname = "s"\nkind = "sequence"\nmax_length = 2\nseparator = "|"',
    )
    frame = pl.DataFrame(
        {
            "y": [n % 2 for n in range(50)],
            "a": [n % 7 for n in range(50)],
            "b": [None if n % 5 == 0 else f"b{n % 3}" for n in range(50)],
            "n": [None if n % 4 == 0 else n / 2 for n in range(50)],
            "s": [["x", "y"][: n % 3] for n in range(50)],
        }
    )
    frame.with_columns(pl.col("s").list.join("|")).write_csv(tmp_path / "t.csv")
    first = prepare_dataset(schema, cache_dir=tmp_path / "c1", progress=False)
    frame.write_parquet(tmp_path / "t.parquet")
    text = schema.read_text().replace('"csv"', '"parquet"').replace("t.csv", "t.parquet")
    schema.write_text(text)
    second = prepare_dataset(schema, cache_dir=tmp_path / "c2", progress=False)
    assert first.content_hash == second.content_hash


def test_hdf5_ids_are_taken_as_tokens(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install -e '.[hdf5]'")
    fields = get_schema("kkbox-h5").fields
    draw = np.random.default_rng(0)
    for split, rows in zip(SPLITS, (30, 10, 10), strict=True):
        with h5py.File(tmp_path / f"{split}.h5", "w") as stored:
            stored["label"] = np.arange(rows, dtype=np.float32) % 2
            for field in fields:
                shape = (rows, 3) if field.kind == "sequence" else (rows,)
                stored[field.name] = draw.integers(0 if field.kind == "sequence" else 1, 5, shape)
    dataset = _prepare("kkbox-h5", tmp_path, tmp_path / "c")
    with h5py.File(tmp_path / "valid.h5") as stored:
        decoded = dataset.encoder.decode(dataset.split("valid").ids)
        assert decoded["msno"].to_list() == [str(value) for value in stored["msno"][:]]
        assert decoded["genre_ids"].to_list() == [[str(v) for v in row if v] for row in stored["genre_ids"][:]]
    with h5py.File(tmp_path / "test.h5", "a") as stored:
        del stored["bd"]
        stored["bd"] = [1, 2]
    with pytest.raises(ValueError, match=r"test\.h5: arrays must be of one length"):
        _prepare("kkbox-h5", tmp_path, tmp_path / "c", force=True)


def test_splits_follow_the_seed_alone(tmp_path: Path) -> None:
    source = write_criteo_raw(tmp_path / "raw", criteo_rows(200))
    hashes = [
        _prepare("criteo", source, tmp_path / str(n), split_seed=seed).content_hash for n, seed in enumerate((0, 0, 1))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_hash_knows_the_order_of_rows_but_not_the_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = criteo_rows(300)
    one = _prepare("criteo", write_criteo_raw(tmp_path / "one", rows), tmp_path / "c1")
    monkeypatch.setattr("qnn_models.data.reading.readers.BLOCK_BYTES", 9000)
    monkeypatch.setattr("qnn_models.data.encoding.encode.ROW_GROUP_ROWS", 17)
    two = _prepare("criteo", tmp_path / "one", tmp_path / "c2")
    three = _prepare("criteo", write_criteo_raw(tmp_path / "three", rows[::-1]), tmp_path / "c3")
    assert one.content_hash == two.content_hash != three.content_hash
    assert all(torch.equal(one.split(split).ids, two.split(split).ids) for split in SPLITS)


def test_a_stored_data_set_is_opened_until_its_files_change(tmp_path: Path) -> None:
    table = _table(tmp_path)
    schema = _schema(tmp_path)
    first = prepare_dataset(schema, cache_dir=tmp_path / "c", progress=False)
    assert first.folder is not None
    stamp = (first.folder / "manifest.json").stat().st_mtime_ns
    assert prepare_dataset(schema, cache_dir=tmp_path / "c", progress=False).content_hash == first.content_hash
    assert (first.folder / "manifest.json").stat().st_mtime_ns == stamp
    _table(tmp_path, rows=60)
    assert prepare_dataset(schema, cache_dir=tmp_path / "c", progress=False).num_rows("train") == 48
    table.unlink()
    with pytest.raises(ValueError, match=r"these files: t\.csv; however: .* has no such set of them; .* say --offline"):
        prepare_dataset(schema, cache_dir=tmp_path / "c", progress=False)
    assert prepare_dataset(schema, cache_dir=tmp_path / "c", progress=False, offline=True).num_rows("train") == 48


BROKEN = {
    "short row": ("0,u", r"t\.csv:6: a row must have 3 columns, however: this one has 2"),
    "long row": ("0,u,v,w", r"t\.csv:6: a row must have 3 columns, however: this one has 4"),
    "empty row": ("", r"t\.csv:6: a row must have 3 columns, however: this one has 1"),
    "label": ("2,u,v", r"t\.csv:6: a label must be 0 or 1, however: y='2'"),
    "no label": (",u,v", r"t\.csv:6: a label must be 0 or 1, however: y=None"),
    "text label": ("yes,u,v", r"t\.csv:6: a label must be 0 or 1, however: y='yes'"),
    "open quote": ('0,"u', r"t\.csv:6: a quote must close, however: one in this row does not"),
    "open quote at the end": ('0,u,"v', r"t\.csv:6: a quote must close"),
    "quoted, short": ('0,"u,v"', r"t\.csv:6: a row must have 3 columns, however: this one has 2"),
}


@pytest.mark.parametrize(("line", "message"), BROKEN.values(), ids=BROKEN)
def test_a_corrupt_row_is_named_by_line_and_leaves_nothing(tmp_path: Path, line: str, message: str) -> None:
    table = _table(tmp_path)
    lines = table.read_text().splitlines()
    lines[5] = line
    table.write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=message):
        prepare_dataset(_schema(tmp_path), cache_dir=tmp_path / "c", progress=False)
    assert [path for path in (tmp_path / "c").rglob("*") if path.is_file()] == []
    assert list((tmp_path / "c" / "t").iterdir()) == []


def test_lines_are_right_after_quoted_line_ends(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('y,a,b\n1,"two\nlines",v\n0,u,v\n5,u,v\n')
    with pytest.raises(ValueError, match=r"t\.csv:5: a label"):
        prepare_dataset(_schema(tmp_path), cache_dir=tmp_path / "c", progress=False)


@pytest.mark.parametrize("block", [16, 40, 100, 10_000])
def test_quoted_line_ends_may_fall_on_any_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr("qnn_models.data.reading.readers.BLOCK_BYTES", block)
    texts = [f'say ""{n}"",\nthen\n{n}' if n % 3 else f"{n}" for n in range(40)]
    lines = [f'{n % 2},"{text}",b' for n, text in enumerate(texts)]
    (tmp_path / "t.csv").write_text("y,a,b\n" + "\n".join(lines) + "\n")
    dataset = prepare_dataset(_schema(tmp_path), cache_dir=tmp_path / "c", progress=False)
    read = [text for split in SPLITS for text in dataset.encoder.decode(dataset.split(split).ids)["a"].to_list()]
    known = set(dataset.encoder.vocabularies[0])
    assert len(read) == 40
    assert known <= {text.replace('""', '"') for text in texts}
    assert len(known) == 32


def test_a_stray_quote_in_a_long_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qnn_models.data.reading.readers.BLOCK_BYTES", 100)
    lines = [f"{n % 2},u,v" for n in range(200)]
    lines[30] = '1,5" disc,v'
    (tmp_path / "t.csv").write_text("y,a,b\n" + "\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=r"t\.csv:32: .*quoted = false"):
        prepare_dataset(_schema(tmp_path), cache_dir=tmp_path / "c", progress=False)


def test_a_number_that_is_none_is_named(tmp_path: Path) -> None:
    schema = _schema(tmp_path, fields='[[field]]\nname = "a"\n[[field]]\nname = "b"\nkind = "numeric"')
    (tmp_path / "t.csv").write_text("y,a,b\n" + "".join(f"{n % 2},u,{n}\n" for n in range(30)) + "1,u,12x\n")
    with pytest.raises(ValueError, match=r"t\.csv:32: a numeric field must hold a finite number.*b='12x'"):
        prepare_dataset(schema, cache_dir=tmp_path / "c", progress=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("y,a,c\n1,u,v\n", r"t\.csv: a column of the schema is missing, however: 'b' must be there; it has: y, a, c"),
        ("y,a,bb\n1,u,v\n", r"'b' must be there; did you mean bb\?"),
        ("y,a,a\n1,u,v\n", r"columns have distinct names, however: 'a'"),
        (
            "y,a,b\n1,u,v\n0,u,v\n",
            r"every split needs rows, however: t has none for valid, test: its rows are 2 of t\.csv; give",
        ),
    ],
)
def test_missing_columns_and_empty_splits_are_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        prepare_dataset(_schema(tmp_path), cache_dir=tmp_path / "c", progress=False)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"y,a,b\n1,u,\xff\xfe\n" * 20)
    with pytest.raises(ValueError, match=r"t\.csv:2: text must be UTF-8, however: this line is not"):
        prepare_dataset(_schema(tmp_path), cache_dir=tmp_path / "c", progress=False)


def test_where_files_are_missing_they_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"train\.csv, valid\.csv, test\.csv; or train\.txt; however: .* no such set"):
        _prepare("criteo", tmp_path, tmp_path / "c")
    with pytest.raises(ValueError, match="--source DIR"):
        prepare_dataset("criteo", cache_dir=tmp_path / "c", progress=False)
    with pytest.raises(ValueError, match=r"is a folder that can be read, however: .*absent is not there"):
        _prepare("criteo", tmp_path / "absent", tmp_path / "c")


def test_windows_line_ends_and_a_mark_are_read(tmp_path: Path) -> None:
    lines = "\r\n".join(["y,a,b", *(f"{n % 2},u,v{n % 3}" for n in range(30))])
    (tmp_path / "t.csv").write_bytes("\ufeff".encode() + lines.encode() + b"\r\n\r\n")
    dataset = prepare_dataset(_schema(tmp_path), cache_dir=tmp_path / "c", progress=False)
    assert set(dataset.encoder.vocabularies[1].to_list()) == {"v0", "v1", "v2"}


def test_a_kill_leaves_no_half_written_data_set(tmp_path: Path) -> None:
    write_criteo_raw(tmp_path / "raw", criteo_rows(10_000))
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from qnn_models.data.registry import prepare
        print("ready", flush=True)
        prepare("criteo", source=Path({str(tmp_path / "raw")!r}), cache_dir=Path({str(tmp_path / "c")!r}), progress=False)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    while not list((tmp_path / "c").glob("criteo/.*")) and process.poll() is None:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (left,) = (tmp_path / "c" / "criteo").iterdir()
    assert left.name.startswith(".")
    assert _prepare("criteo", tmp_path / "raw", tmp_path / "c").num_rows("train") == 8_000
    assert not left.exists()


@pytest.mark.slow
def test_processes_may_prepare_the_same_data_set_at_once(tmp_path: Path) -> None:
    write_criteo_raw(tmp_path / "raw", criteo_rows(500))
    script = textwrap.dedent(
        f"""
        from qnn_models.data.registry import prepare
        source, cache = {str(tmp_path / "raw")!r}, {str(tmp_path / "c")!r}
        for _ in range(10):
            dataset = prepare("criteo", source=source, cache_dir=cache, progress=False, force=True)
        print(dataset.content_hash, len(dataset.split("train")))
        """
    )
    command = [sys.executable, "-c", script]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(outputs) == 1
    assert [path.name[0] for path in (tmp_path / "c" / "criteo").iterdir()] != ["."]


def _by_order(folder: Path, values: list[str], **changes: str) -> EncodedDataset:
    """Two rows for each value of a column `t` that splits them, one of each label; the field `a` tells the value's number."""
    lines = ["y,a,b,t", *(f"{label},u{n},v,{value}" for n, value in enumerate(values) for label in (0, 1))]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return _prepare(_schema(folder, **{"split": 'split_by = "t"\nratios = [2, 1, 1]', **changes}), folder, folder / "c")


@pytest.mark.parametrize(
    ("values", "train"),
    [
        (["8", "7", "6", "5", "4", "3", "2", "1"], {4, 5, 6, 7}),  # against the file's order
        (["10", "9", "1e1", "8.5", "100", "99", "7", "-1"], {1, 3, 6, 7}),  # by value, not as texts
        (
            [
                "2013-10-01",
                "2013-02-01",
                "2014-01-01",
                "2012-12-31",
                "2013-09-30",
                "2013-10-02",
                "2015-01-01",
                "2016-01-01",
            ],
            {1, 3, 4, 0},
        ),
        (["1"] * 8, {0, 1, 2, 3}),  # of one value: the file's order
    ],
)
def test_a_table_is_split_by_a_column(tmp_path: Path, values: list[str], train: set[int]) -> None:
    dataset = _by_order(tmp_path, values)
    assert [dataset.num_rows(split) for split in SPLITS] == [8, 4, 4]
    known = dataset.encoder.decode(dataset.split("train").ids)["a"].to_list()
    assert {int(token[1:]) for token in known} == train


def test_held_out_rows_are_the_last_of_the_training_rows(tmp_path: Path) -> None:
    for name, rows in (("train", [3, 9, 1, 7, 5, 11, 10, 2]), ("test", [0, 4])):
        lines = ["y,a,b", *(f"{n % 2},{value},v" for n, value in enumerate(rows))]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    source = '[[source]]\nformat = "csv"\ntrain = "train.csv"\ntest = "test.csv"'
    path = _schema(tmp_path, split='split_by = "a"\nratios = [3, 1, 1]', source=source)
    dataset = _prepare(path, tmp_path, tmp_path / "c")  # the column may be a field, too
    assert sorted(dataset.encoder.decode(dataset.split("train").ids)["a"].to_list()) == ["1", "2", "3", "5", "7", "9"]
    assert [dataset.num_rows(split) for split in SPLITS] == [6, 2, 2]


@pytest.mark.parametrize(
    ("values", "changes", "message"),
    [
        (
            ["1", "2", "", "4"],
            {},
            r"t\.csv:6: each row has a place in the order.*however: t is empty",
        ),
        (
            ["1", "2", "x", "4"],
            {},
            "is split by holds numbers or texts, however: t holds '1' and 'x'; write all of one kind",
        ),
        (["1", "nan", "2", "3"], {}, "t holds '1' and 'nan'"),
        (["1", "2", "3", "4"], {"split": 'split_by = "when"'}, "a column of the schema is missing, however: 'when'"),
        (["1", "2", "3", "4"], {"split": "split_by = 3"}, "split_by must be of type str, however: split_by=3"),
    ],
)
def test_a_column_that_does_not_order_the_rows_is_named(
    tmp_path: Path, values: list[str], changes: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _by_order(tmp_path, values, **changes)


def _users(dataset: EncodedDataset) -> list[set[str]]:
    """The users of each split, unknown ones left out; `min_count` is 1, so training knows its own."""
    return [set(dataset.encoder.decode(dataset.split(split).ids)["a"].drop_nulls().to_list()) for split in SPLITS]


def _grouped(folder: Path, *, seed: int = 0) -> EncodedDataset:
    split = 'split_by = "a"\nsplit_as = "group"\nratios = [3, 1, 1]'
    rows = [(f"u{user}", n % 2) for user in range(40) for n in range(2 + user % 5)]
    np.random.default_rng(1).shuffle(rows)
    lines = ["y,a,b", *(f"{label},{user},v" for user, label in rows)]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return _prepare(_schema(folder, split=split), folder, folder / "c", split_seed=seed)


def test_a_group_is_never_in_two_splits(tmp_path: Path) -> None:
    dataset = _grouped(tmp_path)
    train, valid, test = _users(dataset)
    assert not valid
    assert not test  # all their users are out of vocabulary: training has not seen them
    rows = [dataset.num_rows(split) for split in SPLITS]
    assert sum(rows) == 160
    assert abs(rows[0] - 96) <= 6
    assert abs(rows[1] - 32) <= 6
    assert _users(_grouped(tmp_path)) == [train, valid, test]
    assert _users(_grouped(tmp_path, seed=1))[0] != train


@pytest.mark.parametrize(
    ("names", "sizes"),
    [
        (["train", "valid", "test", "train"], [4, 2, 2]),
        (["Train", "VAL", "testing", "dev"], [2, 4, 2]),
        (["train"] * 4 + ["test"], [6, 2, 2]),
    ],
)
def test_a_column_may_name_the_splits(tmp_path: Path, names: list[str], sizes: list[int]) -> None:
    dataset = _by_order(tmp_path, names, split='split_by = "t"\nsplit_as = "part"\nratios = [3, 1, 1]')
    assert [dataset.num_rows(split) for split in SPLITS] == sizes


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (
            'split_by = "t"\nsplit_as = "part"',
            r"t\.csv:6: a column that names the splits holds.*however: t='x'",
        ),
        ('split_as = "group"', "is of the column that split_by names, however: it names none"),
        ('split_by = "t"\nsplit_as = "users"', "split_as must be one of order, group, part, however: split_as='users'"),
    ],
)
def test_a_split_that_cannot_be_is_named(tmp_path: Path, split: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _by_order(tmp_path, ["train", "test", "x", "valid"], split=split)


@pytest.mark.parametrize("drop", ["drop_missing = true", "drop_missing = true\ndrop = [7]"])
def test_rows_without_a_label_are_dropped_where_the_schema_says_so(tmp_path: Path, drop: str) -> None:
    label = '[label]\ncolumn = "y"\npositive_above = 4'
    rows = ["3", "", "5", "7", "2", "6", "", "1", "9", "3", "8", "0", "5", "2", "7", "4"]
    lines = ["y,a,b", *(f"{value},u{n},v" for n, value in enumerate(rows))]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=r"t\.csv:3: a label must be a number, however: y=None; mend or drop it"):
        _prepare(_schema(tmp_path, label=label), tmp_path, tmp_path / "c")
    kept = [value for value in rows if value and not (value == "7" and "drop = " in drop)]
    dataset = _prepare(
        _schema(tmp_path, label=f"{label}\n{drop}", split="ratios = [2, 1, 1]"), tmp_path, tmp_path / "c"
    )
    assert sum(dataset.num_rows(split) for split in SPLITS) == len(kept)
    positive = sum(int(dataset.split(split).labels.sum()) for split in SPLITS)
    assert positive == sum(int(value) > 4 for value in kept)
