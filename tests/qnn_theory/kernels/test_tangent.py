from __future__ import annotations

import pytest

import qnn_theory as qt
from tests.qnn_theory.kernels import networks

SLOWER = ["T1", "T9", "T20", "T24", "T25", "T16", "T28~silu", "QNN-alpha", "T3", "T13"]


@pytest.mark.parametrize(
    "format",
    [
        "T22",
        "T18-paper",
        "CrossNetV2",
        "QNN-alpha-released",
        *(pytest.param(f, marks=pytest.mark.slow) for f in SLOWER),
    ],
)
def test_the_gradients_of_the_torch_modules(format):
    arguments = {"fields": 4, "embedding_dim": 16, "depth": 2, "embedding_std": 0.3}
    kernel = qt.tangent_kernel(format, **arguments)
    for agreeing in (2, 4):
        found = networks.tangents(format, agreeing=agreeing, draws=50, **arguments)
        assert set(kernel.groups) == set(found)
        for group, (mean, error) in found.items():
            # leading order: what is left is of the order of 1/d of the largest value
            allowed = 4 * error + 0.06 * kernel.groups[group][-1]
            assert kernel.groups[group][agreeing] == pytest.approx(mean, abs=allowed), group


def test_one_layer_by_hand():
    """T9, rows that agree: ∂y/∂x = w (1 + z) + W^T (w x), so s² + (1 + s²) for the embeddings; τ = s² for the map."""
    found = qt.tangent_kernel("T9", fields=4, embedding_dim=8, depth=1, embedding_std=0.5).groups
    assert found["embedding"][-1] == pytest.approx(1.5)
    assert found["layers.0.W_a"][-1] == pytest.approx(0.25 * 32 * 0.25)
    assert found["layers.0.b_a"][-1] == pytest.approx(0.25)
    assert found["head"][-1] == pytest.approx(32 * 0.3125)
    assert found["embedding"][0] == 0
