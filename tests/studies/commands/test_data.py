"""``qnn data`` over the registry of data sets."""

from __future__ import annotations

import json
import tomllib
from dataclasses import fields
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

from qnn_models.data.registry import dataset_names
from qnn_models.data.schema import Field, Label, Schema, Source
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


def test_the_help_of_prepare_shows_every_key_of_a_schema(tmp_path: Path) -> None:
    text = CliRunner().invoke(main, ["data", "prepare", "--help"]).output
    example = text[text.index('name = "my-clicks"') : text.index("Options:")]
    keys = {line.split("=")[0].strip() for line in example.splitlines() if "=" in line}
    wanted = {field.name for kind in (Schema, Label, Field, Source) for field in fields(kind)} - {"fields", "sources"}
    assert wanted <= keys
    for line in example.splitlines():  # each is TOML
        if "=" in line:
            assert tomllib.loads(line.strip())


def test_from_a_file_of_ones_own_to_test_auc_in_three_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    user, price = generator.integers(0, 20, 2_000), generator.random(2_000)
    clicked = generator.random(2_000) < 1 / (1 + np.exp(-2 * np.sin(user) - 3 * (price - 0.5)))
    table = pl.DataFrame({"clicked": clicked, "user": user, "price": price, "shop": "one"})
    table.write_csv(tmp_path / "log.csv")
    monkeypatch.setenv("QNN_CACHE", str(tmp_path / "cache"))

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(main, list(arguments))
        assert result.exit_code == 0, result.output
        return result.stdout

    schema = str(tmp_path / "log.toml")
    assert "shop" in run("data", "init", str(tmp_path / "log.csv"))
    assert "log: 1,600 train, 200 valid, 200 test rows; 2 fields" in run("data", "prepare", schema)
    described = json.loads(run("data", "describe", schema, "--json"))
    assert [field["name"] for field in described["fields"]] == ["user", "price"]
    found = json.loads(run("train", "--dataset", schema, "--model", "lr", "--json"))
    assert found["test_auc"] > 0.7
    assert found["valid_logloss"] < found["constant_logloss"]
    again = CliRunner().invoke(main, ["data", "init", str(tmp_path / "log.csv")])
    assert again.exit_code != 0
    assert "--force replaces it" in again.output
