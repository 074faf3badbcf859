"""Made-up measurements, collected by the real `judging.collect` from the real studies: their columns are the true ones."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from studies.declaring.config import Arm, StudyConfig
from studies.declaring.load import load_config, study_names, with_changes
from studies.declaring.plan import plan
from studies.judging.collect import collect
from studies.running.choosing import known_runs
from studies.running.record import Record, Store
from studies.tasks.signatures import Choice
from studies.tasks.spec import RunSpec

SEEDS = 3
# All of them would take a quarter of a minute to count; these have every shape.
FORMATS = ("T1", "T4", "T9", "T13", "T19", "T22", "Linear", "CrossNetV2")


def write_all(folder: Path) -> None:
    """Collect every study that a figure or table reads, with made-up measurements."""
    for study in study_names():
        write_study(folder, study)


def write_study(folder: Path, study: str, *, seeds: int = SEEDS, quick: bool = False) -> None:
    """Collect one study with made-up measurements."""
    config = _few_formats(with_changes(load_config(study), seeds=seeds))
    store = Store(folder / "records")
    generator = np.random.default_rng(7)
    for spec in plan(config, quick=quick):
        store.write(Record(spec=spec, status="done", environment=_ENVIRONMENT, **_measured(spec, generator)))
    while missing := [spec for spec in known_runs(config, store, quick=quick) if store.read(spec.id) is None]:
        for spec in missing:  # trials of settings, then the runs at those chosen
            store.write(Record(spec=spec, status="done", environment=_ENVIRONMENT, **_measured(spec, generator)))
    # Theory columns take most of the time, and those of one study each are read.
    with ExitStack() as patched:
        for columns, reader in (("theory_columns", "theory"), ("kernel_columns", "interaction_order")):
            if study != reader:
                patched.enter_context(patch(f"studies.judging.collect.{columns}", lambda *asked: {}))
        collect(config, store, folder, quick=quick)


_SCALING = ("step_ms", "epoch_seconds", "rows_per_second", "inference_us", "peak_mib")
_ENVIRONMENT = {"commit": "0123456789ab", "torch": "2.13.0", "processor": "A processor", "threads": 1}


def _few_formats(config: StudyConfig) -> StudyConfig:
    def few(arm: Arm) -> Arm:
        choice = arm.options.get("format")
        if not isinstance(choice, tuple):
            return replace(arm, options={key: _few_numbers(value) for key, value in arm.options.items()})
        wanted = FORMATS if any("*" in pattern for pattern in choice) else choice
        kept = tuple(id for id in wanted if f"!{id}" not in choice and id in FORMATS)
        return replace(arm, options={**arm.options, "format": kept or choice[:1]})

    return replace(config, arms=tuple(map(few, config.arms)))


def _few_numbers(choice: Choice) -> Choice:
    return choice[:3] if isinstance(choice, tuple) and isinstance(choice[0], int) else choice


def _measured(spec: RunSpec, generator: np.random.Generator) -> dict[str, Any]:
    noise = generator.normal
    level = int(spec.arm, 16) % 10 / 1000
    if spec.task == "boundary":
        surface = [[round(1 / (1 + np.exp(y - x)), 4) for x in np.linspace(-1, 1, 9)] for y in np.linspace(-1, 1, 9)]
        points = generator.uniform(-1, 1, (20, 2)).round(4).tolist()
        return {
            "metrics": {"test_accuracy": 0.9 + noise(0, 0.01), "jump_order": 0.97, "test_auc": 0.95 + noise(0, 0.01)},
            "series": {
                "low": [-1.0, -1.0],
                "high": [1.0, 1.0],
                "probability": surface,
                "test_points": points,
                "test_labels": [int(x > y) for x, y in points],
            },
        }
    if spec.task == "interaction":
        updates = [0, 1, 2, 4, 8, 16, 32]
        auc = [round(0.5 + 0.38 / (1 + np.exp(level * 1e3 - step)), 4) for step in range(len(updates))]
        return {
            "metrics": {
                "updates_to_half": 16 * np.exp(noise(0, 0.1)) + 1e3 * level,
                "reached": float(level < 0.008),
                "test_auc": auc[-1],
                "bayes_auc": 0.88,
            },
            "series": {"history": {"updates": updates, "test_auc": auc}},
        }
    if spec.task == "data":
        return {"metrics": {"instances": 72_855, "fields": 8, "features": 3_530, "click_share": 0.76}}
    if spec.task == "scaling":
        sizes = (spec.option(axis) for axis in ("fields", "embedding_dim", "layers", "rows", "batch_size", "processes"))
        size = float(np.prod([float(value or 1) for value in sizes])) / 1e4
        return {"metrics": {name: size * np.exp(noise(0, 0.02)) for name in _SCALING}}
    return {
        "metrics": {
            "valid_auc": 0.87 + level + noise(0, 0.001),
            "test_auc": 0.86 + level + noise(0, 0.001),
            "test_logloss": 0.38 - level + noise(0, 0.001),
            "train_seconds": 10 + noise(0, 0.1),
            "epoch_seconds": 1 + noise(0, 0.01),
            "latency_us": 100 + noise(0, 3),
            "latency_100_us": 300 + noise(0, 3),
            "inference_us": 2 + noise(0, 0.1),
            "parameters": 60_000.0 + 1_000 * (int(spec.arm, 16) % 50),
            "embedding_parameters": 50_000.0,
            "peak_mib": 500 + noise(0, 5),
        }
    }
