"""MovieLens: two editions, one content; joins, years and genres."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from qnn_models.data.reading.fetch import ML100K, NYCFLIGHTS, Package, fetch, pip_command, unpack
from qnn_models.data.registry import FETCHED, load, prepare
from tests.qnn_models.data_files import ml100k_ratings, write_grouplens, write_recbole


def _decoded(dataset) -> list[tuple]:  # type: ignore[no-untyped-def, type-arg]
    rows = []
    for split in ("train", "valid", "test"):
        part = dataset.split(split)
        rows += [
            (*row, label)
            for row, label in zip(dataset.encoder.decode(part.ids).rows(), part.labels.tolist(), strict=True)
        ]
    return rows


def test_both_editions_have_one_content(tmp_path: Path) -> None:
    ratings = ml100k_ratings(300)
    sources = write_recbole(tmp_path / "a", ratings), write_grouplens(tmp_path / "b", ratings)
    first, second = (
        prepare("ml-100k", source=source, cache_dir=tmp_path / source.name / "cache", progress=False)
        for source in sources
    )
    assert first.content_hash == second.content_hash
    assert first.layout.names == (
        "user_id", "age", "gender", "occupation", "zip_code", "item_id", "release_year", "genres",
    )  # fmt: skip
    assert first.layout.lengths == (1, 1, 1, 1, 1, 1, 1, 5)


def test_rows_are_joined_and_labelled(tmp_path: Path) -> None:
    ratings = ml100k_ratings(300)
    dataset = prepare("ml-100k", source=write_grouplens(tmp_path / "b", ratings), cache_dir=tmp_path, progress=False)
    kept = [rating for rating in ratings if rating[2] != 3]
    assert [dataset.num_rows(split) for split in ("train", "valid", "test")] == [187, 23, 24]
    assert len(kept) == 234
    users = {1: ("24", "M", "technician", "85711"), 2: ("53", "F", "other", "94043"), 3: ("23", "M", "writer", "T8H1N")}
    items = {
        1: ("1995", ["Animation", "Children's", "Comedy"]),
        2: ("1995", ["Action", "Adventure", "Thriller"]),
        3: ("1980", ["Action", "Adventure", "Drama", "Romance", "Sci-Fi"]),
        4: (None, ["unknown"]),
        5: ("1995", ["Animation", "Children's"]),
        6: ("1995", ["Drama", "Musical"]),
    }
    expected = [(str(u), *users[u], str(i), *items[i], float(r > 3)) for u, i, r in kept]
    assert sorted(_decoded(dataset), key=repr) == sorted(expected, key=repr)


def test_a_rating_of_an_unknown_movie_is_named_by_line(tmp_path: Path) -> None:
    folder = write_grouplens(tmp_path / "b", [*ml100k_ratings(20), (1, 77, 5)])
    with pytest.raises(ValueError, match=r"u\.data:21: a rating must be of a known item_id, however: '77'"):
        prepare("ml-100k", source=folder, cache_dir=tmp_path, progress=False)


def test_ml1m_from_grouplens_files(tmp_path: Path) -> None:
    folder = tmp_path / "ml-1m"
    folder.mkdir()
    (folder / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")
    movies = "1::Toy Story (1995)::Animation|Children's|Comedy\n2::Misérables, Les (1958)::Drama\n"
    (folder / "movies.dat").write_bytes(movies.encode("latin-1"))
    lines = [f"{1 + n % 2}::{1 + n // 3 % 2}::{1 + n % 5}::97830{n}" for n in range(60)]
    (folder / "ratings.dat").write_text("\n".join(lines) + "\n")
    dataset = prepare("ml-1m", source=folder, cache_dir=tmp_path / "cache", progress=False)
    assert dataset.layout.names == ("UserID", "Gender", "Age", "Occupation", "MovieID", "Release", "Genres")
    rows = {row[4]: row for row in _decoded(dataset)}
    assert rows["1"][5:7] == ("1990", ["Animation", "Children's", "Comedy"])
    assert rows["2"][5:7] == ("1950", ["Drama"])
    assert len(_decoded(dataset)) == 48


def _wheel(path: Path, names: list[str]) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(f"recbole/dataset_example/ml-100k/{name}", name)
        archive.writestr("recbole/__init__.py", "raise SystemExit")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_three_files_come_out_of_the_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "w.whl"
    digest = _wheel(wheel, [*ML100K.files, "ml-100k.kg"])
    out = tmp_path / "out"
    out.mkdir()
    unpack(replace(ML100K, sha256=digest), wheel, out)
    assert {path.name: path.read_text() for path in out.iterdir()} == {name: name for name in ML100K.files}


def test_a_wheel_that_is_another_or_incomplete_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "w.whl"
    digest = _wheel(wheel, list(ML100K.files)[:2])
    with pytest.raises(ValueError, match="must have SHA-256 9c9948"):
        unpack(ML100K, wheel, tmp_path)
    with pytest.raises(ValueError, match=r"must hold recbole/dataset_example/ml-100k/ml-100k\.user"):
        unpack(replace(ML100K, sha256=digest), wheel, tmp_path)


@pytest.mark.parametrize("package", [ML100K, NYCFLIGHTS], ids=lambda package: package.folder)
def test_without_a_network_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: Package
) -> None:
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConnectionError, match="--source DIR"):
        fetch(package, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_whole_files_that_are_there_are_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QNN_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    folder = tmp_path / "qnn-data" / "raw" / "ml-100k"
    folder.parent.mkdir(parents=True)
    write_recbole(folder, ml100k_ratings(100))
    whole = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ML100K.files}
    package = replace(ML100K, files=whole)
    monkeypatch.setitem(FETCHED, "ml-100k", package)
    assert load("ml-100k", progress=False).layout.num_fields == 8
    (folder / "ml-100k.user").write_bytes(b"user_id:token")
    with pytest.raises(ConnectionError, match="MovieLens-100K is fetched with pip"):
        fetch(package, folder)


def test_without_pip_the_wheel_of_ensurepip_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ensurepip")
    monkeypatch.setattr(
        "qnn_models.data.reading.fetch.find_spec", lambda name: None if name == "pip" else find_spec(name)
    )
    command = pip_command()
    assert command is not None
    assert command[-1].endswith(".whl/pip")
    ran = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("pip ")


@pytest.mark.parametrize(
    ("there", "command"), [(("pip3", "uv"), ["/bin/pip3"]), (("uv",), ["/bin/uv", "tool", "run", "pip"]), ((), None)]
)
def test_without_any_wheel_another_pip_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: tuple[str, ...], command: list[str] | None
) -> None:
    module = "qnn_models.data.reading.fetch"
    monkeypatch.setattr(f"{module}.find_spec", lambda name: None)
    monkeypatch.setattr(f"{module}.sysconfig.get_config_var", lambda name: str(tmp_path))
    monkeypatch.setattr(f"{module}.shutil.which", lambda name: f"/bin/{name}" if name in there else None)
    assert pip_command() == command
    if command is None:
        with pytest.raises(ConnectionError, match=r"neither pip nor uv; install one .*--source DIR"):
            fetch(ML100K, tmp_path)


@pytest.mark.parametrize(("name", "twice"), [("ml-100k.user", "user_id"), ("ml-100k.item", "item_id")])
def test_what_is_described_twice_is_named(tmp_path: Path, name: str, twice: str) -> None:
    folder = write_recbole(tmp_path / "a", ml100k_ratings(100))
    lines = (folder / name).read_text().splitlines()
    (folder / name).write_text("\n".join([*lines, lines[1]]) + "\n")
    with pytest.raises(ValueError, match=rf"each {twice} must be described once, however: '1'"):
        prepare("ml-100k", source=folder, cache_dir=tmp_path, progress=False)


@pytest.mark.network
def test_ml100k_is_fetched_and_has_its_size(tmp_path: Path) -> None:
    dataset = prepare("ml-100k", cache_dir=tmp_path, progress=False)
    assert [dataset.num_rows(split) for split in ("train", "valid", "test")] == [58_284, 7_285, 7_286]
    assert dataset.layout.vocabulary_sizes[0] == 945
