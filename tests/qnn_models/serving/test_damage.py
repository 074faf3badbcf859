"""A flipped bit or a cut in any file of a run is an error that names the file; never another model, in silence."""

from __future__ import annotations

import logging
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from qnn_models.data.encoding.encoder import Encoder
from qnn_models.data.planted import planted_dataset
from qnn_models.models.registry import build
from qnn_models.serving.trained import MODEL_FILE, VOCABULARY_FILE, load_trained, save_trained
from qnn_models.training import checkpoint
from qnn_models.training.checkpoint import read_checkpoint, write_checkpoint
from qnn_models.training.config import TrainConfig
from qnn_models.training.loop import train
from qnn_models.training.state import CHECKPOINT_FILE

FILES = (MODEL_FILE, VOCABULARY_FILE)
CONFIG = TrainConfig(batch_size=64, max_epochs=2, patience=9)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model with the state of its training, as `qnn train --out` leaves it."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    dataset = planted_dataset(rows=(200, 60, 60), vocabulary_sizes=(5, 5, 5), pairs=[(0, 1)]).dataset
    model = build("dnn", dataset.layout, seed=0, hidden_units=4, batch_norm=True)
    train(model, dataset, CONFIG, device="cpu", checkpoint=folder / "checkpoint")
    options = {"hidden_units": 4, "batch_norm": True}
    save_trained(folder, model, dataset, name="dnn", options=options, split_seed=0, report={"test_auc": 0.75})
    return folder


def everything(folder: Path) -> tuple[object, ...]:
    """All that a run holds, comparable to the bit."""
    found = load_trained(folder)
    weights = {name: tensor.numpy().tobytes() for name, tensor in found.model.state_dict().items()}
    encoder = Encoder.load(found.vocabulary)
    vocabularies = tuple(tuple(tokens) for tokens in encoder.vocabularies)
    facts = (found.name, found.options, found.layout, found.dataset, found.split_seed, found.content_hash, found.report)
    return weights, vocabularies, encoder.schema, facts


def read_or_refused(folder: Path) -> tuple[object, ...] | str:
    """All that a run holds, or why it is not read."""
    try:
        return everything(folder)
    except ValueError as error:
        return str(error)


def flips(size: int, *, count: int, seed: int) -> Iterator[tuple[int, int]]:
    """Positions of a file, its first and last bytes among them, with a bit each."""
    draw = random.Random(seed)
    ends = [*range(min(16, size)), *range(max(0, size - 16), size)]
    for position in (*ends, *(draw.randrange(size) for _ in range(count))):
        yield position, 1 << draw.randrange(8)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_found_or_changes_nothing(name: str, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    whole, content = everything(run), (run / name).read_bytes()
    found = 0
    for position, bit in flips(len(content), count=300, seed=1):
        damaged = bytearray(content)
        damaged[position] ^= bit
        (folder / name).write_bytes(damaged)
        outcome = read_or_refused(folder)
        if isinstance(outcome, str):
            assert name in outcome
            assert "make it again with `qnn train --out`" in outcome
            found += 1
        else:
            assert outcome == whole, f"bit {bit} of byte {position}"
    assert found >= 300


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_is_found(name: str, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    content = (run / name).read_bytes()
    lengths = {*range(20), *range(0, len(content), max(1, len(content) // 40)), len(content) - 1, len(content) - 8}
    for length in lengths:
        (folder / name).write_bytes(content[:length])
        with pytest.raises(ValueError, match=name):
            load_trained(folder)
    (folder / name).write_bytes(content + b"\0")
    with pytest.raises(ValueError, match=name):
        load_trained(folder)
    (folder / name).unlink()
    with pytest.raises((ValueError, FileNotFoundError), match=name):
        load_trained(folder)


def test_files_of_two_runs_do_not_go_together(run: Path, tmp_path: Path) -> None:
    other = planted_dataset(rows=(200, 60, 60), vocabulary_sizes=(5, 6, 5), pairs=[(0, 1)]).dataset
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    other.encoder.save(folder / VOCABULARY_FILE)
    with pytest.raises(ValueError, match=r"not the file whose checksum model\.safetensors holds"):
        load_trained(folder)


def test_a_training_does_not_go_on_from_a_damaged_state(run: Path, tmp_path: Path) -> None:
    dataset = planted_dataset(rows=(200, 60, 60), vocabulary_sizes=(5, 5, 5), pairs=[(0, 1)]).dataset
    model = build("dnn", dataset.layout, seed=0, hidden_units=4, batch_norm=True)
    files = sorted((run / "checkpoint").glob("*.safetensors"))  # the history is no part of the state
    assert [file.name[:4] for file in files] == ["best", "chec"]
    assert files[1].name == CHECKPOINT_FILE
    for file in files:
        content = file.read_bytes()
        folder = tmp_path / file.stem
        for position, bit in flips(len(content), count=20, seed=2):
            shutil.copytree(run / "checkpoint", folder, dirs_exist_ok=True)
            damaged = bytearray(content)
            damaged[position] ^= bit
            (folder / file.name).write_bytes(damaged)
            with pytest.raises(ValueError, match=f"{file.name} is not .*; delete the folder .* and start again"):
                train(model, dataset, CONFIG, device="cpu", checkpoint=folder)
    shutil.copytree(run / "checkpoint", tmp_path / "whole")
    train(model, dataset, CONFIG, device="cpu", checkpoint=tmp_path / "whole")


def test_every_bit_of_a_small_checkpoint_counts(tmp_path: Path) -> None:
    path = tmp_path / "file"
    tensors = {
        "a": torch.tensor([1.5, 0.0]),
        "b": torch.tensor(3),
        "none": torch.empty(0, 2),
        "low": torch.ones(3).bfloat16(),
    }
    write_checkpoint(path, tensors, {"n": 0.1, "word": "µ"})
    content, whole = path.read_bytes(), read_checkpoint(path)
    for position in range(len(content)):
        for bit in (position % 8, 5):  # bit 5 makes another letter of a letter
            damaged = bytearray(content)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                found, state = read_checkpoint(path)
            except ValueError:
                continue
            assert state == whole[1]
            assert all(torch.equal(found[name], tensor) for name, tensor in whole[0].items())


def test_files_without_checksums_are_read_with_a_word(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, origin = read_checkpoint(run / MODEL_FILE)
    old = {key: value for key, value in origin.items() if key != "vocabulary_sha256"}
    shutil.copytree(run, tmp_path / "run")
    real = checkpoint.save_file

    def save_without_checksum(tensors: object, path: str, metadata: dict[str, str]) -> None:
        real(tensors, path, {"state": metadata["state"]})

    monkeypatch.setattr(checkpoint, "save_file", save_without_checksum)
    write_checkpoint(tmp_path / "run" / MODEL_FILE, weights, old)
    with caplog.at_level(logging.WARNING):
        assert everything(tmp_path / "run") == everything(run)
    words = [record.getMessage() for record in caplog.records]
    assert len(words) == 2
    assert all("before" in word and "nobody can tell whether it is whole" in word for word in words)
