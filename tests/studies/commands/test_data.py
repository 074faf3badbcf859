"""``qnn data`` over the registry of data sets."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from qnn_models.data.registry import dataset_names
from studies.cli import main


def test_all_data_sets_are_listed() -> None:
    result = CliRunner().invoke(main, ["data", "list"])
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.output.splitlines()] == list(dataset_names())


def test_the_planted_set_is_prepared_without_files() -> None:
    result = CliRunner().invoke(main, ["data", "prepare", "planted"])
    assert result.exit_code == 0, result.output
    assert "planted: 20,000 train, 4,000 valid, 4,000 test rows; 6 fields" in result.output


def test_an_unknown_data_set_is_named() -> None:
    result = CliRunner().invoke(main, ["data", "prepare", "ml-100kk"])
    assert result.exit_code == 2
    assert "ml-100k" in result.output
    assert "Traceback" not in result.output


@pytest.fixture
def schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QNN_CACHE", str(tmp_path / "cache"))
    rows = "".join(f"{n // 2 % 2},u{n % 7}\n" for n in range(60))
    (tmp_path / "t.csv").write_text("y,a\n" + rows)
    path = tmp_path / "t.toml"
    path.write_text(
        'name = "t"\n[label]\ncolumn = "y"\n[[field]]\nname = "a"\n[[source]]\nformat = "csv"\ntable = "t.csv"\n'
    )
    return path


def prepared(schema: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["data", "prepare", str(schema), *options])


def test_the_cache_is_used_for_its_source_alone_or_offline(
    schema: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = prepared(schema)
    assert first.exit_code == 0, first.output
    assert f"in {tmp_path / 'cache' / 'qnn-data' / 't'}" in first.output
    absent = prepared(schema, "--source", str(tmp_path / "absent"))
    assert absent.exit_code == 2
    assert "absent is not there" in absent.output
    assert "--offline" in absent.output
    offline = prepared(schema, "--source", str(tmp_path / "absent"), "--offline")
    assert offline.exit_code == 0
    assert offline.stdout.splitlines()[-1] == first.stdout.splitlines()[-1]
    assert "its source was not looked at" in caplog.text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"t"', '"../../evil"', "'../../evil'; rename it"),
        ('"t.csv"', '"gone.csv"', "read from these files: gone.csv"),
        ('name = "a"', "name = 3", "name must be of type str"),
        ('"csv"', '"parquet"', "must be a sound Parquet file"),
    ],
)
def test_what_is_wrong_is_one_line(schema: Path, tmp_path: Path, old: str, new: str, message: str) -> None:
    schema.write_text(schema.read_text().replace(old, new, 1))
    result = prepared(schema)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert not list(tmp_path.rglob("manifest.json"))
    assert not (tmp_path.parent / "evil").exists()
