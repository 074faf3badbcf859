"""The rows of a data set as training takes them: on the device, in batches, shuffled or in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import torch

from qnn_models.data.layout import Split
from qnn_models.evaluation.evaluate import slices
from qnn_models.runtime.seeds import derive
from qnn_models.training.config import TrainConfig

__all__ = ["Batches", "Dataset", "without_single_rows"]


class Dataset(Protocol):
    """What training reads; `qnn_models.data.encoding.encoded.EncodedDataset` is one."""

    layout: Any
    content_hash: str

    def num_rows(self, split: str) -> int:
        """Rows of a split, without reading them."""
        ...

    def split(self, split: str) -> Split:
        """All rows of a split in memory."""
        ...

    def batches(self, split: str, *, batch_size: int, generator: torch.Generator | None = None) -> Iterator[Split]:
        """Rows of a split, streamed; shuffled when there is a generator."""
        ...


class Batches:
    """A data set's rows in batches on a device; a split that fits in the memory allowed is read once and stays there.

    Args:
        dataset: the data set.
        config: batch size, seed of the order, memory allowed.
        device: where the batches go.
    """

    def __init__(self, dataset: Dataset, config: TrainConfig, device: torch.device) -> None:
        self.dataset, self.config, self.device = dataset, config, device
        self.rows_per_step = config.rows_per_step(dataset.num_rows("train"))
        self.in_memory: dict[str, Split] = {}

    def shuffled(self, epoch: int) -> Iterator[Split]:
        """The batches of an epoch, on the device. Their order depends on the seed and the epoch alone."""
        size = self.rows_per_step
        generator = torch.Generator().manual_seed(derive(self.config.seed, "shuffle", epoch))
        if self._streams("train"):
            streamed = self.dataset.batches("train", batch_size=size, generator=generator)
            return without_single_rows(map(self._to_device, streamed))
        split = self._resident("train")
        order = torch.randperm(len(split), generator=generator).to(self.device)
        rows = (order[start : start + size] for start in range(0, len(split), size))
        return without_single_rows(split.part(r) for r in rows)

    def in_order(self, split: str) -> Iterable[Split]:
        """All rows of a split in their order."""
        size = self.rows_per_step
        return (
            self.dataset.batches(split, batch_size=size)
            if self._streams(split)
            else slices(self._resident(split), size)
        )

    def label_rate(self, split: str) -> float:
        """Share of a split's rows with label 1, by weight where they have weights; one pass over what is streamed."""
        batches = self.dataset.batches(split, batch_size=2**17) if self._streams(split) else [self._resident(split)]
        positive = total = 0.0
        for batch in batches:
            weights = torch.ones_like(batch.labels) if batch.weights is None else batch.weights
            positive += float((batch.labels * weights).sum(dtype=torch.float64))
            total += float(weights.sum(dtype=torch.float64))
        return positive / total

    def first_rows(self, split: str, count: int) -> Split:
        """The first rows of a split, on the device."""
        if self._streams(split):
            return self._to_device(next(iter(self.dataset.batches(split, batch_size=count))))
        return self._resident(split).part(slice(count))

    def _streams(self, split: str) -> bool:
        columns = sum(self.dataset.layout.lengths) + 1
        return 4 * columns * self.dataset.num_rows(split) > self.config.memory_gib * 2**30

    def _resident(self, split: str) -> Split:
        """A split whose rows stay on the device."""
        if split not in self.in_memory:
            self.in_memory[split] = self._to_device(self.dataset.split(split))
        return self.in_memory[split]

    def _to_device(self, split: Split) -> Split:
        return split.to(self.device)


def without_single_rows(batches: Iterator[Split]) -> Iterator[Split]:
    """The batches, with a last one of a single row joined to the one before it: one row has no variance for BatchNorm."""
    previous: Split | None = None
    for batch in batches:
        if previous is not None and len(batch) == 1:
            batch = previous.followed_by(batch)
        elif previous is not None:
            yield previous
        previous = batch
    if previous is not None:
        yield previous
