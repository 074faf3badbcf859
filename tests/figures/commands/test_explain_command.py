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
from qnn_models.serving import independent_fields
from qnn_models.serving.anova import anova
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
    assert (report["exact"], report["rows"], report["order"]) == (True, 300, 2)
    pairs = [entry for entry in report["interactions"] if len(entry["fields"]) == 2]
    assert sorted(entry["fields"] for entry in pairs[:2]) == [["f0", "f1"], ["f2", "f3"]]
    assert sum(entry["share"] for entry in report["interactions"]) == pytest.approx(1, abs=0.05)
    assert report["rest_share"] == pytest.approx(0, abs=1e-9), "one layer of T9 has pairs at most"
    names = ["interactions.csv", "interactions.pdf", "interactions.png"]
    assert [Path(file).name for file in report["files"]] == names
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == names
    assert (tmp_path / "new" / "out" / "interactions.pdf").read_bytes().startswith(b"%PDF")
    table = pl.read_csv(tmp_path / "new" / "out" / "interactions.csv")
    assert len(table) == 6 + 15
    assert table["strength"].to_list() == sorted(table["strength"].to_list(), reverse=True)
    assert table["share"].sum() == pytest.approx(1)


def test_the_numbers_are_those_of_all_rows_of_the_split(run: Path, tmp_path: Path) -> None:
    options = ("--rows", "100000", "--split", "valid", "--out", str(tmp_path), "--order", "1", "--json")
    report = json.loads(explain(str(run), *options).stdout)
    model, ids = load_trained(run).model, load("planted").split("valid").ids
    effects = anova(model, ids, order=1)
    assert report["rows"] == 4000
    assert (report["mean"], report["variance"]) == (effects.mean, effects.variance)
    assert [(e["fields"], e["variance"]) for e in report["interactions"]] == [
        (list(effect.names), effect.variance) for effect in effects.effects
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["interactions.csv"], (
        "one field at a time has no pairs to draw"
    )
    report = json.loads(explain(str(run), "--monomials", *options).stdout)
    found = contributions(model, ids, order=1)
    assert report["constant"] == float(found.by_set[()].mean())
    assert [(e["fields"], e["strength"], e["mean"]) for e in report["interactions"]] == [
        (list(i.names), i.strength, i.mean) for i in interactions(found)
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "exact: all combinations of values"),
        (("--monomials",), "polynomial: the model is a polynomial"),
        (("--row", "3"), "this row: logit "),
    ],
)
def test_the_same_call_writes_the_same_bytes(run: Path, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    outputs = []
    for name in ("a", "b"):
        result = explain(str(run), "--rows", "50", "--top", "2", "--out", str(tmp_path / name), *options)
        assert result.exit_code == 0, result.output
        assert said in result.stdout
        assert result.stdout.count(" × ") <= 2
        outputs.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(("option", "column"), [("--monomials", "mean"), (None, "value")])
def test_one_row_is_explained_with_the_signs_of_its_effects(
    run: Path, tmp_path: Path, option: str | None, column: str
) -> None:
    options = ("--row", "17", "--order", "6", "--top", "100", "--rows", "40", "--out", str(tmp_path), "--json")
    report = json.loads(explain(str(run), *options, *([option] if option else [])).stdout)
    model = load_trained(run).model.double()
    with torch.no_grad():
        logit = float(model(load("planted").split("test").ids[17:18]))
    table = pl.read_csv(tmp_path / "interactions.csv")
    constant = report["constant"] if option else report["mean"]
    assert table[column].sum() + constant == pytest.approx(logit, abs=1e-9)
    values = [entry[column] for entry in report["interactions"]]
    assert [abs(value) for value in values] == sorted((abs(value) for value in values), reverse=True)
    assert {value > 0 for value in values} == {True, False}


def test_a_network_that_cannot_be_enumerated_is_estimated_with_errors(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (str(run), "--rows", "100", "--out", str(tmp_path))
    exact = json.loads(explain(*options, "--json").stdout)
    monkeypatch.setattr(independent_fields, "_MOST_EVALUATIONS", 0)
    found = json.loads(explain(*options, "--json", "--draws", "300").stdout)
    assert (exact["exact"], found["exact"]) == (True, False)
    by_name = {tuple(entry["fields"]): entry for entry in exact["interactions"]}
    for entry in found["interactions"]:
        if tuple(entry["fields"]) in by_name:
            truth = by_name[tuple(entry["fields"])]
            assert abs(entry["variance"] - truth["variance"]) < 5 * entry["variance_error"]
    shown = explain(*options, "--draws", "50", "--row", "1").stdout
    assert "estimated: there are too many combinations" in shown
    assert "±" in shown


def test_orders(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = (str(run), "--orders", "--rows", "100", "--out", str(tmp_path))
    exact = json.loads(explain(*options, "--json").stdout)
    assert [entry["order"] for entry in exact["orders"]] == ["1", "2", "3", "4", "5 and more"]
    shares = [entry["share"] for entry in exact["orders"]]
    assert shares == pytest.approx([shares[0], 1 - shares[0], 0, 0, 0], abs=1e-9)
    assert 0.05 < shares[0] < 0.95
    assert all(entry["low"] == entry["share"] == entry["high"] for entry in exact["orders"])
    names = ["orders.csv", "orders.pdf", "orders.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert pl.read_csv(tmp_path / "orders.csv")["share"].to_list() == pytest.approx(shares)
    assert sum(entry["theory"] for entry in exact["orders"]) == pytest.approx(1)
    assert exact["embedding_std"] > 0.05
    monkeypatch.setattr(independent_fields, "_MOST_EVALUATIONS", 0)
    found = json.loads(explain(*options, "--json", "--order", "2", "--draws", "2000").stdout)
    assert not found["exact"]
    for entry, truth in zip(found["orders"][:2], shares, strict=False):
        assert entry["low"] < entry["share"] < entry["high"]
        assert abs(entry["share"] - truth) < 2.5 * (entry["high"] - entry["share"])
    assert "estimated, with 95 % intervals" in explain(*options, "--draws", "2000").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--row", "4000"), "rows 0 to 3999, however: --row 4000"),
        (("--order", "7"), "1 to 6 fields, as many as the data, however: order=7"),
        (("--split", "tes"), "not one of"),
        (("--orders", "--row", "1"), "over all rows, and centred, however: --row stands beside it"),
        (("--orders", "--monomials"), "however: --monomials stands beside it"),
        (("--orders", "--draws", "100"), "at least 512 draws here, however: draws=100"),
        (("--draws", "1"), "1 is not in the range"),
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
