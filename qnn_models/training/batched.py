"""Many trainings of one architecture as one: stacked parameters, one forward and backward pass, each model its own run.

The models differ in start values, seed, learning rates, L2 term, clipping, patience and number of epochs. They take their steps
together: `torch.func.vmap` turns each operation of the network into one over all models, such as a matrix product into a batch of
them. All else is the single training's own code: the parameters of each model are views into the stack, and its optimizer,
order of batches, masks, learning rate, early stop and evaluation are those it has when it is trained alone.

On a GPU, where a small model's step is bound by the launch of its operations, K models cost little more than one. On a CPU they
cost K times one, and alone they also have the fused gate of `layers.gate`: there, processes side by side are the better use.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.overrides import TorchFunctionMode

from qnn_models.data.layout import Split
from qnn_models.evaluation.evaluate import resolve_device
from qnn_models.layers.dropout import Dropout, own_streams
from qnn_models.layers.layer import QuadraticLayer
from qnn_models.models.network import CTRModel, QNNAlphaNetwork, QuadraticNetwork
from qnn_models.runtime.distributed import ALONE
from qnn_models.training.batches import Dataset
from qnn_models.training.config import TrainConfig, TrainResult
from qnn_models.training.loop import _Loop
from qnn_models.training.losses import objective
from qnn_models.training.safeguards import FiniteGuard, backend, explained_memory

__all__ = ["OWN_SETTINGS", "train_many"]

OWN_SETTINGS = (
    "seed",
    "learning_rate",
    "learning_rate_decay",
    "min_learning_rate",
    "patience",
    "max_epochs",
    "embedding_l2",
    "gradient_clip",
)
"""Settings in which models that are trained together may differ."""


def train_many(
    models: Sequence[CTRModel],
    dataset: Dataset,
    configs: Sequence[TrainConfig],
    *,
    device: str = "auto",
) -> list[TrainResult | FloatingPointError | ValueError]:
    """Train models of one architecture together; each ends as `qnn_models.training.loop.train` would have left it alone.

    "As alone" is within rounding: a batch of matrix products sums in another order than one by one, which in single precision
    differs by about 1e-7 at each step. Order of batches, dropout masks (on the CPU) and all decisions come from the same code and
    seeds. On CUDA the masks of all models come from the device's one generator, so there a model is as if trained alone by
    another seed.

    Args:
        models: of the classes `QuadraticNetwork` or `QNNAlphaNetwork`, with the same options but for their seeds; moved to the
            device and changed in place.
        dataset: as for `train`.
        configs: one per model; they may differ in `OWN_SETTINGS`.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Returns:
        For each model its result, or the error that `train` would have raised for it when its loss or its scores are no longer
        finite; the others go on. Training times are shares: those of the common steps, divided by the number of models in them.

    Raises:
        ValueError: models or settings do not go together, or a setting has no batched form.
        MemoryError: the batches of all models do not fit; says what to lower.
    """
    _check(models, configs)
    place = resolve_device(device)
    with ExitStack() as stack:
        for model in models:
            stack.enter_context(own_streams(model, place))
        stack.enter_context(backend(configs[0], place))
        stack.enter_context(explained_memory(configs[0]))
        together = _Together(
            [
                _Loop(model, dataset, config, device=place, progress=False, processes=ALONE)
                for model, config in zip(models, configs, strict=True)
            ]
        )
        return together.run()


def _check(models: Sequence[CTRModel], configs: Sequence[TrainConfig]) -> None:
    if not models or len(models) != len(configs):
        raise ValueError(
            f"Each model has its settings, and there is a model, however: {len(models)} models, {len(configs)} settings."
        )
    for config in configs:
        if config.compile:
            raise ValueError("Models that are trained together are not compiled, however: compile=True; leave it out.")
        for key, value in asdict(config).items():
            common = getattr(configs[0], key)
            if key not in OWN_SETTINGS and value != common:
                raise ValueError(
                    f"Models that are trained together share all settings but {', '.join(OWN_SETTINGS)}, however: "
                    f"{key}={common!r} and {value!r}; train them in two groups."
                )
    for model in models:
        if type(model) not in (QuadraticNetwork, QNNAlphaNetwork):
            raise ValueError(
                f"Models that are trained together are QuadraticNetwork or QNNAlphaNetwork, however: {type(model).__name__}; "
                "train it alone."
            )
        if _architecture(model) != _architecture(models[0]):
            raise ValueError(
                "Models that are trained together have the same options, however: their parts differ; train them in two groups."
            )
    if len({id(model) for model in models}) < len(models):
        raise ValueError("Each training changes a model of its own, however: one model is given twice; build another.")


def _architecture(model: CTRModel) -> tuple[Any, ...]:
    """All that decides what a network computes, besides its parameters."""
    shapes = tuple((name, tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items())
    formats = tuple(module.format for module in model.modules() if isinstance(module, QuadraticLayer))
    return type(model), repr(model), shapes, formats


class _Together:
    """The trainings, step by step in common."""

    def __init__(self, loops: list[_Loop]) -> None:
        self.loops = loops
        self.outcomes: dict[_Loop, TrainResult | FloatingPointError | ValueError] = {}
        for loop in loops[1:]:
            loop.batches.in_memory = loops[0].batches.in_memory  # one copy of the data for all

    def run(self) -> list[TrainResult | FloatingPointError | ValueError]:
        active = self.loops
        while active:
            self._train_epoch(active)
            for loop in active:
                if loop not in self.outcomes:
                    self._close_epoch(loop)
            active = [loop for loop in active if loop not in self.outcomes]
        return [self.outcomes[loop] for loop in self.loops]

    def _train_epoch(self, active: list[_Loop]) -> None:
        guards = [FiniteGuard(loop.state, loop.config, loop.device) for loop in active]
        stack, start = _Stack(active), time.perf_counter()
        for batches in zip(*(loop.batches.shuffled(loop.state.epoch) for loop in active), strict=True):
            losses = stack.step(batches)
            for loop, guard, batch, loss in zip(active, guards, batches, losses, strict=True):
                if loop in self.outcomes:
                    continue  # it stays in the stack until the epoch's end, and changes no more
                loop.state.batch += 1
                loop.state.updates += 1
                loop.state.rows += len(batch)
                try:
                    guard.add(loss, loop._update(), rows=len(batch))
                except FloatingPointError as error:
                    self.outcomes[loop] = error
        for loop, guard in zip(active, guards, strict=True):
            try:
                guard.flush()
            except FloatingPointError as error:
                self.outcomes[loop] = error
            loop.state.seconds = (time.perf_counter() - start) / len(active)
        stack.release()

    def _close_epoch(self, loop: _Loop) -> None:
        try:
            loop._validate()
            if loop.state.finished:
                self.outcomes[loop] = loop._end()
        except ValueError as error:
            self.outcomes[loop] = error


class _Stack:
    """The parameters of all models as one tensor each, of which the models' own parameters are views while it is in use."""

    def __init__(self, loops: Sequence[_Loop]) -> None:
        first = loops[0]
        self.chunk_rows = first.config.chunk_rows
        self.models = [loop.model for loop in loops]
        self.objective = _Objective(_plain_twin(self.models), first.config)
        parameters = [dict(model.named_parameters()) for model in self.models]
        states = [model.state_dict(keep_vars=True) for model in self.models]
        self.own = {f"model.{name}": [owned[name] for owned in parameters] for name in parameters[0]}
        self.parameters = {name: _joined(tensors).requires_grad_() for name, tensors in self.own.items()}
        self.buffers = {
            f"model.{name}": _joined([state[name] for state in states])
            for name in states[0]
            if name not in parameters[0]
        }

    def step(self, batches: Sequence[Split]) -> Tensor:
        """Give each model the gradient of its batch; returns the losses, shape ``(models,)``."""
        if any(batch.weights is not None for batch in batches):
            raise ValueError(
                "Models that are trained together take rows that count alike, however: these have weights."
            )
        ids, labels = torch.stack([batch.ids for batch in batches]), torch.stack([batch.labels for batch in batches])
        rows = labels.shape[1]
        chunk_rows = self.chunk_rows or rows
        for tensor in self.parameters.values():
            tensor.grad = None
        totals = labels.new_zeros(len(batches))
        for start in range(0, rows, chunk_rows):
            part = slice(start, start + chunk_rows)
            losses = self._losses(ids[:, part], labels[:, part]) * (labels[:, part].shape[1] / rows)
            losses.sum().backward()
            totals += losses.detach()
        for name, tensors in self.own.items():
            grads = self.parameters[name].grad
            for index, tensor in enumerate(tensors):
                tensor.grad = None if grads is None else grads[index]
        return totals

    def _losses(self, ids: Tensor, labels: Tensor) -> Tensor:
        def loss(parameters: dict[str, Tensor], buffers: dict[str, Tensor], ids: Tensor, labels: Tensor) -> Tensor:
            return functional_call(self.objective, (parameters, buffers), (ids, labels))

        with _PlainOperations():
            return vmap(loss, randomness="different")(self.parameters, self.buffers, ids, labels)

    def release(self) -> None:
        """Give each model tensors of its own again."""
        for model in self.models:
            for tensor in model.state_dict(keep_vars=True).values():
                tensor.data = tensor.data.clone()


class _Objective(nn.Module):
    """Ids and labels to the mean loss of their rows."""

    def __init__(self, model: CTRModel, config: TrainConfig) -> None:
        super().__init__()
        self.model, self.name = model, config.loss
        self.autocast = config.precision == "bfloat16"

    def forward(self, ids: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=self.autocast):
            return objective(self.model.forward, self.model.forward_pair, self.model.regularisation, self.name)(
                ids, labels
            )


class _PlainOperations(TorchFunctionMode):
    """While it is on, fused operations step aside for plain ones, which `vmap` knows how to batch."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


class _ManyDropout(Dropout):
    """On the CPU, each model's own masks inside `vmap`: from its own stream, in the order in which it draws them alone."""

    def __init__(self, own: Sequence[Dropout]) -> None:
        super().__init__(own[0].p)
        self.own = tuple(own)  # in a tuple, so that they are no sub-modules

    def mask(self, like: Tensor) -> Tensor:
        """A fresh mask for each model."""
        return _Masks.apply(like.detach(), self)


class _Masks(torch.autograd.Function):
    """The masks of `_ManyDropout`; `vmap` hands it the stacked tensor of all models."""

    @staticmethod
    def forward(like: Tensor, dropout: _ManyDropout) -> Tensor:
        raise RuntimeError("Masks of many models are drawn inside vmap, however: called outside of it.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], like: Tensor, dropout: _ManyDropout) -> tuple[Tensor, int]:
        by_model = like.movedim(in_dims[0] or 0, 0)
        return torch.stack([own.mask(part) for own, part in zip(dropout.own, by_model, strict=True)]), 0


def _plain_twin(models: Sequence[CTRModel]) -> CTRModel:
    """A copy of the first model whose dropout layers draw for all models."""
    twin = copy.deepcopy(models[0])
    for name, module in models[0].named_modules():
        if isinstance(module, Dropout):
            own = [model.get_submodule(name) for model in models]
            twin.set_submodule(name, _ManyDropout([part for part in own if isinstance(part, Dropout)]))
    return twin.train()


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors as one, with a leading axis; each becomes a view of its part."""
    joined = torch.stack([tensor.detach() for tensor in tensors])
    for tensor, part in zip(tensors, joined, strict=True):
        tensor.data = part
    return joined
