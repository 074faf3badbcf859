"""What encoded rows look like: ids that are reserved, how columns belong to fields, and rows with their labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch

PADDING_ID = 0
OOV_ID = 1
RESERVED_IDS = 2
"""Ids below this are padding and out of vocabulary; tokens start here."""

LABEL_COLUMN = "__label__"


def column_names(names: Sequence[str], lengths: Sequence[int]) -> tuple[str, ...]:
    """A name for each column of some fields; see `FieldLayout.column_names`."""
    return tuple(
        name if length == 1 else f"{name}.{position}"
        for name, length in zip(names, lengths, strict=True)
        for position in range(length)
    )


@dataclass(frozen=True, slots=True)
class FieldLayout:
    """How the columns of an id matrix belong to fields.

    Attributes:
        names: field names, in order.
        vocabulary_sizes: ids per field, with id 0 (padding) and id 1 (out of vocabulary) counted.
        lengths: columns per field: 1, or the maximum length of a sequence.
    """

    names: tuple[str, ...]
    vocabulary_sizes: tuple[int, ...]
    lengths: tuple[int, ...]

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.vocabulary_sizes) == len(self.lengths) > 0:
            raise ValueError(
                "a layout has one name, vocabulary size and length per field, and a field, however: "
                f"{len(self.names)}, {len(self.vocabulary_sizes)} and {len(self.lengths)}"
            )

    @property
    def num_fields(self) -> int:
        """Number of fields f."""
        return len(self.names)

    @property
    def columns(self) -> int:
        """Columns of an id matrix: the sum of the lengths."""
        return sum(self.lengths)

    @property
    def offsets(self) -> tuple[int, ...]:
        """First row of each field in one embedding table of all fields."""
        return (0, *accumulate(self.vocabulary_sizes[:-1]))

    @property
    def total_ids(self) -> int:
        """Rows of one embedding table of all fields."""
        return sum(self.vocabulary_sizes)

    @property
    def column_names(self) -> tuple[str, ...]:
        """A name for each column: the field's, with the position in a sequence appended (`genres.0`)."""
        return column_names(self.names, self.lengths)


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of one part of a data set, or one batch of them.

    Attributes:
        ids: int32, shape (rows, columns); ids local to their field, a sequence padded by 0 at its end.
        labels: float32, shape (rows,); 0 or 1.
        weights: float32, shape (rows,): how much each row counts; None where all count alike.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor | None = None

    def __len__(self) -> int:
        return self.ids.shape[0]

    def part(self, rows: slice | torch.Tensor) -> Split:
        """These rows alone; those of a slice share memory."""
        return self._each(lambda tensor: tensor[rows] if isinstance(rows, slice) else tensor.index_select(0, rows))

    def to(self, device: torch.device) -> Split:
        """The same rows on a device."""
        return self._each(lambda tensor: tensor.to(device))

    def clone(self) -> Split:
        """A copy that shares no memory."""
        return self._each(torch.Tensor.clone)

    def followed_by(self, other: Split) -> Split:
        """These rows and then others, of which all have weights or none."""
        weights = None if self.weights is None or other.weights is None else torch.cat([self.weights, other.weights])
        return Split(torch.cat([self.ids, other.ids]), torch.cat([self.labels, other.labels]), weights)

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Split:
        return Split(change(self.ids), change(self.labels), None if self.weights is None else change(self.weights))
