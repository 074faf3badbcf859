"""Products of pairs beside weights per id, against loops that share no code with them."""

import pytest
import torch

from qnn_models.models.baselines.first_order.factorization_machine import pair_sum
from qnn_models.models.baselines.first_order.xdeepfm import CompressedInteractions
from tests.qnn_models.models.cases import drawn, vectors


def test_pair_sum_is_the_sum_over_pairs() -> None:
    v = vectors(3, 5, 4)
    expected = [sum((row[i] @ row[j]).item() for i in range(5) for j in range(i)) for row in v]
    assert pair_sum(v).tolist() == pytest.approx(expected)


def test_compressed_interactions_are_their_triple_sums() -> None:
    module, v = drawn(CompressedInteractions(3, maps=2, layers=2)), vectors(2, 3, 4)
    for row, actual in zip(v, module(v), strict=True):
        previous, pooled = [row[i] for i in range(3)], []
        for layer in module.layers:
            weight = layer.weight.view(2, len(previous), 3)
            previous = [
                sum(weight[h, i, j] * previous[i] * row[j] for i in range(len(previous)) for j in range(3))
                for h in range(2)
            ]
            pooled += [entry.sum() for entry in previous]
        torch.testing.assert_close(actual, torch.stack(pooled))
