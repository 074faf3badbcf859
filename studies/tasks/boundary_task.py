"""The task ``boundary``: train a small classifier on two-dimensional points and keep its probability surface (figure 2).

The network is Linear(2 -> hidden), a stack of layers of one format, Linear(hidden -> 1); trained on the whole set each step with
Adam. How smooth it came out is measured: the gradient of the logit is followed along random lines, once in coarse and once in
fine steps. Where the function is C^1 the largest change of the gradient between steps shrinks in proportion to the step
(`jump_order` near 1); across a kink it does not shrink (near 0), and then `largest_jump` is the size of the kink.
"""

from __future__ import annotations

import copy
import inspect
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import make_circles, make_moons
from torch import Tensor, nn
from torch.nn import functional

from qnn_models.evaluation.metrics import auc, log_loss
from qnn_models.layers.stack import QuadraticStack
from qnn_models.runtime.seeds import derive
from qnn_theory.grammar.expr import ActivationKind
from qnn_theory.grammar.widths import check_dim
from qnn_theory.registry import get_format
from studies.tasks.plain_task import default_together, prepare, protocol_options, protocol_training, together_key
from studies.tasks.signatures import dataclass_parameters, function_parameters
from studies.tasks.spec import RunSpec
from studies.tasks.task import Measured

__all__ = ["default_together", "prepare", "protocol_options", "protocol_training", "together_key"]

POINTS = 1000
TEST_POINTS = 300
GRID = 81
LINES = 64
FINE_STEPS = 4096
REFINEMENT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryTraining:
    """Settings of the training, all of it with Adam on the whole training set.

    Attributes:
        epochs: number of steps.
        learning_rate: Adam's.
    """

    epochs: int = 500
    learning_rate: float = 1e-2


class PlanePoints:
    """Points of the plane with labels, split into training and test rows.

    Attributes:
        train: points of the training split, ``(700, 2)``.
        train_labels: their labels, ``(700,)``.
        test: points of the test split, ``(300, 2)``.
        test_labels: their labels, ``(300,)``.
    """

    def __init__(self, name: str, split_seed: int) -> None:
        state = derive(split_seed, "points", name) % 2**32
        match name:
            case "moons":
                points, labels = make_moons(POINTS, noise=0.3, random_state=state)
            case "circles":
                points, labels = make_circles(POINTS, noise=0.1, factor=0.5, random_state=state)
            case _:
                raise ValueError(f"Points are one of {', '.join(dataset_names())}, however: {name!r}.")
        # Both generators shuffle, so the first rows are a random sample.
        x, y = torch.tensor(points, dtype=torch.float32), torch.tensor(labels, dtype=torch.float32)
        self.test, self.test_labels = x[:TEST_POINTS], y[:TEST_POINTS]
        self.train, self.train_labels = x[TEST_POINTS:], y[TEST_POINTS:]


class PlaneClassifier(nn.Module):
    """``(batch, 2) -> (batch,)`` logits through layers of one format; with ``deep``, beside an MLP as in DCNv2."""

    def __init__(
        self, format: str, *, post_activation: ActivationKind | None, hidden: int, layers: int, deep: bool, seed: int
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(derive(seed, "plane"))
        self.enter = _linear(2, hidden, generator)
        self.stack = QuadraticStack(
            format, dim=hidden, layers=layers, post_activation=post_activation, seed=derive(seed, "stack")
        )
        self.deep = (
            QuadraticStack("Linear", dim=hidden, layers=layers, post_activation="relu", seed=derive(seed, "deep"))
            if deep
            else None
        )
        self.leave = _linear(self.stack.out_dim + (hidden if deep else 0), 1, generator)

    def forward(self, x: Tensor) -> Tensor:
        """The logits; ``(batch, 2) -> (batch,)``."""
        entered = self.enter(x)
        y = self.stack(entered)
        if self.deep is not None:
            y = torch.cat([y, self.deep(entered)], dim=-1)
        return self.leave(y).squeeze(-1)


def quadratic(
    format: str, *, post_activation: ActivationKind | None = None, hidden: int = 20, layers: int = 2, deep: bool = False
) -> dict[str, object]:
    """The settings of a `PlaneClassifier`; this signature is what a study file may say."""
    return {"format": format, "post_activation": post_activation, "hidden": hidden, "layers": layers, "deep": deep}


def dataset_names() -> tuple[str, ...]:
    """Names of the point sets."""
    return ("moons", "circles")


def model_names() -> tuple[str, ...]:
    """Names of the models."""
    return ("quadratic",)


def option_parameters(model: str) -> Mapping[str, inspect.Parameter]:
    """The settings of a `PlaneClassifier`."""
    return function_parameters(quadratic)


def training_parameters() -> Mapping[str, inspect.Parameter]:
    """The settings of `BoundaryTraining`."""
    return dataclass_parameters(BoundaryTraining)


def layer_width(spec: RunSpec) -> int:
    """The width that the points are mapped to."""
    return int(spec.option("hidden") or 0)


def check(spec: RunSpec) -> None:
    """Reject an unknown format, a width that it cannot have, and settings below 1.

    Raises:
        ValueError: the width does not fit.
        KeyError: there is no such format.
    """
    options = dict(spec.options)
    format = get_format(str(options["format"]))
    check_dim(format.expr, layer_width(spec), label=format.id)
    for key, value in (("layers", options["layers"]), ("epochs", dict(spec.training)["epochs"])):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"There must be at least 1 of {key}, however: {value!r}.")
    rate = float(dict(spec.training)["learning_rate"] or 0)
    if not 0 < rate < math.inf:
        raise ValueError(f"learning_rate is positive, however: learning_rate={rate}.")


def relative_cost(spec: RunSpec) -> float:
    """Steps, with a constant for measuring the surface."""
    return 200.0 + float(dict(spec.training)["epochs"] or 0)


def run(spec: RunSpec) -> Measured:
    """Train one classifier and measure its surface."""
    options, training = dict(spec.options), BoundaryTraining(**dict(spec.training))  # type: ignore[arg-type]
    points = PlanePoints(spec.dataset, spec.split_seed)
    model = PlaneClassifier(**options, seed=spec.root_seed)  # type: ignore[arg-type]
    rows = slice(spec.train_rows)
    started = time.perf_counter()
    optimizer = torch.optim.Adam(model.parameters(), lr=training.learning_rate)
    for _ in range(training.epochs):
        optimizer.zero_grad(set_to_none=True)
        loss = functional.binary_cross_entropy_with_logits(model(points.train[rows]), points.train_labels[rows])
        loss.backward()
        optimizer.step()
    seconds = time.perf_counter() - started
    if not math.isfinite(loss.item()):
        raise ValueError(
            f"The loss must stay finite, however: {loss.item()} after {training.epochs} epochs; lower the rate."
        )
    model.eval()
    with torch.no_grad():
        train_logits, test_logits = model(points.train[rows]), model(points.test)
    everything = torch.cat([points.train, points.test])
    low, high = everything.amin(0) - 0.3, everything.amax(0) + 0.3
    return Measured(
        metrics={
            "train_accuracy": _accuracy(train_logits, points.train_labels[rows]),
            "test_accuracy": _accuracy(test_logits, points.test_labels),
            "test_auc": auc(points.test_labels, test_logits),
            "test_logloss": log_loss(points.test_labels, test_logits),
            "parameters": float(sum(parameter.numel() for parameter in model.parameters())),
            "train_seconds": seconds,
            **measured_smoothness(model, low=low, high=high, seed=derive(spec.split_seed, "lines")),
        },
        series={
            "low": low.tolist(),
            "high": high.tolist(),
            "probability": _surface(model, low, high),
            "test_points": [[round(value, 4) for value in point] for point in points.test.tolist()],
            "test_labels": [int(label) for label in points.test_labels.tolist()],
        },
    )


def measured_smoothness(model: nn.Module, *, low: Tensor, high: Tensor, seed: int) -> dict[str, float]:
    """How the gradient of a function of the plane changes along random lines in a box.

    Args:
        model: ``(batch, 2) -> (batch,)``; its parameters are read in float64 from a copy.
        low: lower corner of the box, ``(2,)``.
        high: upper corner.
        seed: seed of the lines.

    Returns:
        ``gradient_variation`` (total change of the gradient per unit length), ``largest_jump`` (largest change between fine
        steps) and ``jump_order`` (by which power of the step the largest change shrinks: 1 for C^1, 0 across a kink).
    """
    generator = torch.Generator().manual_seed(seed)
    low, high = low.double(), high.double()
    ends = low + (high - low) * torch.rand(2, LINES, 1, 2, generator=generator, dtype=torch.float64)
    steps = torch.linspace(0, 1, FINE_STEPS + 1, dtype=torch.float64).reshape(1, -1, 1)
    x = (ends[0] + (ends[1] - ends[0]) * steps).reshape(-1, 2).requires_grad_()
    double = copy.deepcopy(model).requires_grad_(False).double()
    (gradient,) = torch.autograd.grad(double(x).sum(), x)
    along = gradient.reshape(LINES, FINE_STEPS + 1, 2)
    fine = (along[:, 1:] - along[:, :-1]).norm(dim=-1)
    coarse = (along[:, REFINEMENT::REFINEMENT] - along[:, :-REFINEMENT:REFINEMENT]).norm(dim=-1)
    largest, largest_coarse = fine.max().item(), coarse.max().item()
    length = (ends[1] - ends[0]).norm(dim=-1).sum().item()
    # A function whose gradient does not change at all (a linear one) is as smooth as can be.
    order = math.log(largest_coarse / largest, REFINEMENT) if largest > 1e-12 else 1.0
    return {
        "gradient_variation": fine.sum().item() / length,
        "largest_jump": largest,
        "jump_order": order,
    }


def _surface(model: nn.Module, low: Tensor, high: Tensor) -> list[list[float]]:
    """Probabilities on a square grid, one row per value of the second coordinate."""
    first = torch.linspace(float(low[0]), float(high[0]), GRID)
    second = torch.linspace(float(low[1]), float(high[1]), GRID)
    y, x = torch.meshgrid(second, first, indexing="ij")
    with torch.no_grad():
        probability = torch.sigmoid(model(torch.stack([x, y], dim=-1).reshape(-1, 2))).reshape(GRID, GRID)
    return np.round(probability.numpy().astype(float), 4).tolist()


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float(((logits > 0) == (labels > 0.5)).double().mean())


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear map with torch's default law of start values, drawn from its own generator."""
    layer = nn.Linear(inputs, outputs)
    bound = inputs**-0.5
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.uniform_(-bound, bound, generator=generator)
    return layer
