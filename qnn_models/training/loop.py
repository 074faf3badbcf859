"""The training loop: Adam, a learning rate that drops when validation stalls, early stopping, the best epoch kept.

The protocol is that of the published runs (li2025qnn-code): the embedding's L2 term ``λ/2 ‖E‖²`` over the whole table is part
of the loss, its gradient ``λ E`` is added to the table's before the norm of all gradients is clipped; the learning rate is
divided by ten whenever an epoch does not improve the validation AUC, and after `patience` such epochs in a row training ends.
The test split is scored once, by the epoch that validation chose.

All randomness is derived from one seed by hash and restarts at each epoch, or is stored: a run that was killed and resumed
ends, on the CPU, with the bits of one that was not.

Several processes (`runtime.distributed`) take shares of the same batches and sum their gradients; without dropout they make
the updates of a single process within rounding, BatchNorm's statistics being those of the whole batch.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from tqdm import tqdm

from qnn_models.data.layout import Split
from qnn_models.evaluation.evaluate import Evaluation, evaluate, resolve_device, slices
from qnn_models.layers.batch_norm import synchronised
from qnn_models.layers.dropout import dropout_state, load_dropout_state, own_streams, seed_dropout
from qnn_models.layers.embedding import FieldEmbedding
from qnn_models.models.network import CTRModel
from qnn_models.runtime.allocator import keep_freed_memory
from qnn_models.runtime.distributed import ALONE, Processes, explained_loss
from qnn_models.runtime.seeds import derive
from qnn_models.training.checkpoint import (
    load_model_state,
    load_optimizer_state,
    optimizer_tensors,
    read_checkpoint,
    write_checkpoint,
)
from qnn_models.training.losses import LossName, bce, check_loss_name, is_paired, paired_loss

__all__ = ["Dataset", "EpochRecord", "TrainConfig", "TrainResult", "train"]

CHECKPOINT_FILE = "checkpoint.safetensors"
_CUDA_CHECK_STEPS = 32
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class Dataset(Protocol):
    """What training reads; `qnn_models.data.encoding.encoded.EncodedDataset` is one."""

    layout: Any
    content_hash: str

    def num_rows(self, split: str) -> int:
        """Rows of a split, without reading them."""
        ...

    def split(self, split: str) -> Split:
        """All rows of a split in memory."""
        ...

    def batches(self, split: str, *, batch_size: int, generator: torch.Generator | None = None) -> Iterator[Split]:
        """Rows of a split, streamed; shuffled when there is a generator."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Everything that decides the outcome of a training besides model and data. Defaults are the published protocol's.

    Attributes:
        seed: root of the seeds of shuffling and dropout.
        loss: see `qnn_models.training.losses`.
        batch_size: rows per step, of all processes together.
        learning_rate: Adam's, at the start.
        learning_rate_decay: factor at each epoch that does not improve the validation AUC.
        min_learning_rate: floor of the learning rate.
        patience: epochs in a row without improvement after which training ends.
        max_epochs: epochs after which it ends in any case.
        embedding_l2: λ of the term ``λ/2 ‖E‖²`` over the whole table of each embedding.
        gradient_clip: largest norm of all gradients together.
        chunk_rows: rows that go through the model at once in one process; the gradients of a batch's chunks are summed to
            the batch's own. Smaller chunks take less memory and stay in cache. None is the whole batch.
        precision: ``float32``; ``tf32`` for matrix products on CUDA; ``bfloat16`` autocast.
        compile: whether the forward pass is compiled with `torch.compile`.
        memory_gib: a split that takes more than this is streamed from disk, shuffled within a window.

    Raises:
        ValueError: a setting is out of its range.
    """

    seed: int = 0
    loss: LossName = "bce"
    batch_size: int = 4096
    learning_rate: float = 1e-3
    learning_rate_decay: float = 0.1
    min_learning_rate: float = 1e-6
    patience: int = 2
    max_epochs: int = 100
    embedding_l2: float = 0.0
    gradient_clip: float = 10.0
    chunk_rows: int | None = None
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    compile: bool = False
    memory_gib: float = 4.0

    def __post_init__(self) -> None:
        check_loss_name(self.loss)
        for name in ("batch_size", "patience", "max_epochs", "chunk_rows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is at least 1, however: {name}={value}.")
        for name in ("learning_rate", "gradient_clip", "memory_gib"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is positive, however: {name}={getattr(self, name)}.")
        for name in ("embedding_l2", "min_learning_rate"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is not negative, however: {name}={getattr(self, name)}.")
        if not 0 < self.learning_rate_decay <= 1:
            raise ValueError(f"learning_rate_decay is in (0, 1], however: {self.learning_rate_decay}.")
        if self.precision not in ("float32", "tf32", "bfloat16"):
            raise ValueError(f"precision is float32, tf32 or bfloat16, however: {self.precision!r}.")


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch: its number (from 1), mean loss (without the L2 term), validation metrics, learning rate and wall-clock time."""

    epoch: int
    train_loss: float
    valid_auc: float
    valid_logloss: float
    learning_rate: float
    train_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """Outcome of a training. The metrics are those of the epoch with the highest validation AUC.

    Attributes:
        history: one record per epoch.
        best_epoch: number of the chosen epoch, from 1.
        valid_auc: validation AUC of the chosen epoch.
        valid_logloss: its validation log loss in nats.
        test_auc: its test AUC, computed once.
        test_logloss: its test log loss in nats.
        train_seconds_per_epoch: median over the epochs, without evaluation.
        inference_us_per_row: microseconds per row of the test split's forward passes, in batches of the training's size.
        num_parameters: learned numbers, embedding tables included.
        device: where it ran.
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    valid_auc: float
    valid_logloss: float
    test_auc: float
    test_logloss: float
    train_seconds_per_epoch: float
    inference_us_per_row: float
    num_parameters: int
    device: str


def train(
    model: CTRModel,
    dataset: Dataset,
    config: TrainConfig,
    *,
    device: str = "auto",
    checkpoint: Path | None = None,
    checkpoint_steps: int | None = None,
    progress: bool = False,
    processes: Processes = ALONE,
) -> TrainResult:
    """Train a model until validation stops improving; the model then holds the weights of the best epoch.

    Among several processes each calls this with the same arguments; process 0's start values and checkpoint count. All return
    the same metrics (times are each one's own) and hold the same weights. Each process draws the dropout masks of its rows, so
    they depend on the number of processes.

    Args:
        model: moved to the device and changed in place.
        dataset: splits ``train``, ``valid`` and ``test``.
        config: the settings.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        checkpoint: folder of the training's state, written after each epoch. When it holds the state of the same training,
            that one goes on from there.
        checkpoint_steps: also write the state after every so many steps.
        progress: show a bar per epoch.
        processes: who trains; see `qnn_models.runtime.distributed.launched`.

    Raises:
        ValueError: a setting does not fit the model, the checkpoint is of another training, a split has one class only.
        FloatingPointError: loss or gradient is NaN or infinite; names epoch, batch and settings.
        MemoryError: the batch does not fit; says what to lower.
        ProcessLostError: another process ended; says how to go on.
    """
    place = resolve_device(processes.device_name(device))
    with (
        own_streams(model, place),
        _backend(config, place),
        _explained_memory(config),
        explained_loss(processes),
        synchronised(model, processes),
    ):
        shown = progress and processes.first
        loop = _Loop(model, dataset, config, device=place, progress=shown, processes=processes)
        return loop.run(checkpoint, checkpoint_steps)


@dataclass(slots=True)
class _State:
    """Where a training stands, between two steps. All of it is JSON."""

    epoch: int = 1
    batch: int = 0
    loss_sum: float = 0.0
    rows: int = 0
    seconds: float = 0.0
    learning_rate: float = 0.0
    stalled: int = 0
    best_epoch: int = 0
    finished: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)


class _Loop:
    """One training. `run` drives it; the other methods do one thing each."""

    def __init__(
        self,
        model: CTRModel,
        dataset: Dataset,
        config: TrainConfig,
        *,
        device: torch.device,
        progress: bool,
        processes: Processes,
    ) -> None:
        norms = sum(isinstance(module, _BATCH_NORMS) for module in model.modules())
        if config.chunk_rows is not None and config.chunk_rows < config.batch_size and norms:
            raise ValueError(
                "Chunks add up to the gradient of the whole batch only without BatchNorm, which reads the batch, however: "
                f"chunk_rows={config.chunk_rows} and {norms} BatchNorm layers; leave chunk_rows out."
            )
        self.model, self.dataset, self.config = model.to(device), dataset, config
        self.device, self.progress, self.processes = device, progress, processes
        self.tables = [module.weight for module in model.modules() if isinstance(module, FieldEmbedding)]
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(self.parameters, lr=config.learning_rate, fused=True)
        self.state = _State(learning_rate=config.learning_rate)
        self.best: dict[str, Tensor] = {}
        forward, pair = model.forward, model.forward_pair
        if config.compile:
            forward, pair = torch.compile(forward), torch.compile(pair)
        self.loss = objective(forward, pair, model.regularisation, config.loss)
        self.in_memory: dict[str, Split] = {}
        self._seed_dropout()

    def run(self, folder: Path | None, checkpoint_steps: int | None) -> TrainResult:
        self.processes.copy_first(self.model.state_dict().values())
        if folder is not None:
            self._resume(folder)
        while not self.state.finished:
            self._train_epoch(folder, checkpoint_steps)
            improved = self._validate()
            if folder is not None:
                self._save(folder, best_changed=improved)
        return self._end()

    def _end(self) -> TrainResult:
        """Take the best epoch's weights and score the test split."""
        self.model.load_state_dict(self.best)
        return self._result(evaluate(self.model, self._in_order("test"), processes=self.processes))

    def _train_epoch(self, folder: Path | None, checkpoint_steps: int | None) -> None:
        state, config = self.state, self.config
        self.model.train()
        batches = -(-self.dataset.num_rows("train") // config.batch_size)
        guard = _FiniteGuard(self)
        best = max((entry["valid_auc"] for entry in state.history), default=None)
        title = f"epoch {state.epoch}" + (f", best validation AUC {best:.4f}" if best is not None else "")
        with tqdm(total=batches, initial=state.batch, desc=title, disable=not self.progress, leave=False) as bar:
            start = time.perf_counter() - state.seconds
            for batch in islice(self._shuffled(), state.batch, None):
                loss, norm = self._step(batch)
                state.batch += 1
                state.rows += len(batch)
                guard.add(loss, norm, rows=len(batch))
                bar.update()
                if folder is not None and checkpoint_steps is not None and state.batch % checkpoint_steps == 0:
                    guard.flush()
                    state.seconds = time.perf_counter() - start
                    self._save(folder, best_changed=False)
            guard.flush()
            state.seconds = time.perf_counter() - start

    def _step(self, batch: Split) -> tuple[Tensor, Tensor]:
        """One update; returns the batch's loss and the norm of its gradient."""
        config = self.config
        for parameter in self.parameters:
            parameter.grad = None
        total = torch.zeros((), device=self.device)
        share = batch.part(self.processes.share(len(batch)))
        # A process without rows goes through the model all the same, as the others wait for it in BatchNorm.
        for chunk in slices(share, config.chunk_rows or len(batch)) if len(share) else [share]:
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=config.precision == "bfloat16"):
                loss = self.loss(chunk.ids, chunk.labels) * (len(chunk) / len(batch))
            loss.backward()
            total += loss.detach()
        self.processes.add([total, *(p.grad for p in self.parameters if p.grad is not None)])
        return total, self._update()

    def _update(self) -> Tensor:
        """Add the gradient of the L2 term, clip, and change the parameters; returns the norm before clipping."""
        config = self.config
        if config.embedding_l2:
            for table in self.tables:
                if table.grad is None:
                    table.grad = torch.zeros_like(table)
                table.grad.add_(table.detach(), alpha=config.embedding_l2)
        norm = nn.utils.clip_grad_norm_(self.parameters, config.gradient_clip)
        self.optimizer.step()
        return norm

    def _validate(self) -> bool:
        """Close the epoch: score it, keep it when it is the best, else lower the learning rate. True when it is the best."""
        state, config = self.state, self.config
        found = evaluate(self.model, self._in_order("valid"), processes=self.processes)
        record = EpochRecord(
            state.epoch, state.loss_sum / state.rows, found.auc, found.logloss, state.learning_rate, state.seconds
        )
        improved = not state.history or found.auc > max(entry["valid_auc"] for entry in state.history)
        state.history.append(asdict(record))
        if improved:
            state.best_epoch, state.stalled = state.epoch, 0
            self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        else:
            state.stalled += 1
            state.learning_rate = max(state.learning_rate * config.learning_rate_decay, config.min_learning_rate)
            self._set_learning_rate()
        state.finished = state.stalled >= config.patience or state.epoch >= config.max_epochs
        if not state.finished:
            state.epoch += 1
            self._seed_dropout()
        state.batch, state.loss_sum, state.rows, state.seconds = 0, 0.0, 0, 0.0
        return improved

    def _seed_dropout(self, *since: int) -> None:
        """Start the masks of the current epoch, from its first batch or, in a stream of their own, from a later one on."""
        process = (self.processes.rank,) if self.processes.rank or since else ()
        seed_dropout(self.model, derive(self.config.seed, "dropout", self.state.epoch, *process, *since))

    def _set_learning_rate(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.state.learning_rate

    def _shuffled(self) -> Iterator[Split]:
        """The batches of the current epoch, on the device. Their order depends on the seed and the epoch alone."""
        size = self.config.batch_size
        generator = torch.Generator().manual_seed(derive(self.config.seed, "shuffle", self.state.epoch))
        if self._streams("train"):
            streamed = self.dataset.batches("train", batch_size=size, generator=generator)
            return _without_single_rows(map(self._to_device, streamed))
        split = self._resident("train")
        order = torch.randperm(len(split), generator=generator).to(self.device)
        rows = (order[start : start + size] for start in range(0, len(split), size))
        return _without_single_rows(Split(split.ids.index_select(0, r), split.labels.index_select(0, r)) for r in rows)

    def _in_order(self, split: str) -> Iterable[Split]:
        """All rows of a split in their order."""
        size = self.config.batch_size
        return (
            self.dataset.batches(split, batch_size=size)
            if self._streams(split)
            else slices(self._resident(split), size)
        )

    def _streams(self, split: str) -> bool:
        columns = sum(self.dataset.layout.lengths) + 1
        return 4 * columns * self.dataset.num_rows(split) > self.config.memory_gib * 2**30

    def _resident(self, split: str) -> Split:
        """A split whose rows stay on the device."""
        if split not in self.in_memory:
            self.in_memory[split] = self._to_device(self.dataset.split(split))
        return self.in_memory[split]

    def _to_device(self, split: Split) -> Split:
        return Split(split.ids.to(self.device), split.labels.to(self.device))

    def _identity(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be of this training."""
        return {
            "model": type(self.model).__name__,
            "dataset": self.dataset.content_hash,
            "device": self.device.type,
            **{f"config.{key}": value for key, value in asdict(self.config).items()},
        }

    def _save(self, folder: Path, *, best_changed: bool) -> None:
        """Write the best weights under a new name, then the state that names them, then drop what no state names."""
        dropout = self.processes.gather_json(dropout_state(self.model))
        if not self.processes.first:
            return
        if best_changed:
            write_checkpoint(_best_file(folder, self.state.best_epoch), self.best, {})
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"optimizer.{name}": tensor for name, tensor in optimizer_tensors(self.optimizer).items()}
        state = {"identity": self._identity(), "loop": asdict(self.state), "dropout": dropout}
        write_checkpoint(folder / CHECKPOINT_FILE, tensors, state)
        for path in folder.glob("best-*.safetensors"):
            if path != _best_file(folder, self.state.best_epoch):
                path.unlink(missing_ok=True)

    def _resume(self, folder: Path) -> None:
        """Go on from the folder's state, where process 0 finds one."""
        tensors, stored = self.processes.from_first(*_stored(folder) if self.processes.first else ({}, None))
        if stored is None:
            return
        identity, found = self._identity(), stored["identity"]
        differing = sorted(key for key in identity.keys() | found.keys() if identity.get(key) != found.get(key))
        if differing:
            key = differing[0]
            raise ValueError(
                f"A checkpoint goes on with the training it was written by, however: {folder} has "
                f"{key}={found.get(key)!r} and this training {identity.get(key)!r}; give another folder or the same settings."
            )
        load_model_state(self.model, _with_prefix(tensors, "model."))
        load_optimizer_state(self.optimizer, _with_prefix(tensors, "optimizer."))
        self.state = _State(**stored["loop"])
        self._set_learning_rate()
        self.best = _with_prefix(tensors, "best.")
        if len(stored["dropout"]) == self.processes.count:
            load_dropout_state(self.model, stored["dropout"][self.processes.rank])
        else:  # written by another number of processes, whose streams are no use here
            self._seed_dropout(*([self.state.batch] if self.state.batch else []))

    def _result(self, test: Evaluation) -> TrainResult:
        history = tuple(EpochRecord(**entry) for entry in self.state.history)
        best = history[self.state.best_epoch - 1]
        return TrainResult(
            history=history,
            best_epoch=best.epoch,
            valid_auc=best.valid_auc,
            valid_logloss=best.valid_logloss,
            test_auc=test.auc,
            test_logloss=test.logloss,
            train_seconds_per_epoch=median(record.train_seconds for record in history),
            inference_us_per_row=test.us_per_row,
            num_parameters=sum(parameter.numel() for parameter in self.model.parameters()),
            device=str(self.device),
        )


class _FiniteGuard:
    """Sums the losses of an epoch and stops at the first that is not finite.

    Reading a number from a GPU waits for it, so there the numbers are read some steps at a time.
    """

    def __init__(self, loop: _Loop) -> None:
        self._loop = loop
        self._pending: list[tuple[int, int, Tensor]] = []
        self._every = _CUDA_CHECK_STEPS if loop.device.type == "cuda" else 1

    def add(self, loss: Tensor, norm: Tensor, *, rows: int) -> None:
        self._pending.append((self._loop.state.batch, rows, torch.stack([loss, norm])))
        if len(self._pending) >= self._every:
            self.flush()

    def flush(self) -> None:
        if not self._pending:
            return
        values = torch.stack([pair for _, _, pair in self._pending]).double().tolist()
        state, config = self._loop.state, self._loop.config
        for (batch, rows, _), (loss, norm) in zip(self._pending, values, strict=True):
            if not (abs(loss) < float("inf") and norm < float("inf")):
                raise FloatingPointError(
                    f"Loss and gradient must be finite, however: loss={loss}, gradient norm={norm} in epoch {state.epoch}, "
                    f"batch {batch} (loss {config.loss}, learning_rate={state.learning_rate}, batch_size={config.batch_size}, "
                    f"precision={config.precision}, seed={config.seed}); lower learning_rate or gradient_clip, or add BatchNorm."
                )
            state.loss_sum += loss * rows
        self._pending.clear()


def objective(
    forward: Callable[[Tensor], Tensor],
    pair: Callable[[Tensor], tuple[Tensor, Tensor]],
    regularisation: Callable[[Tensor], Tensor | None],
    name: LossName,
) -> Callable[[Tensor, Tensor], Tensor]:
    """Ids and labels to the mean loss of their rows (0 for no rows, which have no mean) plus the model's own term.

    Args:
        forward: ids to logits.
        pair: ids to the logits of two passes; the one that is used by a loss of two passes.
        regularisation: ids to the model's own term, or to None.
        name: the loss.
    """

    def single(ids: Tensor, labels: Tensor) -> Tensor:
        logits = _single_precision(forward(ids))
        return bce(logits, labels.to(logits.dtype)) if len(labels) else logits.sum()

    def paired(ids: Tensor, labels: Tensor) -> Tensor:
        first, second = (_single_precision(logits) for logits in pair(ids))
        if not len(labels):
            return first.sum() + second.sum()
        return paired_loss(name, first, second, labels.to(first.dtype))

    loss = paired if is_paired(name) else single

    def regularised(ids: Tensor, labels: Tensor) -> Tensor:
        term = regularisation(ids)
        return loss(ids, labels) if term is None else loss(ids, labels) + term

    return regularised


def _single_precision(logits: Tensor) -> Tensor:
    """Logits of at least single precision: those of bfloat16 autocast are too coarse for a loss."""
    return logits.float() if logits.element_size() < 4 else logits


def _stored(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
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


def _with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _without_single_rows(batches: Iterator[Split]) -> Iterator[Split]:
    """The batches, with a last one of a single row joined to the one before it: one row has no variance for BatchNorm."""
    previous: Split | None = None
    for batch in batches:
        if previous is not None and len(batch) == 1:
            batch = Split(torch.cat([previous.ids, batch.ids]), torch.cat([previous.labels, batch.labels]))
        elif previous is not None:
            yield previous
        previous = batch
    if previous is not None:
        yield previous


@contextmanager
def _backend(config: TrainConfig, device: torch.device) -> Iterator[None]:
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
def _explained_memory(config: TrainConfig) -> Iterator[None]:
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
