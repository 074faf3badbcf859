"""Small made-up results in the shape that `studies.collect` writes, for tests that only ask whether things are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

import qnn_theory as qt

SEEDS = 3


def write_all(folder: Path) -> None:
    """One CSV for each study that a figure or table reads."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(7)
    _formats(folder, generator)
    _boundaries(folder, generator)
    _sweep(folder, generator, "depth", "layers", [1, 2, 3])
    _sweep(folder, generator, "rows", "rows", [1, 3, 5])
    _sweep(folder, generator, "mid_activations", "mid_activation", ["relu", "mish", "gelu", "relu6", "sigmoid"])
    _sweep(
        folder,
        generator,
        "losses",
        "training_loss",
        ["self_ensemble", "mse", "kl", "cosine", "huber", "ensemble", "bce"],
    )
    _sweep(folder, generator, "heads", "heads", [1, 2, 4], head_layout=["aligned", "released"])


def _metrics(generator: np.random.Generator, base: float) -> dict[str, float | bool]:
    return {
        "test_auc": base + generator.normal(0, 0.001),
        "test_logloss": 0.38 + generator.normal(0, 0.002),
        "quick": False,
        "latency_us": 100 + generator.normal(0, 3),
    }


def _formats(folder: Path, generator: np.random.Generator) -> None:
    rows = []
    models = [(format.id, format.id) for format in qt.formats()[:25]] + [("LR", None), ("QNN-alpha", "QNN-alpha")]
    for number, (label, format) in enumerate(models):
        for post in ("none", "relu") if label.startswith("T") else ("none",):
            rows += [
                {
                    "status": "done",
                    "dataset": "ml-100k",
                    "label": label,
                    "format": format,
                    "post_activation": post,
                    "seed": seed,
                    "parameters": 40_000 + 1_000 * (number + 1),
                    "embedding_parameters": 40_000,
                    **_metrics(generator, 0.85 + 0.0003 * number),
                }
                for seed in range(SEEDS)
            ]
    pl.DataFrame(rows, infer_schema_length=None).write_csv(folder / "formats.csv")


def _sweep(
    folder: Path, generator: np.random.Generator, study: str, setting: str, values: list, **more: list[str]
) -> None:
    (key, groups), *_ = [*more.items(), ("head_layout", ["aligned"])]
    rows = [
        {
            "status": "done",
            "dataset": "ml-100k",
            "label": "QNN-alpha",
            setting: value,
            key: group,
            "seed": seed,
            **_metrics(generator, 0.86),
        }
        for value in values
        for group in groups
        for seed in range(SEEDS)
    ]
    pl.DataFrame(rows).write_csv(folder / f"{study}.csv")


def _boundaries(folder: Path, generator: np.random.Generator) -> None:
    models = ("MLP", "MLP without activation", "CrossNetV2", "T9", "DCNv2", "T19")
    xs = np.linspace(-1, 1, 9)
    runs, grid, points = [], [], []
    for dataset in ("moons", "circles"):
        points += [
            {"dataset": dataset, "split": "test", "x1": x, "x2": y, "label": int(x > y)}
            for x, y in generator.uniform(-1, 1, (20, 2))
        ]
        for model in models:
            runs.append({"status": "done", "dataset": dataset, "label": model, "seed": 0, "test_accuracy": 0.9})
            grid += [
                {
                    "dataset": dataset,
                    "label": model,
                    "seed": 0,
                    "x1": x,
                    "x2": y,
                    "probability": 1 / (1 + np.exp(y - x)),
                }
                for x in xs
                for y in xs
            ]
    pl.DataFrame(runs).write_csv(folder / "boundaries.csv")
    pl.DataFrame(grid).write_csv(folder / "boundaries_grid.csv")
    pl.DataFrame(points).write_csv(folder / "boundaries_points.csv")
