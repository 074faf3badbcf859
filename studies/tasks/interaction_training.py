"""Many small networks trained side by side on fresh rows, each until it has found most of what there is to find.

The networks have one architecture and one optimizer; they differ in start values and data. `torch.func.vmap` turns each operation
into one over all of them: at this size a network's step costs a third of what it costs alone. A network that is done leaves
the stack at the next evaluation. Every batch is new, so that nothing is learnt by heart: rows seen are updates times batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional

from qnn_models.data.layout import Split
from qnn_models.data.pure_interactions import PureInteractions

Optimizer: TypeAlias = Literal["adam", "sgd"]

FIRST_EVALUATION = 8
EVALUATIONS_PER_DOUBLING = 4
TEST_ROWS = 4096
HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionTraining:
    """Settings of a training.

    Attributes:
        optimizer: ``adam``, or ``sgd`` without momentum.
        learning_rate: its rate, the same throughout.
        batch_size: fresh rows per update.
        max_updates: updates after which it ends, whatever was reached.
        stop_at: it ends at the first evaluation that has this share of the attainable gain in AUC, at least half; of a mixture,
            the logit has at least half of each term then.

    Raises:
        ValueError: a setting is out of its range.
    """

    optimizer: Optimizer = "adam"
    learning_rate: float = 1e-3
    batch_size: int = 512
    max_updates: int = 2048
    stop_at: float = 0.8

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_updates"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, however: {name}={getattr(self, name)}.")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise ValueError(f"learning_rate is positive and finite, however: {self.learning_rate}.")
        if not HALF <= self.stop_at <= 1:
            raise ValueError(f"stop_at is a share of the gain from {HALF} to 1, however: {self.stop_at}.")


@dataclass(slots=True, kw_only=True)
class Curve:
    """How one network came along.

    Attributes:
        updates: updates before each evaluation, from 0.
        auc: AUC that is to be expected of fresh labels, by the true probabilities of the test rows.
        parts: share of each term of the logit that the network has, its regression coefficient on the term.
        diverged: whether training ended because the network's outputs were no longer finite.
    """

    updates: list[int] = field(default_factory=list)
    auc: list[float] = field(default_factory=list)
    parts: list[list[float]] = field(default_factory=list)
    diverged: bool = False


def evaluation_points(max_updates: int) -> list[int]:
    """0, then updates that grow by the same factor, and the last of all."""
    points, step = {0, max_updates}, 0
    while (point := round(FIRST_EVALUATION * 2 ** (step / EVALUATIONS_PER_DOUBLING))) < max_updates:
        points.add(point)
        step += 1
    return sorted(points)


def train_side_by_side(
    models: Sequence[nn.Module],
    data: Sequence[PureInteractions],
    config: InteractionTraining,
    *,
    stream_seeds: Sequence[int],
) -> list[Curve]:
    """Train each model on its own data.

    Args:
        models: of one architecture; left as they are.
        data: the law of each model's rows.
        config: the settings, the same for all.
        stream_seeds: seed of each model's rows; models of the same data and seed see the same rows in the same order.
    """
    streams = [torch.Generator().manual_seed(seed) for seed in stream_seeds]
    tests = [law.rows(TEST_ROWS, stream) for law, stream in zip(data, streams, strict=True)]
    curves = [Curve() for _ in models]
    stack = _Stack(models, config)
    active, done = list(range(len(models))), 0
    for point in evaluation_points(config.max_updates):
        while done < point:
            stack.step([data[index].rows(config.batch_size, streams[index]) for index in active])
            done += 1
        logits = stack.logits([tests[index].ids for index in active])
        for index, scores in zip(active, logits, strict=True):
            _evaluate(curves[index], scores, data[index], tests[index], done)
        kept = [place for place, index in enumerate(active) if not _finished(curves[index], data[index], config)]
        active = [active[place] for place in kept]
        if not active:
            break
        if len(kept) < stack.count:
            stack.keep(kept)
    return curves


def crossing(updates: Sequence[int], values: Sequence[float], level: float) -> float | None:
    """Updates at which a curve first reached a level, between evaluations in proportion to log(1 + updates); None for never."""
    for place, value in enumerate(values):
        if value >= level:
            if place == 0:
                return float(updates[0])
            before, share = values[place - 1], (level - values[place - 1]) / (value - values[place - 1])
            if not math.isfinite(before):
                return float(updates[place])
            low, high = math.log1p(updates[place - 1]), math.log1p(updates[place])
            return math.expm1(low + share * (high - low))
    return None


def _evaluate(curve: Curve, scores: Tensor, law: PureInteractions, test: Split, updates: int) -> None:
    curve.updates.append(updates)
    if not bool(torch.isfinite(scores).all()):
        curve.diverged = True
        curve.auc.append(0.5)
        curve.parts.append([0.0] * len(law.terms))
        return
    parts = law.parts(test.ids).double()
    curve.auc.append(_auc(scores, parts.sum(1).sigmoid()))
    curve.parts.append([float((scores.double() @ part) / (part @ part)) for part in parts.T])


def _auc(scores: Tensor, probability: Tensor) -> float:
    """The share of pairs ranked rightly that is to be expected, ties counting one half (as `planted.expected_auc`)."""
    order = scores.argsort()
    ranked, positive = scores[order], probability[order]
    negative = torch.cat([positive.new_zeros(1), (1 - positive).cumsum(0)])
    below = negative[torch.searchsorted(ranked, ranked)]
    upto = negative[torch.searchsorted(ranked, ranked, right=True)]
    own = (positive * (1 - positive)).sum()  # no row is a pair with itself
    wins = (positive * (below + upto) / 2).sum() - own / 2
    return float(wins / (positive.sum() * negative[-1] - own))


def _finished(curve: Curve, law: PureInteractions, config: InteractionTraining) -> bool:
    if curve.diverged:
        return True
    whole = len(law.terms) == 1 or all(part >= HALF for part in curve.parts[-1])  # of a mixture each term is waited for
    return whole and curve.auc[-1] >= 0.5 + config.stop_at * (law.bayes_auc - 0.5)


class _Stack:
    """The parameters of all networks as one tensor each, and what the optimizer keeps of them."""

    def __init__(self, models: Sequence[nn.Module], config: InteractionTraining) -> None:
        self.config, self.model = config, models[0]
        parameters, self.buffers = stack_module_state(list(models))
        self.parameters = {name: tensor.detach().requires_grad_() for name, tensor in parameters.items()}
        self.optimizer = self._optimizer()

    @property
    def count(self) -> int:
        return len(next(iter(self.parameters.values())))

    def _optimizer(self) -> torch.optim.Optimizer:
        tensors, rate = list(self.parameters.values()), self.config.learning_rate
        return (
            torch.optim.Adam(tensors, lr=rate, fused=True)
            if self.config.optimizer == "adam"
            else torch.optim.SGD(tensors, lr=rate, fused=True)
        )

    def step(self, batches: Sequence[Split]) -> None:
        """One update of each network by a batch of its own."""
        labels = torch.stack([batch.labels for batch in batches])

        def loss(parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], ids: Tensor, y: Tensor) -> Tensor:
            logits = functional_call(self.model, (dict(parameters), dict(buffers)), (ids,))
            return functional.binary_cross_entropy_with_logits(logits, y)

        self.optimizer.zero_grad(set_to_none=True)
        vmap(loss)(self.parameters, self.buffers, torch.stack([b.ids for b in batches]), labels).sum().backward()
        self.optimizer.step()

    @torch.no_grad()
    def logits(self, ids: Sequence[Tensor]) -> Tensor:
        """The logits of each network on rows of its own, ``(networks, rows)``; in parts that fit the cache."""

        def forward(parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], rows: Tensor) -> Tensor:
            found: Tensor = functional_call(self.model, (dict(parameters), dict(buffers)), (rows,))
            return found

        run = vmap(forward)
        return torch.cat([run(self.parameters, self.buffers, part) for part in torch.stack(list(ids)).split(512, 1)], 1)

    def keep(self, places: Sequence[int]) -> None:
        """Let the others go."""
        kept = torch.tensor(places)
        states = [self.optimizer.state[tensor] for tensor in self.parameters.values()]
        self.parameters = {name: t.detach()[kept].requires_grad_() for name, t in self.parameters.items()}
        self.buffers = {name: tensor[kept] for name, tensor in self.buffers.items()}
        self.optimizer = self._optimizer()
        for tensor, state in zip(self.parameters.values(), states, strict=True):
            if state:
                self.optimizer.state[tensor] = {
                    name: value if value.dim() == 0 else value[kept] for name, value in state.items()
                }
