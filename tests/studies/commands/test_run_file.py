"""A run as a file: it repeats the run, a folder keeps one, and what it holds already is not trained or timed again."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from qnn_models.serving.trained import MODEL_FILE
from qnn_models.training import loop as training
from tests.studies.commands.test_train import QUICK, qnn_train, report, without_times


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("runs") / "run"
    return folder, report(*QUICK, "--seed", "5", "--out", str(folder))


def test_a_run_keeps_the_file_that_repeats_it(run: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, found = run
    content = tomllib.loads((folder / "run.toml").read_text())
    assert content["options"]["hidden_units"] == 8
    assert content["training"]["chunk_rows"] == "none"
    again = report(str(folder / "run.toml"), "--threads", "1", "--out", str(tmp_path / "again"))
    assert without_times(again) == without_times(found)
    assert (tmp_path / "again" / "run.toml").read_text() == (folder / "run.toml").read_text()
    assert (folder / "history.csv").read_text().startswith("epoch,train_loss,valid_auc")


def test_what_is_finished_is_reported_and_not_made_again(
    run: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, found = run

    def never(*_: Any) -> None:
        raise AssertionError("trained or timed again")

    monkeypatch.setattr(training._Loop, "run", never)
    assert report(*QUICK, "--seed", "5", "--out", str(folder)) == found
    assert report(str(folder / "run.toml"), "--out", str(folder)) == found
    assert f"kept in     {folder}" in qnn_train(*QUICK, "--seed", "5", "--out", str(folder)).output


def test_a_damaged_model_is_made_again_from_its_checkpoint(tmp_path: Path) -> None:
    found = report(*QUICK, "--out", str(tmp_path))
    (tmp_path / MODEL_FILE).write_bytes(b"\0" * 1000)
    assert without_times(report(*QUICK, "--out", str(tmp_path))) == without_times(found)
    assert (tmp_path / MODEL_FILE).stat().st_size > 1000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--set", "embedding_dim=4"), "options.embedding_dim = 16, and this one has 4"),
        (("--set", "batch_size=100"), "training.batch_size = 4096, and this one has 100"),
        (("--set", "chunk_rows=100"), "training.chunk_rows = 'none', and this one has 100"),
        (("--seed", "6"), "seed = 5, and this one has 6"),
        (("--split-seed", "1"), "split_seed = 0, and this one has 1"),
    ],
)
def test_a_folder_keeps_one_run(run: tuple[Path, dict[str, Any]], change: tuple[str, ...], message: str) -> None:
    result = qnn_train(*QUICK, *(() if "--seed" in change else ("--seed", "5")), *change, "--out", str(run[0]))
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_a_run_that_kept_nothing_binds_nobody(run: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_bytes((run[0] / "run.toml").read_bytes())
    found = report(*QUICK, "--seed", "6", "--out", str(tmp_path))
    assert found["seed"] == 6
    assert tomllib.loads((tmp_path / "run.toml").read_text())["seed"] == 6


def test_another_model_is_named_before_its_options(run: tuple[Path, dict[str, Any]]) -> None:
    result = qnn_train("--dataset", "planted", "--model", "fm", "--out", str(run[0]))
    assert result.exit_code == 2
    assert "has that of model = 'dnn', and this one has 'fm'" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no key dataset; add one"),
        ("dataset = 3", "dataset: must be str, however: 3"),
        ('dataset = "planted"\nmodle = "fm"', "however: 'modle' (did you mean 'model'?)"),
        ('dataset = "planted"\nmodel = "fmm"', "model: must be one of"),
        ('dataset = "planted"\nseed = "one"', "seed: must be int, however: 'one'"),
        ('dataset = "planted"\noptions = 3', "options is a table, however: 3"),
        ('dataset = "planted"\nmodel = "dnn"\n[options]\nlayers = 2', "options: must be one of"),
        ('dataset = "planted"\n[options]\nrows = "two"', "options.rows: must be int, however: 'two'"),
        ('dataset = "planted"\n[training]\nrate = 1', "however: 'rate'"),
        ('dataset = "planted"\n[training]\nlearning_rate = 0.0', "learning_rate is positive, however"),
        ('dataset = "no-such"', "a data set is known by name, however: 'no-such'"),
        ('dataset = "gone.toml"', "gone.toml is not a file"),
        ("dataset = ", "not TOML"),
    ],
)
def test_a_file_that_is_wrong_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(text)
    result = qnn_train(str(tmp_path / "run.toml"))
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


@pytest.mark.parametrize("option", [("--dataset", "planted"), ("--seed", "1"), ("--set", "rows=2"), ("--format", "T9")])
def test_a_file_says_it_all(option: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('dataset = "planted"')
    result = qnn_train(str(tmp_path / "run.toml"), *option)
    assert result.exit_code == 2
    assert f"{option[0]} does so too" in result.output


def test_neither_a_data_set_nor_a_file_is_named() -> None:
    result = qnn_train()
    assert result.exit_code == 2
    assert "Missing option '--dataset', or the file of a run" in result.output
