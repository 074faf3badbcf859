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

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from qnn_models.data.layout import Split
from qnn_models.evaluation.evaluate import Evaluation, evaluate, resolve_device, slices
from qnn_models.evaluation.metrics import constant_log_loss
from qnn_models.layers.batch_norm import synchronised
from qnn_models.layers.dropout import dropout_state, load_dropout_state, own_streams, seed_dropout
from qnn_models.layers.embedding import FieldEmbedding
from qnn_models.models.network import CTRModel
from qnn_models.runtime.distributed import ALONE, Processes, explained_loss
from qnn_models.runtime.seeds import derive
from qnn_models.training.batches import Batches, Dataset
from qnn_models.training.callbacks import Callback, Callbacks, StepRecord, write_history
from qnn_models.training.checkpoint import load_model_state, load_optimizer_state, optimizer_tensors
from qnn_models.training.config import EpochRecord, TrainConfig, TrainResult
from qnn_models.training.losses import objective
from qnn_models.training.prior import start_at_log_odds
from qnn_models.training.safeguards import FiniteGuard, backend, explained_memory
from qnn_models.training.state import TrainState, check_identity, read_state, with_prefix, write_state

__all__ = ["train", "train_pass"]

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def train(
    model: CTRModel,
    dataset: Dataset,
    config: TrainConfig,
    *,
    device: str = "auto",
    checkpoint: str | Path | None = None,
    checkpoint_steps: int | None = None,
    progress: bool = False,
    callbacks: Sequence[Callback] = (),
    optimizer_state: dict[str, Tensor] | None = None,
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
        checkpoint: folder of the training's state and `history.csv`, written after each epoch. When it holds the state of the
            same training, that one goes on from there.
        checkpoint_steps: also write the state after every so many steps.
        progress: show a bar per epoch.
        callbacks: told of steps, epochs and the end; one may end the training.
        optimizer_state: takes Adam's state as it is after the chosen epoch, for `train_pass`.
        processes: who trains; see `qnn_models.runtime.distributed.launched`.

    Raises:
        ValueError: a setting does not fit the model, the checkpoint is of another training, a split has one class only, or
            `optimizer_state` is asked for beside a checkpoint, which does not keep it.
        FloatingPointError: loss or gradient is NaN or infinite; names epoch, batch and settings.
        MemoryError: the batch does not fit; says what to lower.
        ProcessLostError: another process ended; says how to go on.
    """
    if optimizer_state is not None and checkpoint is not None:
        raise ValueError(
            "A checkpoint keeps no optimizer's state of the best epoch, however: both are asked for; leave one."
        )
    place = resolve_device(processes.device_name(device))
    with (
        own_streams(model, place),
        backend(config, place),
        explained_memory(config),
        explained_loss(processes),
        synchronised(model, processes),
    ):
        shown = progress and processes.first
        told = Callbacks(callbacks, processes)
        loop = _Loop(model, dataset, config, device=place, progress=shown, processes=processes, callbacks=told)
        loop.best_optimizer = optimizer_state
        return loop.run(None if checkpoint is None else Path(checkpoint), checkpoint_steps)


def train_pass(
    model: CTRModel,
    dataset: Dataset,
    config: TrainConfig,
    *,
    device: str = "auto",
    optimizer_state: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Go once through the training rows, without validation, as when a new day's rows have come.

    Args:
        model: moved to the device and changed in place.
        dataset: of which the split ``train`` is read.
        config: the settings; what is about epochs has no meaning here.
        device: as for `train`.
        optimizer_state: Adam's, where the rows before have left one.

    Returns:
        Adam's state at the end.

    Raises:
        FloatingPointError: loss or gradient is NaN or infinite.
        MemoryError: the batch does not fit; says what to lower.
    """
    place = resolve_device(device)
    with own_streams(model, place), backend(config, place), explained_memory(config):
        loop = _Loop(model, dataset, config, device=place, progress=False, processes=ALONE)
        if optimizer_state:
            load_optimizer_state(loop.optimizer, dict(optimizer_state))
            loop._set_learning_rate()
        loop._train_epoch(None, None)
        return {name: tensor.detach().cpu() for name, tensor in optimizer_tensors(loop.optimizer).items()}


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
        callbacks: Callbacks | None = None,
    ) -> None:
        rows_per_step = config.rows_per_step(dataset.num_rows("train"))
        norms = sum(isinstance(module, _BATCH_NORMS) for module in model.modules())
        if config.chunk_rows is not None and config.chunk_rows < rows_per_step and norms:
            raise ValueError(
                "Chunks add up to the gradient of the whole batch only without BatchNorm, which reads the batch, however: "
                f"chunk_rows={config.chunk_rows} and {norms} BatchNorm layers; leave chunk_rows out."
            )
        self.model, self.dataset, self.config = model.to(device), dataset, config
        self.device, self.progress, self.processes = device, progress, processes
        self.callbacks = callbacks or Callbacks((), processes)
        self.tables = [module.weight for module in model.modules() if isinstance(module, FieldEmbedding)]
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(self.parameters, lr=config.learning_rate, fused=True)
        self.state = TrainState(learning_rate=config.learning_rate)
        self.best: dict[str, Tensor] = {}
        self.best_optimizer: dict[str, Tensor] | None = None
        forward, pair = model.forward, model.forward_pair
        if config.compile:
            forward, pair = torch.compile(forward), torch.compile(pair)
        self.loss = objective(forward, pair, model.regularisation, config.loss)
        self.batches = Batches(dataset, config, device)
        if config.prior_bias:
            start_at_log_odds(model, self.batches)
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
        test = evaluate(self.model, self.batches.in_order("test"), processes=self.processes, calibration=True)
        result = self._result(test)
        self.callbacks.end(result)
        return result

    def _train_epoch(self, folder: Path | None, checkpoint_steps: int | None) -> None:
        state, config = self.state, self.config
        self.model.train()
        steps = -(-self.dataset.num_rows("train") // self.batches.rows_per_step)
        guard = FiniteGuard(state, config, self.device)
        best = max((entry["valid_auc"] for entry in state.history), default=None)
        title = f"epoch {state.epoch}" + (f", best validation AUC {best:.4f}" if best is not None else "")
        with tqdm(
            total=steps, initial=state.batch, desc=title, disable=None if self.progress else True, leave=False
        ) as bar:
            start = time.perf_counter() - state.seconds
            for batch in islice(self.batches.shuffled(state.epoch), state.batch, None):
                loss, norm = self._step(batch)
                state.batch += 1
                state.updates += 1
                state.rows += len(batch)
                guard.add(loss, norm, rows=len(batch))
                if self.callbacks.hear_steps:
                    guard.flush()
                    done = StepRecord(state.epoch, state.batch, state.updates, float(loss), state.learning_rate)
                    self.callbacks.step(done)
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
                loss = self.loss(chunk.ids, chunk.labels, chunk.weights) * (len(chunk) / len(batch))
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
        found = evaluate(self.model, self.batches.in_order("valid"), processes=self.processes)
        record = EpochRecord(
            state.epoch, state.loss_sum / state.rows, found.auc, found.logloss, state.learning_rate, state.seconds
        )
        improved = not state.history or self._monitored(asdict(record)) > max(map(self._monitored, state.history))
        state.constant_logloss = constant_log_loss(found.mean_label)
        state.history.append(asdict(record))
        if improved:
            state.best_epoch, state.stalled = state.epoch, 0
            self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
            if self.best_optimizer is not None:
                self.best_optimizer.clear()
                self.best_optimizer |= {
                    k: v.detach().cpu().clone() for k, v in optimizer_tensors(self.optimizer).items()
                }
        else:
            state.stalled += 1
            state.learning_rate = max(state.learning_rate * config.learning_rate_decay, config.min_learning_rate)
            self._set_learning_rate()
        wanted = self.callbacks.epoch(record)
        state.finished = wanted or state.stalled >= config.patience or state.epoch >= config.max_epochs
        if not state.finished:
            state.epoch += 1
            self._seed_dropout()
        state.batch, state.loss_sum, state.rows, state.seconds = 0, 0.0, 0, 0.0
        return improved

    def _monitored(self, record: Mapping[str, Any]) -> float:
        """What an epoch must improve."""
        penalty = record["valid_logloss"] if self.config.monitor == "auc-logloss" else 0.0
        return float(record["valid_auc"] - penalty)

    def _seed_dropout(self, *since: int) -> None:
        """Start the masks of the current epoch, from its first batch or, in a stream of their own, from a later one on."""
        process = (self.processes.rank,) if self.processes.rank or since else ()
        seed_dropout(self.model, derive(self.config.seed, "dropout", self.state.epoch, *process, *since))

    def _set_learning_rate(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.state.learning_rate

    def _identity(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be of this training."""
        return {
            "model": type(self.model).__name__,
            "dataset": self.dataset.content_hash,
            "device": self.device.type,
            **{f"config.{key}": value for key, value in asdict(self.config).items()},
        }

    def _save(self, folder: Path, *, best_changed: bool) -> None:
        """Keep the state in the folder; process 0 writes, with the streams of all."""
        dropout = self.processes.gather_json(dropout_state(self.model))
        if self.processes.first:
            best, identity = self.best if best_changed else None, self._identity()
            write_state(folder, self.model, self.optimizer, best, self.state, identity=identity, dropout=dropout)
            write_history(folder, self.state.history)

    def _resume(self, folder: Path) -> None:
        """Go on from the folder's state, where process 0 finds one."""
        tensors, stored = self.processes.from_first(*read_state(folder) if self.processes.first else ({}, None))
        if stored is None:
            return
        check_identity(folder, self._identity(), stored["identity"])
        load_model_state(self.model, with_prefix(tensors, "model."))
        load_optimizer_state(self.optimizer, with_prefix(tensors, "optimizer."))
        self.state = TrainState(**stored["loop"])
        self._set_learning_rate()
        self.best = with_prefix(tensors, "best.")
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
            constant_logloss=self.state.constant_logloss,
            test_auc=test.auc,
            test_logloss=test.logloss,
            test_calibration_error=test.calibration_error or 0.0,
            test_mean_label=test.mean_label,
            test_mean_prediction=test.mean_prediction,
            train_seconds_per_epoch=median(record.train_seconds for record in history),
            inference_us_per_row=test.us_per_row,
            num_parameters=sum(parameter.numel() for parameter in self.model.parameters()),
            device=str(self.device),
            updates=self.state.updates,
        )
