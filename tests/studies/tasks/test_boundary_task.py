"""Measured smoothness against functions whose smoothness is known, and the classifiers against the theory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from qnn_theory import ANALYTIC, smoothness
from studies.declaring.config import Arm, StudyConfig
from studies.declaring.plan import plan
from studies.tasks import boundary_task
from studies.tasks.boundary_task import PlaneClassifier, PlanePoints, measured_smoothness

LOW, HIGH = torch.tensor([-1.0, -1.0]), torch.tensor([1.0, 1.0])


class Plane(nn.Module):
    """A function of two coordinates as a module."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x[:, 0], x[:, 1])  # type: ignore[operator]


@pytest.mark.parametrize(
    ("function", "order"),
    [
        (lambda x, y: torch.relu(x - 0.1) * 3 + y, 0.0),
        (lambda x, y: torch.relu(x - 0.1) ** 2 + x * y, 1.0),
        (lambda x, y: torch.tanh(2 * x * y), 1.0),
        (lambda x, y: x * torch.relu(x + y), 0.0),
    ],
)
def test_kinks_are_told_from_smooth_functions(function: object, order: float) -> None:
    measured = measured_smoothness(Plane(function), low=LOW, high=HIGH, seed=1)
    assert measured["jump_order"] == pytest.approx(order, abs=0.15)


def test_the_size_of_a_kink_is_found() -> None:
    measured = measured_smoothness(Plane(lambda x, y: 5 * torch.relu(x - 0.2) + y), low=LOW, high=HIGH, seed=2)
    assert measured["largest_jump"] == pytest.approx(5.0)


def test_a_linear_function_does_not_vary() -> None:
    measured = measured_smoothness(Plane(lambda x, y: 2 * x - y), low=LOW, high=HIGH, seed=3)
    assert measured == {"gradient_variation": 0.0, "largest_jump": 0.0, "jump_order": 1.0}


def test_the_variation_is_the_integral_of_the_second_derivative() -> None:
    """Of x²/2 the gradient changes by the path's extent along x: on average 2/3 of the side over the mean length of a line."""
    measured = measured_smoothness(Plane(lambda x, y: 0.5 * x**2), low=LOW, high=HIGH, seed=4)
    generator = torch.Generator().manual_seed(4)
    ends = -1 + 2 * torch.rand(2, boundary_task.LINES, 1, 2, generator=generator, dtype=torch.float64)
    change = (ends[1] - ends[0]).abs()[..., 0].sum() / (ends[1] - ends[0]).norm(dim=-1).sum()
    assert measured["gradient_variation"] == pytest.approx(change.item())


@pytest.mark.parametrize("format", ["T9", "T19", "T24", "CrossNetV2", "T28"])
def test_classifiers_are_as_smooth_as_the_theory_says(format: str) -> None:
    model = PlaneClassifier(format, post_activation=None, hidden=6, layers=1, deep=False, seed=5)
    measured = measured_smoothness(model, low=3 * LOW, high=3 * HIGH, seed=6)
    order = smoothness(format).order
    assert measured["jump_order"] == pytest.approx(0.0 if order is not ANALYTIC and order == 0 else 1.0, abs=0.2)


def test_points_are_split_alike_for_all_models() -> None:
    first, again, other = PlanePoints("moons", 0), PlanePoints("moons", 0), PlanePoints("moons", 1)
    assert torch.equal(first.train, again.train)
    assert not torch.equal(first.train, other.train)
    assert (len(first.train), len(first.test)) == (700, 300)
    with pytest.raises(ValueError, match="however: 'stars'"):
        PlanePoints("stars", 0)


def test_a_run_is_repeatable_and_learns() -> None:
    config = StudyConfig(
        name="one", title="one", task="boundary", datasets=("circles",), training={"epochs": 100},
        arms=(Arm(model="quadratic", options={"format": "T9", "hidden": 8}),),
    )  # fmt: skip
    spec = plan(config)[0]
    first, again = boundary_task.run(spec), boundary_task.run(spec)
    timings = {"train_seconds"}
    assert {k: v for k, v in first.metrics.items() if k not in timings} == {
        k: v for k, v in again.metrics.items() if k not in timings
    }
    assert first.series == again.series
    assert first.metrics["test_accuracy"] > 0.9, "T9 separates circles"
    surface = torch.tensor(first.series["probability"])
    assert surface.shape == (boundary_task.GRID, boundary_task.GRID)
    assert first.metrics["parameters"] == (2 * 8 + 8) + 2 * (8 * 8 + 8) + (8 + 1)
