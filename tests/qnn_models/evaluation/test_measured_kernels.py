"""Measured kernels against closed forms, exact at the width that is measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

import qnn_models as qm
from qnn_models.evaluation.measured_kernels import Measured
from qnn_theory.grammar.format import Format
from qnn_theory.registry import qnn_alpha

STD = 0.8
FIELDS, WIDTH = 4, 3
D = FIELDS * WIDTH
V = STD**2


def c2(t: float) -> float:
    """E[(x_u · x_v / d)²] for two rows that agree on the share t of their fields."""
    return V**2 * (t * t + (1 + t) / D)


def linear_path(t: float) -> float:
    return V * t


def gated(t: float) -> float:
    """Of x ⊙ W x: E[x_i(u) x_i(v) x_u·x_v / d], which is V² (t + 2/d) in a field of S and V² / d in another."""
    return V**2 * (t * (t + 2 / D) + (1 - t) / D)


COVARIANCES: list[tuple[str | Format, dict[str, Any], Callable[[float], float]]] = [
    ("Linear", {}, linear_path),
    ("Linear", {"depth": 3}, linear_path),
    ("T5", {}, c2),
    ("T4", {}, lambda t: V**2 * (1 + 2 * t / D) + 2 * c2(t)),
    ("T8", {}, lambda t: c2(t) + linear_path(t)),
    ("T9", {}, lambda t: gated(t) + linear_path(t)),
    ("CrossNetV2", {}, lambda t: gated(t) + linear_path(t)),
    ("T22", {}, lambda t: gated(t) + linear_path(t)),
    ("T23", {}, lambda t: c2(t) + linear_path(t)),
    ("T13", {}, lambda t: (16 / 9 * c2(t) + 4 / 3 * linear_path(t)) / 2),
    ("T14", {}, lambda t: (16 / 9 * c2(t) + 4 / 3 * linear_path(t)) / 2),
    ("T18-paper", {}, lambda t: (gated(t) + linear_path(t)) / 2),
    ("T3", {}, lambda t: V**2 * (1 + 2 * t)),
    # E[(A_k[u, u] + b_k)(A_k[v, v] + b_k)] with uniform ±1/√d: variance 1/(3d) of each entry
    ("T2", {}, lambda t: (D**2 * c2(t) + 1) / (3 * D)),
    ("x * x", {}, lambda t: V**2 * (1 + 2 * t)),
    ("x0 * x", {"depth": 2}, lambda t: 15 * V**3 * t),
    ("affine('W', bias=False) + x / 2", {}, lambda t: 1.25 * V * t),
    ("x * scale('alpha', x) + 1", {}, lambda t: V**2 * (1 + 2 * t) + 1 + 2 * V),
    (qnn_alpha(rows=3, mid_activation=None), {}, lambda t: 3 * gated(t) + linear_path(t)),
    (
        qnn_alpha(rows=2, heads=3, head_layout="released", embedding_dim=3, mid_activation=None),
        {},
        lambda t: 2 * gated(t) + linear_path(t),
    ),
]


def check(found: Measured, expected: list[float], *, sigmas: float = 4.5) -> None:
    for s, (value, error, wanted) in enumerate(zip(found.values, found.errors, expected, strict=True)):
        assert abs(value - wanted) <= sigmas * error + 1e-12, (s, value, error, wanted)
        assert error <= 0.05 * max(expected), "too few draws to tell anything"


@pytest.mark.parametrize(("format", "options", "closed_form"), COVARIANCES)
def test_covariance_is_the_closed_form(
    format: str | Format, options: dict[str, Any], closed_form: Callable[[float], float]
) -> None:
    found = qm.measured_covariance(
        format, fields=FIELDS, embedding_dim=WIDTH, embedding_std=STD, draws=2500, chains=2, **options
    )
    check(found, [closed_form(s / FIELDS) for s in range(FIELDS + 1)])


def test_a_linear_layer_and_relu_have_the_arc_cosine_kernel_in_wide_layers() -> None:
    fields, width = 4, 64
    found = qm.measured_covariance("Linear+relu", fields=fields, embedding_dim=width, embedding_std=STD, draws=600)
    expected = []
    for s in range(fields + 1):
        angle = math.acos(s / fields)
        expected.append(V * (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / (2 * math.pi))
    for value, error, wanted in zip(found.values, found.errors, expected, strict=True):
        assert abs(value - wanted) < 4.5 * error + 2 * V / (fields * width)
    # The same format, told in two ways, has the same draws.
    post = qm.measured_covariance(
        "Linear", fields=fields, embedding_dim=width, embedding_std=STD, draws=600, post_activation="relu"
    )
    assert post == found


def test_the_tangent_kernel_of_a_linear_layer_and_its_groups() -> None:
    found = qm.measured_tangent_kernel("Linear", fields=FIELDS, embedding_dim=WIDTH, embedding_std=STD, draws=2500)
    shared = [s / FIELDS for s in range(FIELDS + 1)]
    assert list(found.groups) == ["embedding", "layers.0.W_a", "layers.0.b_a", "head"]
    check(found.groups["embedding"], shared)
    check(found.groups["layers.0.W_a"], [D * V * t for t in shared])
    check(found.groups["layers.0.b_a"], [1.0] * (FIELDS + 1))
    check(found.groups["head"], [D * V * t for t in shared])
    check(found, [t + 2 * D * V * t + 1 for t in shared])


def test_the_tangent_kernel_of_a_product_and_of_a_shared_map() -> None:
    options = {"fields": FIELDS, "embedding_dim": WIDTH, "embedding_std": STD, "draws": 2500}
    shared = [s / FIELDS for s in range(FIELDS + 1)]
    product = qm.measured_tangent_kernel("T5", **options)
    for name in ("W_a", "W_b"):
        check(product.groups[f"layers.0.{name}"], [D * c2(t) for t in shared])
    # h = x ⊙ (W x + b) + x: ∂h_i/∂b_i = x_i
    check(qm.measured_tangent_kernel("T9", **options).groups["layers.0.b_a"], [V * t for t in shared])
    # h = (W x)²: ∂h_i/∂W_i = 2 (W x)_i x, so 4 C · x_u·x_v
    check(qm.measured_tangent_kernel("T4", **options).groups["layers.0.W_a"], [4 * D * c2(t) for t in shared])


@pytest.mark.parametrize(
    "format", ["T6", "T25", "T9~prelu", "QNN-alpha-released", "x0 * affine('W') ** 2 + x", "x * x + x"]
)
def test_the_tangent_kernel_at_equal_rows_is_the_mean_squared_gradient(format: str) -> None:
    """The gradient by plain autograd, for modules that are started one by one."""
    depth, draws = 2, 250
    sums = []
    for draw in range(draws):
        stack = qm.QuadraticStack(format, dim=8, layers=depth, seed=draw).double()
        generator = torch.Generator().manual_seed(draw)
        x = (torch.randn(8, generator=generator, dtype=torch.float64) * 0.3).requires_grad_()
        drawn = torch.randn(stack.out_dim, generator=generator, dtype=torch.float64)
        head = (drawn / math.sqrt(stack.out_dim)).requires_grad_()
        y = stack(x) @ head
        parts = torch.autograd.grad(y, (x, head, *stack.parameters()))
        sums.append(sum(float(part.square().sum()) for part in parts))
    values = torch.tensor(sums)
    found = qm.measured_tangent_kernel(
        format, fields=4, embedding_dim=2, embedding_std=0.3, depth=depth, draws=2000, seed=5
    )
    error = math.hypot(found.errors[-1], float(values.std()) / math.sqrt(draws))
    assert abs(found.values[-1] - float(values.mean())) < 4.5 * error
    assert error < 0.25 * found.values[-1]


def test_the_signal_of_t9_grows_by_its_closed_form_and_its_errors_cover() -> None:
    found = qm.measured_signal("T9", fields=FIELDS, embedding_dim=WIDTH, embedding_std=STD, draws=2000, rows=16)
    check(found.second_moment, [V, V + gated(1)])
    assert found.gain[0] == pytest.approx(found.second_moment.values[1] / found.second_moment.values[0])
    assert found.log_gain_std[0] == 0 < found.log_gain_std[1] < 0.5


def test_draws_that_die_are_seen() -> None:
    """With d = 1 and relu after the layer, half of the draws are zero on all rows of one sign."""
    found = qm.measured_signal("Linear+relu", fields=1, embedding_dim=1, depth=3, draws=50, rows=1)
    assert found.log_gain_std[-1] == math.inf


def test_heavy_tails_are_seen() -> None:
    options = {"fields": 4, "embedding_dim": 2, "depth": 3, "draws": 300}
    assert max(qm.measured_covariance("T21", embedding_std=1.0, **options).heaviest) > 0.3
    assert qm.measured_covariance("Linear", embedding_std=1.0, **options).heaviest[-1] < 0.05


def test_the_same_seed_is_the_same_measurement_and_chunks_are_draws_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = {"fields": 3, "embedding_dim": 2, "depth": 2, "draws": 64}
    first = qm.measured_covariance("T9", **options)
    assert first == qm.measured_covariance("T9", **options)
    assert first != qm.measured_covariance("T9", seed=1, **options)
    monkeypatch.setattr("qnn_models.evaluation.measured_kernels._CHUNK_NUMBERS", 1)
    apart = qm.measured_covariance("T9", **options)
    assert apart.draws == 64
    assert len({*apart.values, *first.values}) == 8
    assert abs(apart.values[-1] - first.values[-1]) < 5 * math.hypot(apart.errors[-1], first.errors[-1])


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"fields": 0}, ValueError, "fields is an integer of at least 1, however: fields=0"),
        ({"fields": 2.0}, ValueError, "fields"),
        ({"embedding_dim": -1}, ValueError, "embedding_dim"),
        ({"depth": 0}, ValueError, "depth"),
        ({"draws": 1}, ValueError, "draws is an integer of at least 2"),
        ({"chains": 0}, ValueError, "chains"),
        ({"embedding_std": 0.0}, ValueError, "embedding_std is positive"),
        ({"embedding_std": math.nan}, ValueError, "embedding_std is positive"),
        ({"format": "T99"}, KeyError, "T99"),
        ({"format": "T13", "embedding_dim": 1}, ValueError, "d must be even"),
    ],
)
def test_refusals(changed: dict[str, Any], error: type[Exception], words: str) -> None:
    options: dict[str, Any] = {"format": "T9", "fields": 3, "embedding_dim": 2} | changed
    with pytest.raises(error, match=words):
        qm.measured_covariance(options.pop("format"), **options)
