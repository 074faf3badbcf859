"""The two shapes that speed is quoted for, with made-up rows: time does not depend on what the ids say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from qnn_models.bench.baseline import PlainQNNAlpha
from qnn_models.data.layout import FieldLayout, Split
from qnn_models.evaluation.evaluate import slices
from qnn_models.models.network import QNNAlphaNetwork
from qnn_models.runtime.seeds import derive


@dataclass(frozen=True)
class Shape:
    """A data set's shape and the network that the paper runs on it.

    Attributes:
        name: what it is called.
        layout: fields.
        batch_size: rows per training step.
        layers: layers L.
        rows: rows M of the Khatri-Rao product.
        batch_norm: BatchNorm on the gates.
        embedding_l2: λ of the embedding's L2 term.
        steps: training steps per timed stretch.
    """

    name: str
    layout: FieldLayout
    batch_size: int
    layers: int
    rows: int
    batch_norm: bool
    embedding_l2: float
    steps: int
    embedding_dim: int = 16
    dropout: float = 0.1

    def ours(self) -> QNNAlphaNetwork:
        """Our network of this shape."""
        return QNNAlphaNetwork(
            self.layout,
            embedding_dim=self.embedding_dim,
            layers=self.layers,
            rows=self.rows,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
            seed=0,
        )

    def plain(self) -> PlainQNNAlpha:
        """The baseline's network of this shape."""
        return PlainQNNAlpha(
            self.layout.vocabulary_sizes,
            self.layout.lengths,
            embedding_dim=self.embedding_dim,
            layers=self.layers,
            rows=self.rows,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
        )

    def split(self, rows: int, purpose: str = "train") -> Split:
        """Rows with uniform ids and fair labels."""
        generator = torch.Generator().manual_seed(derive(0, "bench", self.name, purpose))
        columns = [
            torch.randint(1, size, (rows,), generator=generator, dtype=torch.int32)
            for size, length in zip(self.layout.vocabulary_sizes, self.layout.lengths, strict=True)
            for _ in range(length)
        ]
        labels = torch.randint(0, 2, (rows,), generator=generator).float()
        return Split(torch.stack(columns, 1), labels)


class MadeUpDataset:
    """A data set in memory with the rows of a shape, as `training.train` takes it.

    It has as many training rows as the timed steps need, and few others.
    """

    def __init__(self, shape: Shape) -> None:
        self.layout = shape.layout
        self.content_hash = f"bench-{shape.name}"
        self.splits = {
            "train": shape.split(shape.steps * shape.batch_size),
            "valid": shape.split(64, "valid"),
            "test": shape.split(64, "test"),
        }

    def num_rows(self, split: str) -> int:
        """Rows of a split."""
        return len(self.splits[split])

    def split(self, split: str) -> Split:
        """All rows of a split."""
        return self.splits[split]

    def batches(self, split: str, *, batch_size: int, generator: torch.Generator | None = None) -> Iterator[Split]:
        """Rows of a split, in order."""
        return slices(self.splits[split], batch_size)


ML_100K = Shape(
    name="ml-100k",
    layout=FieldLayout(
        names=("user_id", "age", "gender", "occupation", "zip_code", "item_id", "release_year", "genres"),
        vocabulary_sizes=(945, 63, 4, 23, 797, 1605, 72, 21),
        lengths=(1, 1, 1, 1, 1, 1, 1, 5),
    ),
    batch_size=4096,
    layers=2,
    rows=4,
    batch_norm=True,
    embedding_l2=0.01,
    steps=14,
)

# 39 fields and 910 747 ids as in the released Criteo runs; how the ids are spread over the fields does not matter here.
CRITEO = Shape(
    name="criteo",
    layout=FieldLayout(
        names=tuple(f"I{k}" for k in range(1, 14)) + tuple(f"C{k}" for k in range(1, 27)),
        vocabulary_sizes=(50,) * 13 + (35004,) * 25 + (910_747 - 13 * 50 - 25 * 35004,),
        lengths=(1,) * 39,
    ),
    batch_size=10_000,
    layers=4,
    rows=5,
    batch_norm=False,
    embedding_l2=1e-5,
    steps=1,
)

SHAPES = {shape.name: shape for shape in (ML_100K, CRITEO)}
