import dataclasses
from pathlib import Path

import pytest
import torch

from qnn_models.data.encoding.encoder import Encoder
from qnn_models.data.planted import planted_dataset
from qnn_models.models.registry import build
from qnn_models.serving.trained import MODEL_FILE, load_trained, save_trained
from qnn_models.training.checkpoint import write_checkpoint


def test_a_model_comes_back_with_its_weights_layout_and_vocabulary(tmp_path: Path) -> None:
    dataset = planted_dataset(rows=(50, 20, 20)).dataset
    model = build("dnn", dataset.layout, seed=3, hidden_units=5, batch_norm=True)
    ids = dataset.split("test").ids
    model(ids)  # moves the running statistics, which must be kept too
    save_trained(
        tmp_path / "run",
        model,
        dataset,
        name="dnn",
        options={"hidden_units": 5, "batch_norm": True},
        split_seed=4,
        report={"test_auc": 0.75},
    )
    found = load_trained(tmp_path / "run")
    assert torch.equal(found.model(ids), model.eval()(ids))
    assert (found.name, found.dataset, found.split_seed, found.content_hash) == (
        "dnn",
        "planted",
        4,
        dataset.content_hash,
    )
    assert found.layout == dataset.layout
    assert found.report == {"test_auc": 0.75}
    rows = dataset.encoder.decode(ids)
    encoder = Encoder.load(found.vocabulary)
    assert torch.equal(encoder.encode_tensor(rows), ids)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.name = "fm"  # type: ignore[misc]


def test_folders_without_a_model_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make one with `qnn train --out`"):
        load_trained(tmp_path)
    (tmp_path / MODEL_FILE).write_bytes(b"no model")
    with pytest.raises(ValueError, match="make it again with `qnn train --out`"):
        load_trained(tmp_path)


def test_weights_of_another_version_are_refused(tmp_path: Path) -> None:
    dataset = planted_dataset(rows=(50, 20, 20)).dataset
    model = build("fm", dataset.layout, seed=0)
    save_trained(tmp_path, model, dataset, name="fm", options={}, split_seed=0, report={})
    from qnn_models.training.checkpoint import read_checkpoint

    weights, origin = read_checkpoint(tmp_path / MODEL_FILE)
    del weights["bias"]
    write_checkpoint(tmp_path / MODEL_FILE, weights, origin)
    with pytest.raises(ValueError, match=r"such as bias: absent in the file, \(\) in the model"):
        load_trained(tmp_path)
