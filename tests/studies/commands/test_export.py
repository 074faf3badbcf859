from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from qnn_models.data.planted import planted_dataset
from qnn_models.models.registry import build
from qnn_models.serving.trained import load_trained, save_trained
from studies.cli import main


def export(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["export", *map(str, arguments)])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    dataset = planted_dataset(rows=(20, 20, 30)).dataset
    options = {"embedding_dim": 4}
    model = build("fm", dataset.layout, seed=1, **options)
    save_trained(tmp_path / "run", model, dataset, name="fm", options=options, split_seed=0, report={})
    return tmp_path / "run"


def test_the_program_lies_in_the_run_and_gives_the_models_logits(run: Path) -> None:
    result = export(run, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["file"] == str(run / "model.pt2")
    assert report["size_bytes"] == (run / "model.pt2").stat().st_size
    ids = torch.full((4, 6), 3, dtype=torch.int32)
    program = torch.export.load(run / "model.pt2").module()
    with torch.no_grad():
        torch.testing.assert_close(program(ids), load_trained(run).model(ids))


def test_mistakes_are_one_clear_line(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for arguments, message, code in (
        ((tmp_path,), "make one with `qnn train --out`", 2),
        ((run, "--format", "tflite"), "is not one of", 2),
        ((run, "--format", "onnx"), "pip install 'qnn-toolkit[export]'", 1),
    ):
        result = export(*arguments)
        assert result.exit_code == code, result.output
        assert message in result.output
        assert "Traceback" not in result.output
