"""What stands around a training: torch's switches, an end at numbers that are not finite, a word on lack of memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from qnn_models.runtime.allocator import keep_freed_memory
from qnn_models.training.config import TrainConfig
from qnn_models.training.state import TrainState

__all__ = ["FiniteGuard", "backend", "explained_memory"]

_CUDA_CHECK_STEPS = 32


class FiniteGuard:
    """Sums the losses of an epoch and stops at the first that is not finite.

    Reading a number from a GPU waits for it, so there the numbers are read some steps at a time.
    """

    def __init__(self, state: TrainState, config: TrainConfig, device: torch.device) -> None:
        self._state, self._config = state, config
        self._pending: list[tuple[int, int, Tensor]] = []
        self._every = _CUDA_CHECK_STEPS if device.type == "cuda" else 1

    def add(self, loss: Tensor, norm: Tensor, *, rows: int) -> None:
        """Take the numbers of the step that ends the batch of the state."""
        self._pending.append((self._state.batch, rows, torch.stack([loss, norm])))
        if len(self._pending) >= self._every:
            self.flush()

    def flush(self) -> None:
        """Read all numbers not yet read.

        Raises:
            FloatingPointError: one is not finite; names epoch, batch and settings.
        """
        if not self._pending:
            return
        values = torch.stack([pair for _, _, pair in self._pending]).double().tolist()
        state, config = self._state, self._config
        for (batch, rows, _), (loss, norm) in zip(self._pending, values, strict=True):
            if not (abs(loss) < float("inf") and norm < float("inf")):
                raise FloatingPointError(
                    f"Loss and gradient must be finite, however: loss={loss}, gradient norm={norm} in epoch {state.epoch}, "
                    f"batch {batch} (loss {config.loss}, learning_rate={state.learning_rate}, batch_size={config.batch_size}, "
                    f"precision={config.precision}, seed={config.seed}); lower learning_rate or gradient_clip, or add BatchNorm."
                )
            state.loss_sum += loss * rows
        self._pending.clear()


@contextmanager
def backend(config: TrainConfig, device: torch.device) -> Iterator[None]:
    """Torch's global switches as this training needs them, and as they were afterwards."""
    if device.type != "cuda":
        keep_freed_memory()
        yield
        return
    deterministic, matmul = torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.set_float32_matmul_precision("high" if config.precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(deterministic)
        torch.set_float32_matmul_precision(matmul)


@contextmanager
def explained_memory(config: TrainConfig) -> Iterator[None]:
    """Say what to lower when memory runs out."""
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)):
            raise
        raise MemoryError(
            f"A batch and the model must fit in memory, however: batch_size={config.batch_size}, "
            f"chunk_rows={config.chunk_rows}; lower chunk_rows (same result, except with BatchNorm), batch_size, or the "
            "model's embedding_dim, rows or layers."
        ) from error
