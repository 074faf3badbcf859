"""Exported programs: equal to the model for every model and batch size, whole or absent, and free of this package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from qnn_models.models.network import CTRModel
from qnn_models.models.registry import build, model_names
from qnn_models.serving import export as module
from qnn_models.serving.export import DESCRIPTION, export, random_ids
from tests.qnn_models.models.test_network import Fields


def trained(name: str = "qnn-alpha", **options: Any) -> CTRModel:
    """A model whose logits are not tiny and whose norms have seen data."""
    widths = {} if name == "lr" else {"embedding_dim": 4}
    model = build(name, Fields(), seed=0, **widths, **options)
    with torch.no_grad():
        model.embedding.weight.normal_(std=0.7, generator=torch.Generator().manual_seed(0))
        model.train()
        for seed in range(5):
            model(random_ids(model, rows=64, seed=seed))
    return model.eval()


def logits(model: CTRModel, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(ids)


@pytest.mark.parametrize("name", model_names())
def test_every_model_exports_and_gives_its_own_logits(name: str, tmp_path: Path) -> None:
    model = trained(name)
    done = export(model, tmp_path / "model.pt2")
    assert (done.path, done.rows) == (tmp_path / "model.pt2", 264)
    assert done.size_bytes == done.path.stat().st_size
    program = torch.export.load(done.path).module()
    for rows in (1, 2, 33):
        ids = random_ids(model, rows=rows, seed=rows + 100)
        torch.testing.assert_close(program(ids), logits(model, ids), rtol=1e-4, atol=1e-4)
    assert done.difference <= 1e-4 * max(1.0, float(logits(model, random_ids(model, rows=2000, seed=1)).abs().max()))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("quadratic", {"format": "T2", "projection": 6}),
        ("quadratic", {"format": "QNN-alpha", "gate_norm": True}),
        ("quadratic", {"format": "T19", "gate_norm": True, "post_activation": "prelu", "post_norm": True}),
        ("qnn-alpha", {"heads": 2, "head_layout": "released"}),
        ("qnn-alpha", {"mid_activation": "gelu"}),
    ],
)
def test_options_of_the_quadratic_models_export(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    model = trained(name, **options)
    export(model, tmp_path / "model.pt2")
    ids = random_ids(model, rows=50, seed=9)
    found = torch.export.load(tmp_path / "model.pt2").module()(ids)
    torch.testing.assert_close(found, logits(model, ids), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "options"),
    [("qnn-alpha", {}), ("quadratic", {"format": "T2", "post_activation": "relu", "post_norm": True})],
)
def test_onnx_gives_the_models_logits(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install -e '.[export]'")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed: pip install -e '.[export]'")
    model = trained(name, **options)
    done = export(model, tmp_path / "model.onnx", format="onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"], "weights lie in the same file"
    session = onnxruntime.InferenceSession(done.path, providers=["CPUExecutionProvider"])
    described = json.loads(session.get_modelmeta().custom_metadata_map[DESCRIPTION])
    assert [field["name"] for field in described["fields"]] == list(Fields().names)
    for rows in (1, 40):
        ids = random_ids(model, rows=rows, seed=rows)
        (found,) = session.run(None, {"ids": ids.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), logits(model, ids), rtol=1e-4, atol=1e-4)


def test_the_program_runs_without_this_package_and_says_what_it_reads(tmp_path: Path) -> None:
    model = trained()
    export(model, tmp_path / "model.pt2")
    ids = random_ids(model, rows=5, seed=3)
    code = (
        "import json, sys, torch\n"
        f"extra = {{{DESCRIPTION!r}: ''}}\n"
        "program = torch.export.load('model.pt2', extra_files=extra).module()\n"
        f"logits = program(torch.tensor({ids.tolist()}, dtype=torch.int32))\n"
        "ours = [name for name in sys.modules if name.startswith('qnn')]\n"
        f"print(json.dumps([logits.tolist(), json.loads(extra[{DESCRIPTION!r}])['fields'], ours]))\n"
    )
    ran = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    found, fields, ours = json.loads(ran.stdout)
    torch.testing.assert_close(torch.tensor(found), logits(model, ids), rtol=1e-4, atol=1e-4)
    assert fields[2] == {"name": "genres", "columns": 3, "ids": 4}
    assert not ours


def test_a_difference_is_an_error_and_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained()
    honest = module.serving_form

    def wrong(given: CTRModel) -> torch.nn.Module:
        served = honest(given)
        with torch.no_grad():
            served.head.bias += 0.01  # type: ignore[union-attr]
        return served

    monkeypatch.setattr(module, "serving_form", wrong)
    (tmp_path / "model.pt2").write_bytes(b"what was there before")
    with pytest.raises(ValueError, match=r"differ by 0\.01 in a batch of 1; nothing was written"):
        export(model, tmp_path / "model.pt2")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("model.pt2", b"what was there before")]


def test_a_model_is_left_as_it_is(tmp_path: Path) -> None:
    model = trained()
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    export(model, tmp_path / "model.pt2")
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_unknown_formats_and_missing_libraries_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="exported as torch or onnx, however: format='tflite'"):
        export(trained(), tmp_path / "m", format="tflite")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"onnxruntime is not installed; pip install 'qnn-toolkit\[export\]'"):
        export(trained(), tmp_path / "m.onnx", format="onnx")
    assert not list(tmp_path.iterdir())
