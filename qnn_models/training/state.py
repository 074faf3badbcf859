"""Where a training stands, and how a folder keeps it: the state of the last write, and the weights of the best epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from qnn_models.training.checkpoint import optimizer_tensors, read_checkpoint, write_checkpoint

__all__ = ["CHECKPOINT_FILE", "TrainState", "check_identity", "read_state", "with_prefix", "write_state"]

CHECKPOINT_FILE = "checkpoint.safetensors"


@dataclass(slots=True)
class TrainState:
    """Where a training stands, between two steps. All of it is JSON."""

    epoch: int = 1
    batch: int = 0
    updates: int = 0
    loss_sum: float = 0.0
    rows: int = 0
    seconds: float = 0.0
    learning_rate: float = 0.0
    stalled: int = 0
    best_epoch: int = 0
    constant_logloss: float = 0.0
    finished: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)


def write_state(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    best: Mapping[str, Tensor] | None,
    state: TrainState,
    *,
    identity: Mapping[str, Any],
    dropout: Any,
) -> None:
    """Write the best weights under a new name, then the state that names them, then drop what no state names.

    Args:
        folder: where.
        model: its parameters and buffers are kept.
        optimizer: its state is kept.
        best: the weights of the best epoch, where they are not yet in the folder.
        state: where the training stands.
        identity: what must be equal for the state to be of the training that reads it.
        dropout: states of the streams of masks, by process.
    """
    if best is not None:
        write_checkpoint(_best_file(folder, state.best_epoch), best, {})
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"optimizer.{name}": tensor for name, tensor in optimizer_tensors(optimizer).items()}
    header = {"identity": identity, "loop": asdict(state), "dropout": dropout}
    write_checkpoint(folder / CHECKPOINT_FILE, tensors, header)
    for path in folder.glob("best-*.safetensors"):
        if path != _best_file(folder, state.best_epoch):
            path.unlink(missing_ok=True)


def check_identity(folder: Path, identity: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Refuse the state of another training.

    Raises:
        ValueError: the identities differ; names the first key in which they do.
    """
    differing = sorted(key for key in identity.keys() | found.keys() if identity.get(key) != found.get(key))
    if differing:
        key = differing[0]
        raise ValueError(
            f"A checkpoint goes on with the training it was written by, however: {folder} has "
            f"{key}={found.get(key)!r} and this training {identity.get(key)!r}; give another folder or the same settings."
        )


def read_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """Tensors and state of the checkpoint in a folder, with the best weights as ``best.``; no state where there is none."""
    if not (folder / CHECKPOINT_FILE).is_file():
        return {}, None
    tensors, state = read_checkpoint(folder / CHECKPOINT_FILE)
    if state["loop"]["best_epoch"]:
        best = read_checkpoint(_best_file(folder, state["loop"]["best_epoch"]))[0]
        tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    return tensors, state


def _best_file(folder: Path, epoch: int) -> Path:
    return folder / f"best-{epoch}.safetensors"


def with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start so, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
