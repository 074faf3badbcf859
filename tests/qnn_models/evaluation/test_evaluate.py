"""Scoring the rows of a split: what it keeps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qnn_models.data.layout import Split
from qnn_models.evaluation.evaluate import predict_logits
from qnn_models.runtime.allocator import keep_freed_memory
from qnn_models.runtime.peak_memory import PeakMemory


def test_memory_grows_by_the_logits_not_by_the_activations() -> None:
    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, ids: Tensor) -> Tensor:
            return (ids[:, :1] * self.weight.expand(400)).relu().sum(1)

    ids = torch.ones(2500, 1, dtype=torch.int32)
    keep_freed_memory()  # as training does
    with PeakMemory() as memory:
        logits = predict_logits(Wide(), (Split(ids, ids[:, 0]) for _ in range(200)))
    assert logits.tolist() == [400.0] * 500_000
    # Each batch takes 4 MB and leaves 10 kB. Where the mark of memory cannot be set back, there is nothing to compare.
    assert not memory.mib > 100
