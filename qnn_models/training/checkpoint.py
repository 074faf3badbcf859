"""Tensors and their story in one file: safetensors whose header carries JSON, written whole or not at all.

One file cannot be half of one state and half of another, so a process may be killed at any moment. A checksum over all that the
file holds is compared whenever it is read: what a failing disk or a bad copy has changed is an error, never other numbers. No
pickle is read or written: a checkpoint from a stranger can be wrong, but it cannot run code.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from qnn_models.runtime.whole_file import appearing

__all__ = ["load_model_state", "load_optimizer_state", "optimizer_tensors", "read_checkpoint", "write_checkpoint"]

_STATE, _CHECKSUM = "state", "sha256"
_log = logging.getLogger(__name__)


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write tensors and JSON-able state to `path`; whoever reads it sees the old file or the new one, each whole.

    Args:
        path: the file; its folder is made.
        tensors: by name; they may live on any device.
        state: anything `json` writes, floats to the last bit.

    Raises:
        ValueError: the state holds NaN or infinities, which JSON has not.
        OSError: the file cannot be written, as on a full disk; names it.
    """
    text = json.dumps(state, allow_nan=False)
    # Cloned, as safetensors refuses tensors that share memory, and views are no business of a file.
    kept = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    header = {_STATE: text, _CHECKSUM: _checksum(kept, text)}
    with appearing(path) as temporary:
        try:
            save_file(kept, temporary, header)
        except SafetensorError as error:  # its text is all that it tells of the system's error
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]) if number else errno.EIO, str(error)) from error


def read_checkpoint(path: Path, *, remedy: str = "") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (on the CPU) and state of a checkpoint, its checksum compared.

    Args:
        path: the file.
        remedy: how to get it again, for the error; without one, to begin anew.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not one that `write_checkpoint` wrote, or was changed since.
    """
    remedy = remedy or f"delete the folder {path.parent} and start again"
    if not path.is_file():
        raise FileNotFoundError(f"A checkpoint is a file, however: there is none at {path}; {remedy}.")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no dict)
        if header.keys() - {_STATE, _CHECKSUM} or _STATE not in header:
            raise ValueError(f"its header holds {', '.join(sorted(header)) or 'nothing'}")
        if _CHECKSUM not in header:
            _log.warning("%s was written before files had checksums, so nobody can tell whether it is whole.", path)
        elif _checksum(tensors, header[_STATE]) != header[_CHECKSUM]:
            raise ValueError("its content is not what its checksum was made of")
        state = json.loads(header[_STATE])
        if not isinstance(state, dict):
            raise ValueError(f"its state is {type(state).__name__}, no object")
        return tensors, state
    except (SafetensorError, ValueError) as error:
        raise ValueError(
            f"A checkpoint is a safetensors file as it was written, with JSON in its header, however: {path} is not ({error}); "
            f"{remedy}."
        ) from None


def _checksum(tensors: Mapping[str, Tensor], text: str) -> str:
    """SHA-256 over the names, types, shapes and bytes of tensors and over the text."""
    found = hashlib.sha256()
    for part in (text, *sorted(tensors)):
        found.update(f"{len(part.encode())}:".encode() + part.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def load_model_state(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy parameters and buffers into a model.

    Raises:
        ValueError: names or shapes differ from the model's.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if expected != found:
        differing = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        first = differing[0]
        raise ValueError(
            f"A checkpoint fits the model it was written from, however: {len(differing)} tensors differ, such as "
            f"{first}: {found.get(first, 'absent')} in the file, {expected.get(first, 'absent')} in the model; "
            "build the model with the same options."
        )
    model.load_state_dict(dict(tensors))


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State of an optimizer whose state is all tensors (Adam's is), by ``parameter index.name``."""
    return {
        f"{index}.{name}": tensor
        for index, entries in optimizer.state_dict()["state"].items()
        for name, tensor in entries.items()
    }


def load_optimizer_state(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` took; settings such as the learning rate stay as they are."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
