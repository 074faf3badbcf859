"""Options and parameter counts of every registered model, and what its tests share: fields, ids, visible start values."""

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from qnn_models.models.baselines.parts.start import start_values
from qnn_models.models.registry import build


@dataclass(frozen=True)
class Fields:
    names: tuple[str, ...] = ("user", "item", "genres", "city")
    vocabulary_sizes: tuple[int, ...] = (5, 7, 4, 3)
    lengths: tuple[int, ...] = (1, 1, 3, 1)


N, F, E = 19, 4, 6
D = F * E
IDS = torch.tensor([[1, 2, 3, 2, 0, 1], [4, 6, 1, 0, 0, 2], [0, 1, 0, 0, 0, 0], [2, 5, 2, 2, 1, 1], [3, 3, 1, 3, 2, 2]])
H, L = 10, 2  # hidden units and layers of the MLPs below


def mlp(inputs: int, hidden: int = H, layers: int = L, outputs: int | None = 1) -> int:
    widths = [inputs] + [hidden] * layers
    inner = sum((a + 1) * b for a, b in itertools.pairwise(widths))
    return inner + (0 if outputs is None else (widths[-1] + 1) * outputs)


def qnn(layers: int, rows: int, *, norm: bool = False) -> int:
    return layers * rows * (D * D + D) + D + 1 + 2 * layers * rows * D * norm


@dataclass(frozen=True)
class Case:
    options: dict[str, Any]
    parameters: int


SMALL = {"hidden_units": H, "hidden_layers": L}
QNN = {"deep": "qnn-alpha", "qnn_layers": 2, "rows": 3}
CASES: dict[str, list[Case]] = {
    "quadratic": [Case({"format": "T9", "layers": 2}, N * E + 2 * (D * D + D) + D + 1)],
    "qnn-alpha": [Case({"layers": 2, "rows": 3}, N * E + qnn(2, 3, norm=True))],
    "lr": [Case({}, N + 1)],
    "fm": [Case({}, N * (E + 1) + 1)],
    "dnn": [
        Case(SMALL, N * E + mlp(D)),
        Case(SMALL | {"batch_norm": True}, N * E + mlp(D) + 2 * L * H),
        Case({"hidden_layers": 0}, N * E + D + 1),
    ],
    "pnn": [Case(SMALL, N * E + mlp(D + F * (F - 1) // 2))],
    "wide-deep": [Case(SMALL, N * (E + 1) + mlp(D))],
    "deepfm": [
        Case(SMALL, N * (E + 1) + mlp(D)),
        Case(QNN | {"batch_norm": True}, N * (E + 1) + qnn(2, 3, norm=True)),
    ],
    "dcn": [Case(SMALL | {"cross_layers": 3}, N * E + 3 * 2 * D + D + mlp(D))],
    "dcnv2": [
        Case(SMALL | {"cross_layers": 3}, N * E + 3 * (D * D + D) + D + mlp(D)),
        Case(QNN | {"cross_layers": 2}, N * E + 2 * (D * D + D) + D + qnn(2, 3)),
    ],
    "xdeepfm": [
        Case(SMALL | {"cin_maps": 5, "cin_layers": 3}, N * (E + 1) + 5 * F * (F + 2 * 5) + 3 * 5 + mlp(D)),
        Case(QNN | {"cin_maps": 5, "cin_layers": 1}, N * (E + 1) + 5 * F * F + 5 + qnn(2, 3)),
    ],
    "autoint": [
        Case(
            SMALL | {"attention_layers": 3, "attention_dim": 4, "heads": 2},
            N * E + 4 * E * 8 + 2 * 4 * 64 + F * 8 + mlp(D),
        )
    ],
    "afn": [Case(SMALL | {"neurons": 7}, 2 * N * E + (F + 1) * 7 + 2 * F + 2 * 7 + mlp(7 * E) + mlp(D) + 3)],
    "edcn": [Case({"layers": 3}, N * E + 3 * (D * D + 3 * D + 2 * F) + 3 * D + 1)],
    "masknet": [
        Case(
            SMALL | {"blocks": 2, "units": 5, "reduction": 0.5},
            N * E + 2 * D + 2 * ((D + 1) * 12 + 13 * D + D * 5 + 2 * 5) + mlp(10),
        ),
        Case(
            {"structure": "serial", "blocks": 2, "units": 4},
            N * E + 2 * D + ((D + 1) * D + (D + 1) * D + D * 4 + 8) + ((D + 1) * 4 + 5 * 4 + 16 + 8) + 5,
        ),
    ],
    "finalmlp": [
        Case(
            SMALL | {"gate_units": 3, "heads": 5},
            N * E + 2 * (E + (E + 1) * 3 + 4 * D) + 2 * mlp(D, outputs=None) + 2 * H + 1 + H * H // 5,
        )
    ],
    "final": [
        Case({"layers": 2}, N * E + 2 * (2 * (D * D + D) + D + 1)),
        Case({"layers": 2, "blocks": 1}, N * E + 2 * (D * D + D) + D + 1),
    ],
    "ecn": [
        Case({"layers": 2}, N * E + 2 * (D * D // 2 + 2 * D) + D + 1),
        Case({"layers": 2, "growth": "both"}, N * E + 2 * (2 * (D * D // 2 + 2 * D) + D + 1)),
    ],
    "cl4ctr": [
        Case(
            SMALL | {"encoder_layers": 2, "encoder_units": 5, "alpha": 0.1},
            N * E + mlp(D) + 2 * (4 * E * E + (E + 1) * 5 + 6 * E + 2 * 2 * E) + 2 * (D + 1) * E,
        )
    ],
    "eulernet": [
        Case({"layers": 1}, N * E + F + F * F + 2 * D + (D + 1) * D + 4 * E + D + 1),
        Case(
            {"layers": 2, "neurons": 5},
            N * E + F + (F * 5 + 5 * 5) + 2 * 2 * 5 * E + (D + 1) * 5 * E + (5 * E + 1) * 5 * E + 2 * 4 * E + 5 * E + 1,
        ),
    ],
    "rfm": [
        Case(
            {"attention_units": 12, "heads": 2, "hidden_units": 40, "hidden_layers": 2, "group": 8},
            N * E
            + (3 * F + 1) * (E * 12 + 12 * 12)
            + 2 * (6 + 24)
            + (E + 1) * 12
            + 4 * 12
            + mlp(F * 12, hidden=40)
            + 2 * 4 * 8,
        ),
        Case(
            {"attention_layers": 1, "attention_units": 8, "hidden_layers": 0},
            N * E + (3 * F + 1) * E * 8 + 8 + 16 + (E + 1) * 8 + 32 + F * 8 + 1,
        ),
    ],
    "qnn-alpha-mlp": [Case(SMALL | {"layers": 2, "rows": 3}, N * E + qnn(2, 3, norm=True) + mlp(D))],
}
BATTERY = [pytest.param(name, case, id=f"{name}-{i}") for name, cases in CASES.items() for i, case in enumerate(cases)]


def make(name: str, case: Case, *, seed: int | None = 0, **more: Any) -> Any:
    size = {} if name == "lr" else {"embedding_dim": E}
    return build(name, Fields(), seed=seed, **size, **case.options, **more)


def scale_up(model: nn.Module) -> None:
    """Embeddings that start at 1e-4 hide products; give them, and zero biases, visible values."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.5 * torch.randn(parameter.shape, dtype=parameter.dtype, generator=generator)


def vectors(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def drawn(module: nn.Module) -> nn.Module:
    start_values(module, 0)
    module.double()
    scale_up(module)
    return module.eval()
