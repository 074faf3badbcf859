"""``qnn explain`` on trained models: the table, the files, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from click.testing import CliRunner, Result

from qnn_models.data.planted import planted_dataset
from qnn_models.data.registry import load
from qnn_models.models import registry
from qnn_models.serving.explain import contributions, interactions
from qnn_models.serving.trained import load_trained, save_trained
from qnn_models.training.config import TrainConfig
from qnn_models.training.loop import train
from studies.cli import main


def explain(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["explain", *arguments])


def keep(folder: Path, *, epochs: int, split_seed: int = 0) -> Path:
    """A T9 network, trained for some epochs on the data set `planted` and kept."""
    dataset = load("planted", split_seed=split_seed)
    options: dict[str, Any] = {"format": "T9", "layers": 1, "embedding_dim": 8}
    model = registry.build("quadratic", dataset.layout, seed=0, **options)
    if epochs:
        train(model, dataset, TrainConfig(max_epochs=epochs, batch_size=500, learning_rate=0.01))
    save_trained(
        folder, model, dataset, name="quadratic", options=options, split_seed=split_seed, report={"dataset": "planted"}
    )
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keep(tmp_path_factory.mktemp("runs") / "t9", epochs=8)


def test_the_planted_pairs_lead_the_table_and_the_files_are_written(run: Path, tmp_path: Path) -> None:
    result = explain(str(run), "--rows", "300", "--out", str(tmp_path / "new" / "out"), "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["reading"], report["rows"], report["order"]) == ("polynomial", 300, 2)
    pairs = [entry["fields"] for entry in report["interactions"] if len(entry["fields"]) == 2]
    assert sorted(pairs[:2]) == [["f0", "f1"], ["f2", "f3"]]
    names = ["interactions.csv", "interactions.pdf", "interactions.png"]
    assert [Path(file).name for file in report["files"]] == names
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == names
    assert (tmp_path / "new" / "out" / "interactions.pdf").read_bytes().startswith(b"%PDF")
    table = pl.read_csv(tmp_path / "new" / "out" / "interactions.csv")
    assert len(table) == 6 + 15
    assert table["strength"].to_list() == sorted(table["strength"].to_list(), reverse=True)


def test_the_numbers_are_those_of_all_rows_of_the_split(run: Path, tmp_path: Path) -> None:
    result = explain(str(run), "--rows", "100000", "--split", "valid", "--out", str(tmp_path), "--order", "1", "--json")
    report = json.loads(result.stdout)
    found = contributions(load_trained(run).model, load("planted").split("valid").ids, order=1)
    assert report["rows"] == 4000
    assert report["constant"] == float(found.by_set[()].mean())
    assert [(e["fields"], e["strength"], e["mean"]) for e in report["interactions"]] == [
        (list(i.names), i.strength, i.mean) for i in interactions(found)
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["interactions.csv"], (
        "one field at a time has no pairs to draw"
    )


def test_the_same_call_writes_the_same_bytes(run: Path, tmp_path: Path) -> None:
    outputs = []
    for name in ("a", "b"):
        result = explain(str(run), "--rows", "50", "--top", "2", "--out", str(tmp_path / name))
        assert result.exit_code == 0, result.output
        assert "polynomial: the model is a polynomial" in result.stdout
        assert result.stdout.count("f0 × f1") == 1
        outputs.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert outputs[0] == outputs[1]


def test_one_row_is_explained_with_the_signs_of_its_contributions(run: Path, tmp_path: Path) -> None:
    report = json.loads(explain(str(run), "--row", "17", "--order", "6", "--out", str(tmp_path), "--json").stdout)
    model = load_trained(run).model.double()
    with torch.no_grad():
        logit = float(model(load("planted").split("test").ids[17:18]))
    table = pl.read_csv(tmp_path / "interactions.csv")
    assert report["rows"] == 1
    assert table["mean"].sum() + report["constant"] == pytest.approx(logit, abs=1e-9)
    assert (table["mean"].abs() - table["strength"]).abs().max() < 1e-15  # type: ignore[operator]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--row", "4000"), "rows 0 to 3999, however: --row 4000"),
        (("--order", "7"), "1 to 6 fields, as many as the data, however: order=7"),
        (("--split", "tes"), "not one of"),
    ],
)
def test_mistakes_are_one_clear_line(run: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    result = explain(str(run), "--out", str(tmp_path), *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_model_and_other_data_are_named(tmp_path: Path) -> None:
    assert "make one with `qnn train --out`" in explain(str(tmp_path)).output
    dataset = planted_dataset(seed=3, rows=(50, 20, 20)).dataset
    model = registry.build("lr", dataset.layout, seed=0)
    save_trained(tmp_path, model, dataset, name="lr", options={}, split_seed=0, report={"dataset": "planted"})
    result = explain(str(tmp_path))
    assert result.exit_code == 2
    assert "explained on the data set it was trained on, however: planted now holds other rows" in result.output
