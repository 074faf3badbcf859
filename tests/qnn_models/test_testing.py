"""Certificates on the real torch modules, and assertions that fail when they must."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import qnn_theory as qt
from qnn_models import QuadraticLayer, testing
from qnn_models.testing import assert_contained, assert_equivalent, assert_separated, fit, module
from qnn_theory.grammar.expr import affine, x
from qnn_theory.grammar.format import Format, with_post_activation
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.registry import qnn_alpha
from tests.qnn_theory.relation_table import contained_in

IDS = [format.id for format in qt.formats()]
EXPECTED = contained_in(IDS)
CONTAINED = [(a, b) for a in IDS for b in IDS if b in EXPECTED[a]]
SEPARATED = [(a, b) for a, b in itertools.permutations(IDS, 2) if b not in EXPECTED[a]]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("a", "b"), CONTAINED)
def test_every_map_on_the_modules(a: str, b: str) -> None:
    assert_contained(a, b, draws=2)


def test_activations_rows_and_heads_on_the_modules() -> None:
    assert_equivalent("T4", with_post_activation(qt.get_format("T4"), "relu"))
    assert_equivalent(*(with_post_activation(qt.get_format(id), "gelu") for id in ("T9", "T22")))
    assert_equivalent(qnn_alpha(rows=2, heads=2), qnn_alpha(rows=2, heads=1))
    assert_equivalent(qnn_alpha(rows=3, mid_activation=None), "T9")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ('affine("V", affine("U", width=1/2) * affine("W", width=1/2))', "T1"),
        ('affine("A", affine("B", width=1/4))', 'affine("V", affine("U", width=1/2))'),
        ('affine("U")**2 - affine("V")**2', "T5"),
        ('scale("alpha") * affine("A", affine("B", affine("C")))', 'row_sum(2, affine("U") * affine("V"))'),
    ],
)
def test_maps_read_off_coefficients_on_the_modules(a: str, b: str) -> None:
    assert_contained(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("T1", "T5"),
        ("T5", "T18"),
        ("T13", "T14"),
        ("T9", "T19"),
        ("T9", "T20"),
        ("T19", "T9"),
        ("T18", "T18-paper"),
        ("T10", "T7"),
    ],
)
def test_separations_on_the_modules(a: str, b: str) -> None:
    """One pair for each kind of argument; training b does not reach the witness of a."""
    assert_separated(a, b, restarts=2)


@pytest.mark.slow
@pytest.mark.parametrize(("a", "b"), SEPARATED[::5])
def test_many_separations_on_the_modules(a: str, b: str) -> None:
    assert_separated(a, b)


@pytest.mark.parametrize(("a", "b"), [("T9", "T5"), ("T20", "T7"), ("T10", "T18"), ("T19", "T29")])
def test_training_does_reach_what_is_contained(a: str, b: str) -> None:
    """The control of the test above: the same fit finds a function that is there."""
    generator = np.random.default_rng(0)
    values = fill_parameters(qt.get_format(a).expr, dim=4, entry=lambda name, index: int(generator.integers(-3, 4)))
    points = torch.as_tensor(generator.normal(0, 2, size=(256, 4)))
    with torch.no_grad():
        goal = module(a, dim=4, values=values)(points)
    layer = QuadraticLayer(b, dim=4, dtype=torch.float64, seed=0)
    assert min(fit(layer, points, goal, seed=k) for k in range(2)) < 1e-8


def test_training_exposes_a_false_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    false = testing.decide(qt.get_format("T19"), qt.get_format("T9"))
    monkeypatch.setattr(testing, "decide", lambda a, b: false)
    with pytest.raises(AssertionError, match="A fit of T29 reproduces the witness of T19"):
        assert_separated("T19", "T29", restarts=1)


def test_assertions_fail_when_they_must() -> None:
    with pytest.raises(AssertionError, match="T1 is not known to be contained in T9"):
        assert_contained("T1", "T9")
    with pytest.raises(AssertionError, match="T9 is not known to be separated from T5: it is contained"):
        assert_separated("T9", "T5")
    with pytest.raises(AssertionError, match="T9 at the mapped parameters is not T19: at x ="):
        assert_equivalent("T19", "T9", map=lambda p: p)


def test_a_map_of_your_own() -> None:
    def right(p):
        return {"W_a": p["W_a"], "b_a": p["b_a"] + p["alpha"] - 1}

    def wrong(p):
        return {"W_a": p["W_a"], "b_a": p["b_a"] + p["alpha"]}

    assert_contained("T22", "T9", map=right)
    assert_equivalent("T22", "T9", map=right, inverse=lambda p: {**p, "alpha": np.ones(len(p["b_a"]))})
    with pytest.raises(AssertionError, match="T9 at the mapped parameters is not T22: at x ="):
        assert_contained("T22", "T9", map=wrong)


def test_a_format_of_your_own() -> None:
    mine = Format("mine", x * (affine("W_a") + affine("W_b")) + affine("W_c"))
    assert_equivalent(mine, "T10")
    assert_separated(mine, "T9", restarts=1)
