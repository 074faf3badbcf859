from pathlib import Path

import pytest
import torch
from torch import nn

from qnn_models.training import checkpoint
from qnn_models.training.checkpoint import (
    load_model_state,
    load_optimizer_state,
    optimizer_tensors,
    read_checkpoint,
    write_checkpoint,
)


def test_tensors_and_state_come_back_to_the_bit(tmp_path: Path) -> None:
    base = torch.rand(4, 6, dtype=torch.float64)
    tensors = {"half": base[:, ::2], "whole": base, "same": base, "count": torch.tensor(3), "low": base.bfloat16()}
    state = {"loss": 0.1 + 0.2, "words": [2**64 - 1], "nested": {"name": "µ"}}
    write_checkpoint(tmp_path / "new" / "file", tensors, state)
    found, found_state = read_checkpoint(tmp_path / "new" / "file")
    assert found_state == state
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(found[name], tensor)
        assert found[name].dtype == tensor.dtype


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(tensors: object, path: str, metadata: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("No space left on device")

    path = tmp_path / "file"
    write_checkpoint(path, {"a": torch.ones(1)}, {"n": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_checkpoint(path, {"a": torch.zeros(1)}, {"n": float("nan")})
    monkeypatch.setattr(checkpoint, "save_file", disk_full)
    with pytest.raises(OSError, match="No space"):
        write_checkpoint(path, {"a": torch.zeros(1)}, {"n": 2})
    assert read_checkpoint(path)[1] == {"n": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("content", [b"", b"text", b"\x10\x00\x00\x00\x00\x00\x00\x00{}              "])
def test_other_files_are_no_checkpoints(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"delete the folder .* and start again"):
        read_checkpoint(path)
    with pytest.raises(FileNotFoundError, match="there is none"):
        read_checkpoint(tmp_path / "absent")


def test_a_cut_file_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_checkpoint(path, {"a": torch.ones(100)}, {})
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match="is not"):
        read_checkpoint(path)


def test_weights_of_another_model_are_named() -> None:
    with pytest.raises(
        ValueError, match=r"1 tensors differ, such as weight: \(2, 3\) in the file, \(3, 3\) in the model"
    ):
        load_model_state(nn.Linear(3, 3, bias=False), {"weight": torch.ones(2, 3)})


def test_an_optimizer_goes_on_as_if_it_had_not_stopped() -> None:
    def steps(parameter: nn.Parameter, optimizer: torch.optim.Optimizer, count: int) -> None:
        for _ in range(count):
            parameter.grad = parameter.detach() ** 2
            optimizer.step()

    whole = nn.Parameter(torch.linspace(-1, 1, 9))
    cut = nn.Parameter(whole.detach().clone())
    steps(whole, torch.optim.Adam([whole], lr=0.1, fused=True), 5)
    first = torch.optim.Adam([cut], lr=0.1, fused=True)
    steps(cut, first, 3)
    second = torch.optim.Adam([cut], lr=0.1, fused=True)
    load_optimizer_state(second, {name: tensor.clone() for name, tensor in optimizer_tensors(first).items()})
    steps(cut, second, 2)
    assert torch.equal(cut, whole)
