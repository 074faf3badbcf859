"""Stored data sets under damage: each file, flipped bit by bit and cut short, is noticed, and made again where possible."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from qnn_models.data.encoding.checked import CheckedFile
from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.encoding.store import open_dataset
from qnn_models.data.registry import get_schema, prepare
from qnn_models.data.schema import Schema
from qnn_models.runtime.checksums import DamagedError

FILES = ("manifest.json", "vocabulary.parquet", "train.parquet", "valid.parquet", "test.parquet")
SPLITS = ("train", "valid", "test")
PLACES = 40


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qnn_models.data.encoding.store._WAIT_SECONDS", 0.0)


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    write_table(tmp_path, rows=60)
    path = tmp_path / "t.toml"
    path.write_text(
        'name = "t"\n[label]\ncolumn = "y"\n[[field]]\nnames = ["a", "b"]\n[[source]]\nformat = "csv"\ntable = "t.csv"\n'
    )
    return path


@pytest.fixture
def stored(schema: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EncodedDataset:
    monkeypatch.setattr("qnn_models.data.encoding.encode.ROW_GROUP_ROWS", 16)
    return prepared(schema, tmp_path)


def write_table(folder: Path, *, rows: int, shift: int = 0) -> None:
    lines = ["y,a,b", *(f"{n // 2 % 2},u{n + shift:02},v{n % 3}" for n in range(rows))]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")


def prepared(schema: Path, tmp_path: Path, **options: bool) -> EncodedDataset:
    return prepare(schema, cache_dir=tmp_path / "c", progress=False, **options)  # type: ignore[arg-type]


def folder_of(dataset: EncodedDataset) -> Path:
    assert dataset.folder is not None
    return dataset.folder


def content(dataset: EncodedDataset) -> list[object]:
    parts = [dataset.split(split) for split in SPLITS]
    vocabularies = [tokens.to_list() for tokens in dataset.encoder.vocabularies]
    return [
        dataset.content_hash,
        vocabularies,
        *(part.ids.tolist() for part in parts),
        *(part.labels.tolist() for part in parts),
    ]


def outcome(schema: Schema, folder: Path) -> list[object] | str:
    """What is read, or what is said of the damage."""
    try:
        return content(open_dataset(schema, folder=folder, split_seed=0))
    except DamagedError as error:
        return str(error)


def damages(whole: bytes) -> Iterator[bytes]:
    """The bytes with one bit flipped, and cut short, at places over the whole length; and longer, and empty."""
    step = max(len(whole) // PLACES, 1)
    for place in range(0, len(whole), step):
        yield whole[:place] + bytes([whole[place] ^ 1 << place // step % 8]) + whole[place + 1 :]
        yield whole[:place]
    yield whole + b"\0"
    yield whole[::-1]


@pytest.mark.parametrize("name", FILES)
def test_every_damage_is_told_by_file_or_changes_nothing(schema: Path, stored: EncodedDataset, name: str) -> None:
    folder, wanted = folder_of(stored), content(stored)
    whole = (folder / name).read_bytes()
    told = 0
    for damaged in damages(whole):
        (folder / name).write_bytes(damaged)
        found = outcome(get_schema(schema), folder)
        if isinstance(found, str):
            assert found.startswith(f"{folder / name} must be as it was written, however: ")
            assert "; prepare the data set again" in found
            told += 1
        else:
            assert found == wanted
    assert told >= PLACES


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", [os.remove, lambda path: (os.remove(path), path.mkdir())], ids=["gone", "a folder"])
def test_what_is_damaged_is_prepared_anew_from_its_source(
    schema: Path,
    stored: EncodedDataset,
    tmp_path: Path,
    name: str,
    harm: Callable[[Path], object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    wanted = content(stored)
    harm(folder_of(stored) / name)
    assert content(prepared(schema, tmp_path)) == wanted
    if (name, harm) != ("manifest.json", os.remove):  # a folder without a manifest is no data set
        assert f"{name} must be as it was written" in caplog.text
        assert f"prepared anew from {tmp_path}" in caplog.text
        assert "--force" not in caplog.text
    caplog.clear()
    assert content(prepared(schema, tmp_path)) == wanted
    assert caplog.text == ""


def test_without_a_source_damage_is_an_error_unless_the_old_source_is_there(
    stored: EncodedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a named data set that was once prepared with --source."""
    monkeypatch.setattr("qnn_models.data.registry._schema_files", lambda: {"t": tmp_path / "t.toml"})
    wanted, path = content(stored), folder_of(stored) / "valid.parquet"

    def again() -> EncodedDataset:
        return prepare("t", cache_dir=tmp_path / "c", progress=False)

    path.write_bytes(path.read_bytes()[:-5])
    assert content(again()) == wanted
    path.write_bytes(path.read_bytes()[:-5])
    write_table(tmp_path, rows=60, shift=1)
    with pytest.raises(DamagedError, match=r"valid\.parquet must be as it was written, however: it has \d+ bytes, not"):
        again()
    with pytest.raises(DamagedError, match=r"valid\.parquet"):
        prepare("t", cache_dir=tmp_path / "c", progress=False, offline=True)
    (path.parent / "manifest.json").write_text("{}")
    with pytest.raises(DamagedError, match=r"manifest\.json"):
        again()


def test_rows_are_checked_again_when_they_are_read(schema: Path, stored: EncodedDataset, tmp_path: Path) -> None:
    opened = prepared(schema, tmp_path)
    path = folder_of(stored) / "train.parquet"
    whole = bytearray(path.read_bytes())
    second = pq.read_metadata(path).row_group(1).column(0).data_page_offset
    whole[second + 30] ^= 1
    path.write_bytes(whole)
    batches = opened.batches("train", batch_size=16, buffer_row_groups=1)
    next(batches)
    with pytest.raises(DamagedError, match=r"train\.parquet must be as it was written"):
        list(batches)
    with pytest.raises(DamagedError, match=r"train\.parquet"):
        opened.split("train")
    assert len(opened.split("valid")) == 6


def test_other_rows_put_in_the_place_of_opened_ones_are_noticed(
    schema: Path, stored: EncodedDataset, tmp_path: Path
) -> None:
    opened = prepared(schema, tmp_path)
    write_table(tmp_path, rows=80)
    assert prepared(schema, tmp_path).content_hash != opened.content_hash
    with pytest.raises(DamagedError, match=r"must be as it was written"):
        list(opened.batches("train", batch_size=10))


def test_checksums_cover_every_byte(stored: EncodedDataset) -> None:
    for name in FILES[2:]:
        path = folder_of(stored) / name
        file = CheckedFile.of(path, parquet=True)
        metadata = pq.read_metadata(path)
        assert file.row_groups == metadata.num_row_groups == (3 if name == "train.parquet" else 1)
        assert file.segments[-1].stop == path.stat().st_size
        assert [*file.segments] == sorted(file.segments, key=lambda segment: segment.stop)


def test_a_manifest_of_another_data_set_is_refused(schema: Path, stored: EncodedDataset, tmp_path: Path) -> None:
    folder = folder_of(stored)
    other = folder.with_name("other")
    shutil.copytree(folder, other)
    with pytest.raises(DamagedError, match="another schema, version or split"):
        open_dataset(get_schema(schema), folder=other, split_seed=1)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["rows"]["train"] += 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DamagedError, match=r"manifest\.json .* another SHA-256"):
        open_dataset(get_schema(schema), folder=folder, split_seed=0)


def test_the_error_goes_between_processes(tmp_path: Path) -> None:
    error = DamagedError.of(tmp_path, "it is not", remedy="make it again")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (DamagedError, str(error))


class TestSource:
    """When a stored data set is taken, and when it is made anew or refused."""

    def test_files_that_were_only_copied_or_touched_are_the_same(
        self, schema: Path, stored: EncodedDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        stamp = (folder_of(stored) / "manifest.json").stat().st_mtime_ns
        copy = tmp_path / "copy"
        copy.mkdir()
        shutil.copy(tmp_path / "t.csv", copy)
        os.utime(tmp_path / "t.csv", (1, 1))
        for source in (None, copy):
            prepare(schema, source=source, cache_dir=tmp_path / "c", progress=False)
        assert (folder_of(stored) / "manifest.json").stat().st_mtime_ns == stamp
        assert caplog.text == ""

    def test_a_change_that_keeps_size_and_time_is_seen(
        self, schema: Path, stored: EncodedDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        table = tmp_path / "t.csv"
        stat = table.stat()
        write_table(tmp_path, rows=60, shift=1)
        os.utime(table, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert (table.stat().st_size, table.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
        assert prepared(schema, tmp_path).content_hash != stored.content_hash
        assert "have changed since they were prepared" in caplog.text

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda path: None, "is a folder that can be read, however: .* is not there"),
            (lambda path: path.write_text("y,a,b\n"), "is a file; name its folder"),
            (lambda path: path.mkdir(), r"read from these files: t\.csv; however: .* has no such set"),
            (lambda path: (path / "t.csv").mkdir(parents=True), r"read from a file, however: .*t\.csv is a folder"),
        ],
        ids=["absent", "a file", "empty", "a folder as file"],
    )
    def test_a_source_that_cannot_be_read_is_refused_unless_offline(
        self, schema: Path, stored: EncodedDataset, tmp_path: Path, make: Callable[[Path], object], message: str
    ) -> None:
        make(tmp_path / "s")
        with pytest.raises(ValueError, match=rf"{message}.*--offline"):
            prepare(schema, source=tmp_path / "s", cache_dir=tmp_path / "c", progress=False)
        offline = prepare(schema, source=tmp_path / "s", cache_dir=tmp_path / "c", progress=False, offline=True)
        assert offline.content_hash == stored.content_hash

    def test_a_file_without_permission_is_refused(
        self, schema: Path, stored: EncodedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plain = Path.open

        def refusing(path: Path, *args: object, **options: object) -> object:
            if path.name == "t.csv":
                raise PermissionError(13, "Permission denied", str(path))
            return plain(path, *args, **options)  # type: ignore[call-overload]

        monkeypatch.setattr(Path, "open", refusing)
        with pytest.raises(ValueError, match=r"however: .*t\.csv cannot be read \(Permission denied\); .*--offline"):
            prepared(schema, tmp_path)

    def test_offline_says_so_and_needs_the_cache(
        self, schema: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with pytest.raises(FileNotFoundError, match=r"offline, t must be in the cache, however: .* holds none"):
            prepared(schema, tmp_path, offline=True)
        prepared(schema, tmp_path)
        assert caplog.records == []
        write_table(tmp_path, rows=60, shift=1)
        assert prepared(schema, tmp_path, offline=True).num_rows("train") == 48
        assert [(record.name, record.levelno) for record in caplog.records] == [("qnn_models.data", logging.WARNING)]
        assert "its source was not looked at" in caplog.text
        with pytest.raises(ValueError, match="force and offline"):
            prepared(schema, tmp_path, offline=True, force=True)

    def test_files_that_change_while_they_are_read_are_refused(
        self, schema: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from qnn_models.data.encoding import encode

        count = encode._Rows.count

        def meanwhile(rows: encode._Rows) -> object:
            write_table(tmp_path, rows=80)
            return count(rows)

        monkeypatch.setattr(encode._Rows, "count", meanwhile)
        with pytest.raises(ValueError, match=r"must stay as they are while they are read"):
            prepared(schema, tmp_path)
        assert list((tmp_path / "c" / "t").iterdir()) == []


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"QNN_CACHE": "/q", "XDG_CACHE_HOME": "/x"}, "/q/qnn-data"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/qnn-data"),
        ({"QNN_CACHE": "", "XDG_CACHE_HOME": ""}, "/home/me/.cache/qnn-data"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/qnn-data"),
        ({"QNN_CACHE": "~/c"}, "/home/me/c/qnn-data"),
        ({}, "/home/me/.cache/qnn-data"),
    ],
)
def test_the_cache_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str
) -> None:
    from qnn_models.data.registry import cache_folder

    for name in ("QNN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)


def test_streams_and_splits_say_the_same(schema: Path, stored: EncodedDataset, tmp_path: Path) -> None:
    again = prepared(schema, tmp_path)
    streamed = torch.cat([batch.ids for batch in again.batches("train", batch_size=7, buffer_row_groups=2)])
    assert torch.equal(streamed, stored.split("train").ids)


def test_the_same_prepared_again_leaves_the_folder_in_place(
    schema: Path, stored: EncodedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that another process that reads it never finds it gone."""
    monkeypatch.setattr("qnn_models.data.encoding.encode.ROW_GROUP_ROWS", 16)
    folder = folder_of(stored)
    inodes = [folder.stat().st_ino, *((folder / name).stat().st_ino for name in FILES[1:])]
    (reader := prepared(schema, tmp_path).batches("train", batch_size=3, buffer_row_groups=1)).__next__()
    assert prepared(schema, tmp_path, force=True).content_hash == stored.content_hash
    assert inodes == [folder.stat().st_ino, *((folder / name).stat().st_ino for name in FILES[1:])]
    assert sum(len(batch) for batch in reader) == 45
    (folder / "test.parquet").write_bytes(b"")
    assert prepared(schema, tmp_path, force=True).content_hash == stored.content_hash
    assert folder.stat().st_ino != inodes[0]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("make", [lambda path: path.write_text(""), lambda path: path.symlink_to("/proc/self/none")])
def test_a_cache_that_cannot_be_written_is_told_before_any_work(
    schema: Path, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "c")
    with pytest.raises(
        ValueError, match=r"in a folder that can be written, however: .*/c: .*; name another by QNN_CACHE"
    ):
        prepared(schema, tmp_path)


def test_a_full_disk_is_told_and_leaves_nothing(schema: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("qnn_models.data.encoding.encoder.Encoder.save", full)
    with pytest.raises(ValueError, match=r"takes room beside .* however: No space left on device; free some"):
        prepared(schema, tmp_path)
    assert list((tmp_path / "c" / "t").iterdir()) == []
