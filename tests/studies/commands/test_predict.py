from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import torch
from click.testing import CliRunner, Result

from qnn_models.data.planted import planted_dataset
from qnn_models.models.registry import build
from qnn_models.serving.trained import save_trained
from studies.cli import main


def predict(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["predict", *map(str, arguments), "--device", "cpu"])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    dataset = planted_dataset(rows=(20, 20, 30)).dataset
    model = build("fm", dataset.layout, seed=1)
    save_trained(tmp_path / "run", model, dataset, name="fm", options={}, split_seed=0, report={})
    dataset.encoder.decode(dataset.split("test").ids).write_csv(tmp_path / "rows.csv")
    return tmp_path / "run"


def test_the_file_stands_beside_the_rows(run: Path) -> None:
    result = predict(run, run.parent / "rows.csv")
    assert result.exit_code == 0, result.output
    assert f"{run.parent / 'rows.predictions.csv'}: 30 rows" in result.output
    found = pl.read_csv(run.parent / "rows.predictions.csv")["probability"]
    assert len(found) == 30
    assert torch.tensor(found.to_list()).sub(0.5).abs().max() < 0.01, "an untrained model knows nothing"


def test_out_names_file_and_type(run: Path, tmp_path: Path) -> None:
    assert predict(run, run.parent / "rows.csv", "--out", tmp_path / "new" / "p.parquet").exit_code == 0
    assert pl.read_parquet(tmp_path / "new" / "p.parquet").height == 30


def test_mistakes_are_one_clear_line(run: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ((tmp_path, run.parent / "rows.csv"), "make one with `qnn train --out`"),
        ((run, tmp_path / "none.csv"), "none.csv is none"),
        ((run, run.parent / "rows.csv", "--out", tmp_path / "p.txt"), "written as .csv"),
    ):
        result = predict(*arguments)
        assert result.exit_code == 2, result.output
        assert message in result.output
        assert "Traceback" not in result.output


def test_rows_may_come_and_go_by_the_standard_streams(run: Path) -> None:
    text = (run.parent / "rows.csv").read_text()
    result = CliRunner().invoke(main, ["predict", str(run), "-", "--keep", "f0", "--device", "cpu"], input=text)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "f0,probability"
    assert len(lines) == 31
    assert [line.split(",")[0] for line in lines[1:]] == pl.read_csv(text.encode())["f0"].cast(pl.String).to_list()


def test_a_pattern_names_several_files(run: Path) -> None:
    rows = pl.read_csv(run.parent / "rows.csv")
    rows[:10].write_csv(run.parent / "day-1.csv")
    rows[10:].write_csv(run.parent / "day-2.csv")
    result = predict(run, run.parent / "day-*.csv", "--out", run.parent / "p.csv")
    assert "p.csv: 30 rows" in result.output
    assert "none fits" in predict(run, run.parent / "month-*.csv").output
