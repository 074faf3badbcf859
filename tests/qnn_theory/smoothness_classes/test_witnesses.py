"""Every witness jumps as it claims, over the registry, every activation, stacks, and random expressions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import qnn_theory as qt
from qnn_theory.grammar.expr import ACTIVATION_KINDS, Activation, Expr, uses_activation, walk
from qnn_theory.grammar.format import Format, with_post_activation
from qnn_theory.grammar.stacking import layer_widths
from qnn_theory.smoothness_classes.one_sided import Target, find_witness
from qnn_theory.smoothness_classes.smoothness import ANALYTIC, smoothness
from tests.qnn_theory.random_expressions import expressions
from tests.qnn_theory.smoothness_classes.one_sided_differences import assert_jumps

KINKED = ("relu", "relu6", "prelu")
GATED = [format for format in qt.formats() if uses_activation(format.expr)]


@pytest.mark.parametrize("post", [None, *KINKED])
@pytest.mark.parametrize("format", qt.formats(), ids=lambda f: f.id)
def test_one_layer_jumps_as_claimed(format: Format, post: Any) -> None:
    result = smoothness(format, post_activation=post)
    assert result.exact
    if result.witness is not None:
        assert result.witness.derivative == result.order + 1
        assert_jumps(with_post_activation(format, post), result.witness)


@pytest.mark.parametrize("mid", ACTIVATION_KINDS)
@pytest.mark.parametrize("format", GATED, ids=lambda f: f.id)
def test_every_mid_activation(format: Format, mid: Any) -> None:
    result = smoothness(format, mid_activation=mid)
    assert result.exact
    assert (result.order is ANALYTIC) == (mid not in KINKED)
    after = smoothness(format, mid_activation=mid, post_activation="relu")
    assert (after.order, after.exact) == (0, True)


@pytest.mark.parametrize(
    "format",
    [f for f in qt.formats() if f.id in ("T4", "T9", "T13", "T19", "T28", "T18-paper", "CrossNetV2", "QNN-alpha")],
    ids=lambda f: f.id,
)
@pytest.mark.parametrize("post", [None, "relu", "relu6", "silu"])
def test_stacks_jump_as_claimed(format: Format, post: Any) -> None:
    for depth in (2, 3):
        result = smoothness(format, depth=depth, post_activation=post)
        assert result.exact
        if result.witness is not None and result.witness.exact:
            assert_jumps(with_post_activation(format, post), result.witness)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("format", qt.formats(), ids=lambda f: f.id)
def test_every_combination_is_exact(format: Format, depth: int) -> None:
    for mid in (None, *ACTIVATION_KINDS) if uses_activation(format.expr) else (None,):
        for post in (None, *ACTIVATION_KINDS):
            assert smoothness(format, depth=depth, post_activation=post, mid_activation=mid).exact, (mid, post)


@given(expr=expressions(), depth=st.integers(1, 2))
def test_random_stacks_are_never_rougher_than_claimed(expr: Expr, depth: int) -> None:
    format = Format("random", expr)
    result = smoothness(format, depth=depth)
    targets = [
        Target(layer=layer, node=node, threshold=threshold)
        for layer in range(1, depth + 1)
        for node in walk(expr)
        if isinstance(node, Activation)
        for threshold in ((0, 6) if node.kind == "relu6" else (0,))
    ]
    derivative = 4 if result.order is ANALYTIC else result.order + 1
    for target in targets:
        # Raises where a lower derivative jumps at any of the points met.
        found = find_witness(
            expr, widths=layer_widths(format, dim=2, depth=depth), targets=[target], derivative=derivative, exact=True
        )
        if result.order is ANALYTIC:
            assert found is None
    if result.witness is not None and result.witness.exact:
        assert_jumps(format, result.witness)
