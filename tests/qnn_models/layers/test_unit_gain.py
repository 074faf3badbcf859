"""Starts of unit gain: measured on the modules, and what cannot have one."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import pytest
import torch

import qnn_models as qm
import qnn_theory as qt
from qnn_models.data.planted import planted_dataset
from qnn_models.layers.unit_gain import SLACK, unit_gain_scale
from qnn_models.models.registry import build
from qnn_theory.grammar.expr import uses_activation

POLYNOMIAL = tuple(format.id for format in qt.formats() if not uses_activation(format.expr))
FAST = {"T2", "T3", "T4", "T5", "T12", "T14", "T17", "T18-paper"}


def check_gain(format: str, *, embedding_dim: int, draws: int, slack: float, std: float = 0.1) -> None:
    found = qm.measured_signal(
        format, fields=8, embedding_dim=embedding_dim, depth=3, embedding_std=std, draws=draws, rows=8, init="unit-gain"
    ).second_moment
    gain, error = found.values[-1] / std**2, found.errors[-1] / std**2
    assert abs(gain - 1) < 4 * error + slack, (format, gain, error)
    assert error < 0.15


@pytest.mark.parametrize(
    "format",
    [
        pytest.param(format, marks=() if format in FAST else pytest.mark.slow)
        for format in (
            *POLYNOMIAL,
            "T19",
            "T24",
            "affine('W') * affine('V', affine('W'))",
        )
    ],
)
def test_three_layers_have_a_gain_of_one(format: str) -> None:
    path = abs(qt.signal(format, fields=64, embedding_dim=1, depth=3, embedding_std=0.1).gain - 1) > 0.01
    quadratic = "ilinear" in repr(qt.get_format(format).expr)
    check_gain(format, embedding_dim=4 if quadratic else 16, draws=150, slack=SLACK + 0.02 if path else 0.02)


def test_the_operating_point_is_declared_and_the_start_without_it_dies() -> None:
    options: dict[str, Any] = {"fields": 8, "embedding_dim": 16, "depth": 3, "draws": 100, "rows": 8}
    dead = qm.measured_signal("T5", embedding_std=0.1, **options)
    assert dead.second_moment.values[-1] < 1e-10 * dead.second_moment.values[0]
    for std in (0.02, 1.5):
        check_gain("T5", embedding_dim=16, draws=100, slack=0.05, std=std)
    elsewhere = qm.measured_signal("T5", embedding_std=0.1, init="unit-gain", operating_std=0.3, **options)
    # three layers of degree 2: the second moment goes as the eighth power of the input's
    assert math.prod(elsewhere.gain) == pytest.approx((0.1 / 0.3) ** 14, rel=0.5)


def test_closed_forms() -> None:
    """One wide layer of T5 has the gain c⁴ s², of T10 c² (1 + s²), each up to 1/d."""
    assert unit_gain_scale(qt.get_format("T5"), dim=10**4, operating_std=0.1) == pytest.approx(10**0.5, rel=1e-4)
    assert unit_gain_scale(qt.get_format("T10"), dim=10**4, operating_std=0.5) == pytest.approx(1.25**-0.5, rel=1e-4)
    assert unit_gain_scale(qt.get_format("Linear"), dim=10**4) == pytest.approx(1, rel=1e-4)
    assert unit_gain_scale(qt.get_format("T9"), dim=10**4) == 1, "within the slack as it is"
    scale = unit_gain_scale(qt.get_format("T9"), dim=10**4, operating_std=1.0)
    assert scale == pytest.approx(SLACK**0.5, rel=1e-3), "1 + c² s² as near to 1 as the slack"


def test_only_maps_are_scaled_and_the_default_is_the_released_start() -> None:
    for format in ("T6", "T22", "T9~prelu"):
        paper, plain = (
            dict(qm.QuadraticLayer(format, dim=6, seed=3, **options).named_parameters())
            for options in ({"init": "paper"}, {})
        )
        assert all(torch.equal(paper[name], plain[name]) for name in plain)
        layer = qm.QuadraticLayer(format, dim=6, seed=3, map_scale=2.0)
        scaled = dict(layer.named_parameters())
        for name in plain:
            factor = 2 if name[0] in "WA" or name == "b_A" else 1
            assert torch.equal(scaled[name], factor * plain[name]), name
        assert torch.equal(layer.drawn(2, seed=3)[name][0] / factor, layer.drawn(2, seed=3)[name][0] / factor)
        layer.reset_parameters(3)
        assert all(torch.equal(value, scaled[name]) for name, value in layer.named_parameters())


def test_copies_and_every_model_that_has_the_option_keep_the_scale() -> None:
    layer = qm.QuadraticLayer("T5", dim=16, init="unit-gain", seed=0)
    scale = layer.map_scale
    assert scale == pytest.approx(unit_gain_scale(qt.get_format("T5"), dim=16))
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        twin.reset_parameters(0)
        assert torch.equal(twin.get_parameter("W_a"), layer.get_parameter("W_a"))
    layout = planted_dataset(rows=(20, 10, 10)).dataset.layout
    options: dict[str, Any] = {"init": "unit-gain", "operating_std": 0.2, "embedding_std": 0.05, "embedding_dim": 4}
    network = build("quadratic", layout, seed=0, format="T5", layers=2, **options)
    expected = unit_gain_scale(qt.get_format("T5"), dim=24, layers=2, operating_std=0.2)
    assert [found.map_scale for found in network.stack.layers] == [expected] * 2
    assert float(network.embedding.weight.detach().std()) == pytest.approx(0.05, rel=0.2)
    narrow = build("quadratic", layout, seed=0, format="T5", layers=2, projection=8, **options)
    expected = unit_gain_scale(qt.get_format("T5"), dim=8, layers=2, operating_std=0.2 * (48 / 32) ** 0.5)
    assert narrow.stack.layers[0].map_scale == expected
    alpha = build("qnn-alpha", layout, seed=0, batch_norm=False, **options)
    assert 0 < alpha.core.stack.layers[0].map_scale < 1
    core = qm.QNNAlpha(num_fields=6, embedding_dim=4, init="unit-gain", operating_std=0.2, rows=4, seed=0)
    assert core.stack.layers[0].map_scale == alpha.core.stack.layers[0].map_scale


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: qm.QuadraticLayer("x * x", dim=4, init="unit-gain"),
            "scales the maps of a format, however: x \\*\\* 2|has none",
        ),
        (lambda: qm.QuadraticLayer("affine('W') + 1", dim=4, init="unit-gain"), "is at least .* at operating_std=0.1"),
        (lambda: qm.QuadraticLayer("x + x + affine('W')", dim=4, init="unit-gain"), "at least 4 at operating_std=0.1"),
        (lambda: qm.QuadraticLayer("Linear+sigmoid", dim=4, init="unit-gain"), "is at least 25"),
        (
            lambda: qm.QuadraticStack("Linear+tanh", dim=4, layers=2, init="unit-gain", operating_std=1.5),
            "none was found",
        ),
        (
            lambda: qm.QuadraticLayer("T9", dim=4, init="unitgain"),
            "init is one of paper, unit-gain, however: 'unitgain'",
        ),
        (lambda: qm.QuadraticLayer("T19", dim=4, init="unit-gain", gate_norm=True), "BatchNorm undoes the size"),
        (lambda: qm.QNNAlpha(num_fields=3, embedding_dim=2, batch_norm=True, init="unit-gain"), "BatchNorm undoes"),
        (lambda: qm.QuadraticLayer("T9", dim=4, init="unit-gain", operating_std=0.0), "embedding_std is a positive"),
    ],
)
def test_what_has_no_unit_gain_is_named(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
