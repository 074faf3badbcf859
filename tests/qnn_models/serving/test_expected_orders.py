"""Shares that the theory expects at a model's own scales, against the shares of random models that have these scales."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from qnn_models.data.planted import planted_dataset
from qnn_models.models.network import CTRModel
from qnn_models.models.registry import build
from qnn_models.serving.anova import order_shares
from qnn_models.serving.expected_orders import expected_shares, operating_point


def random_model(layout: Any, kind: str, options: dict[str, Any], seed: int) -> CTRModel:
    """A start with larger embeddings and maps, other learned vectors, and norms that have seen something."""
    model = build(kind, layout, seed=seed, embedding_dim=16, layers=2, **options)
    with torch.no_grad():
        model.embedding.weight.normal_(0, 0.8, generator=torch.Generator().manual_seed(seed))
        for name, parameter in model.named_parameters():
            if ".W" in name:
                parameter.mul_(1.3)
            if name.endswith("alpha"):
                parameter.mul_(-0.7)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d) and module.running_var is not None:
                module.running_var.fill_(4.0)
                module.weight.fill_(1.5)
    return model


@pytest.mark.parametrize(
    ("kind", "options", "values"),
    [
        ("quadratic", {"format": "T19"}, 100),
        ("quadratic", {"format": "T22"}, 100),
        ("qnn-alpha", {"rows": 2}, 100),
        ("qnn-alpha", {"rows": 2, "batch_norm": False}, 4),  # values of which two are often the same
    ],
)
def test_random_models_have_the_expected_shares(kind: str, options: dict[str, Any], values: int) -> None:
    dataset = planted_dataset(rows=(2000, 10, 10), vocabulary_sizes=(values,) * 6).dataset
    ids = dataset.split("train").ids
    found, expected = [], []
    for seed in range(4):
        model = random_model(dataset.layout, kind, options, seed)
        shares = order_shares(model, ids, order=3, draws=1000, seed=seed)
        theory, rest, _ = expected_shares(model, ids, order=3)
        found.append([*shares.shares, shares.rest])
        expected.append([*theory, rest])
        assert sum(expected[-1]) == pytest.approx(1)
    measured = torch.tensor(found, dtype=torch.float64)
    wanted = torch.tensor(expected, dtype=torch.float64).mean(0)
    error = measured.std(0) / math.sqrt(len(found))
    # The theory is of wide layers; these have d = 96.
    assert bool(((measured.mean(0) - wanted).abs() < 4 * error + 0.04).all()), (measured.mean(0), error, wanted)
    assert float(wanted[1]) > 0.1


def test_the_operating_point_is_read_off_the_model() -> None:
    dataset = planted_dataset(rows=(2000, 10, 10), vocabulary_sizes=(50, 50, 50, 50, 1, 1)).dataset
    ids = dataset.split("train").ids
    model = random_model(dataset.layout, "quadratic", {"format": "T22"}, 0)
    point = operating_point(model, ids)
    assert point.map_scales == {"W_a": pytest.approx(1.3, rel=0.02)}
    assert point.scales == {"alpha": pytest.approx(0.7)}
    assert point.embedding_std == pytest.approx(0.8, rel=0.05)
    assert point.collision == pytest.approx((2 + 4 / 50) / 6, rel=0.2), "two fields have one value each"
    folded = operating_point(random_model(dataset.layout, "qnn-alpha", {}, 0), ids)
    assert folded.map_scales == {"W": pytest.approx(1.3 * 1.5 / 2, rel=0.02)}
    several = operating_point(
        random_model(dataset.layout, "quadratic", {"format": "T26", "gate_norm": True}, 0), ids
    ).map_scales
    assert several == {name: pytest.approx(1.3 * 1.5 / 2, rel=0.02) for name in ("W_a", "W_b")}


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("dnn", {}, "spectra of quadratic networks, however: this is a DNN"),
        ("quadratic", {"format": "T2", "projection": 4}, "without a projection"),
        ("quadratic", {"format": "T9", "post_activation": "relu", "post_norm": True}, "BatchNorm joins the theory"),
        ("quadratic", {"format": "T25", "gate_norm": True}, "BatchNorm joins the theory"),
    ],
)
def test_models_without_a_theory_are_named(kind: str, options: dict[str, Any], words: str) -> None:
    dataset = planted_dataset(rows=(20, 10, 10)).dataset
    model = build(kind, dataset.layout, seed=0, embedding_dim=4, **options)
    with pytest.raises(ValueError, match=words):
        expected_shares(model, dataset.split("train").ids, order=2)


def test_embeddings_that_are_zero_have_no_spectrum() -> None:
    dataset = planted_dataset(rows=(20, 10, 10)).dataset
    model = build("quadratic", dataset.layout, seed=0, embedding_dim=4)
    with torch.no_grad():
        model.embedding.weight.zero_()
    with pytest.raises(ValueError, match="not all zero"):
        expected_shares(model, dataset.split("train").ids, order=2)
