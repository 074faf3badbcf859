"""``qnn data`` over the registry of data sets."""

from __future__ import annotations

from click.testing import CliRunner

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
