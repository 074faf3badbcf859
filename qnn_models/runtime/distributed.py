"""Several processes that train one model on shares of each batch: who they are, and what they tell one another.

Started by ``torchrun``, on one machine or many; gloo carries what is on the CPU and NCCL what is on CUDA. Gradients are summed by
one `all_reduce` per tensor rather than by torch's own wrapper: a gradient here is a sum of chunks, to which the embedding's L2
term is added once, after all processes' shares are together.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["ALONE", "ProcessLostError", "Processes", "explained_loss", "launched"]

TIMEOUT = timedelta(minutes=10)
"""How long a process waits for the others in one exchange before it gives up."""

_PREPARATION_TIMEOUT = timedelta(days=1)


class ProcessLostError(RuntimeError):
    """Another process of the training ended, or did not answer in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """This process among those of one training. With ``count=1`` every exchange returns what it was given.

    All processes make the same exchanges in the same order; torch's default process group carries them.

    Attributes:
        rank: number of this process, from 0; process 0 writes files and shows progress.
        count: how many there are, on all machines.
        local_rank: number of this process on its machine, which is that of its CUDA device.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this is process 0."""
        return self.rank == 0

    def device_name(self, name: str) -> str:
        """The device of this process when a user asks for `name`: among several, ``auto`` and ``cuda`` are its own card."""
        if self.count > 1 and (name == "cuda" or (name == "auto" and torch.cuda.is_available())):
            return f"cuda:{self.local_rank}"
        return name

    def share(self, rows: int) -> slice:
        """Which of so many rows this process takes: consecutive, as many as the others' or one fewer, perhaps none."""
        return slice(rows * self.rank // self.count, rows * (self.rank + 1) // self.count)

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over the processes; all end with the same bits."""
        if self.count > 1:
            pending = [dist.all_reduce(tensor, async_op=True) for tensor in tensors]
            for work in pending:
                work.wait()

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors with those of process 0."""
        if self.count > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def gather_rows(self, rows: Tensor) -> Tensor:
        """The rows of all processes, in the order of their ranks: ``(n_r, ...) -> (Σ n_r, ...)``."""
        if self.count == 1:
            return rows
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.count)]
        dist.all_gather(sizes, torch.tensor([len(rows)]))
        counts = [int(size) for size in sizes]
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, counts, strict=True)])

    def gather_json(self, value: Any) -> list[Any]:
        """A JSON value of each process, by rank."""
        if self.count == 1:
            return [value]
        text = json.dumps(value)  # on one line
        lines = self.gather_rows(torch.frombuffer(bytearray(f"{text}\n".encode()), dtype=torch.uint8))
        return [json.loads(line) for line in lines.numpy().tobytes().splitlines()]

    def from_first(self, tensors: Mapping[str, Tensor], state: Any) -> tuple[dict[str, Tensor], Any]:
        """Tensors on the CPU and a JSON value as process 0 has them; what the others pass is ignored."""
        if self.count == 1:
            return dict(tensors), state
        kinds = [(name, str(t.dtype).removeprefix("torch."), list(t.shape)) for name, t in tensors.items()]
        kinds, state = self.gather_json([kinds, state] if self.first else None)[0]
        mine = tensors if self.first else {name: torch.empty(s, dtype=getattr(torch, kind)) for name, kind, s in kinds}
        self.copy_first(mine[name] for name, _, _ in kinds)
        return dict(mine), state

    @contextmanager
    def one_per_machine_first(self) -> Iterator[None]:
        """Let one process of each machine go through the block before the others, as to encode data that they then open."""
        if self.count == 1:
            yield
            return
        patient = dist.new_group(backend="gloo", timeout=_PREPARATION_TIMEOUT)
        with explained_loss(self):
            if self.local_rank:
                dist.barrier(patient)
            yield
            if not self.local_rank:
                dist.barrier(patient)


ALONE = Processes()


@contextmanager
def launched() -> Iterator[Processes]:
    """The processes that ``torchrun`` started, connected while the block runs; `ALONE` in a process it did not start.

    Raises:
        ProcessLostError: the processes do not find one another.
    """
    if not dist.is_torchelastic_launched():
        yield ALONE
        return
    rank, count, local_rank = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    processes = Processes(rank=rank, count=count, local_rank=local_rank)
    cuda = torch.cuda.is_available()
    if local_rank < torch.cuda.device_count():
        torch.cuda.set_device(local_rank)
    with _told_when_terminated(processes):
        with explained_loss(processes):
            dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=TIMEOUT)
        yield processes
        dist.destroy_process_group()


@contextmanager
def explained_loss(processes: Processes) -> Iterator[None]:
    """Turn the transport's errors into `ProcessLostError`, which says how to go on."""
    try:
        yield
    except RuntimeError as error:
        if processes.count == 1 or isinstance(error, ProcessLostError) or not _is_transport(error):
            raise
        raise ProcessLostError(_lost(processes, _reason(error))) from error


def _is_transport(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or "gloo" in str(error).lower()


def _reason(error: RuntimeError) -> str:
    """The first sentence, without the place in the transport's source that it starts with."""
    return re.sub(r"^\[[^\]]*\] *", "", str(error).strip()).splitlines()[0].split(". ")[0]


def _lost(processes: Processes, reason: str) -> str:
    return (
        f"A training goes on while all its processes do, however: process {processes.rank} of {processes.count} "
        f"lost the others ({reason}); start the same command again. Where it keeps checkpoints it goes on from the last one, "
        "with any number of processes."
    )


@contextmanager
def _told_when_terminated(processes: Processes) -> Iterator[None]:
    """Say why before SIGTERM ends the process: ``torchrun`` sends it to all when one of them has died.

    Python runs a signal's handler between two of its own instructions, and not while the main thread waits for a dead process
    inside an exchange; so a thread listens to what the interpreter writes at once.
    """
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)

    def listen() -> None:
        while received := os.read(read_end, 1):
            if received[0] == signal.SIGTERM:
                sys.stderr.write(f"Error: {_lost(processes, 'SIGTERM: stopped from outside')}\n")
                sys.stderr.flush()
                os._exit(128 + signal.SIGTERM)

    listener = threading.Thread(target=listen, daemon=True)
    handler, wakeup = signal.signal(signal.SIGTERM, lambda *_: None), signal.set_wakeup_fd(write_end)
    listener.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGTERM, handler)
        os.close(write_end)
        listener.join()
        os.close(read_end)
