"""An encoded data set: ids and labels by split, in memory or streamed from Parquet row groups."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch

from qnn_models.data.encoding.checked import CheckedFile, CheckedRowGroups, checked_row_groups
from qnn_models.data.encoding.encoder import Encoder
from qnn_models.data.layout import LABEL_COLUMN, FieldLayout, Split
from qnn_models.data.reading.prefetch import prefetched
from qnn_models.data.schema import SPLITS


class ContentHash:
    """SHA-256 of what a data set says, independent of the chunks it is written in and of the Parquet library.

    It covers the layout, the vocabularies and, for each split, the rows in order: every column's ids as little-endian
    int32 and the labels as bytes. Data sets that differ in row order differ in hash.
    """

    def __init__(self, layout: FieldLayout) -> None:
        self._layout = layout
        self._columns = {split: [hashlib.sha256() for _ in range(layout.columns)] for split in SPLITS}
        self._labels = {split: hashlib.sha256() for split in SPLITS}

    def update(self, split: str, ids: list[np.ndarray], labels: np.ndarray) -> None:
        """Append rows: one id array per column, and the labels."""
        for digest, column in zip(self._columns[split], ids, strict=True):
            digest.update(np.ascontiguousarray(column, dtype="<i4").data)
        self._labels[split].update(np.ascontiguousarray(labels, dtype=np.uint8).data)

    def hexdigest(self, encoder: Encoder) -> str:
        """The hash, with the vocabularies of `encoder`."""
        total = hashlib.sha256()
        layout = (self._layout.names, self._layout.vocabulary_sizes, self._layout.lengths)
        total.update(json.dumps(layout).encode())
        for tokens in encoder.vocabularies:
            total.update(json.dumps(tokens.to_list()).encode())
        for split in SPLITS:
            for digest in (*self._columns[split], self._labels[split]):
                total.update(digest.digest())
        return total.hexdigest()


class EncodedDataset:
    """A data set as ids, with the encoder that made them.

    Attributes:
        name: the schema's name.
        encoder: vocabularies, to encode further rows alike.
        layout: fields and columns.
        content_hash: see `ContentHash`.
        folder: where it is stored; None for one that lives in memory.
    """

    def __init__(
        self,
        name: str,
        *,
        encoder: Encoder,
        content_hash: str,
        rows: dict[str, int],
        splits: dict[str, Split] | None = None,
        files: Mapping[str, CheckedFile] | None = None,
        folder: Path | None = None,
    ) -> None:
        if (splits is None) == (files is None):
            raise ValueError("an encoded data set is either in memory (splits) or stored (files)")
        self.name = name
        self.encoder = encoder
        self.layout = encoder.layout
        self.content_hash = content_hash
        self.folder = folder
        self._rows = rows
        self._splits = {} if splits is None else dict(splits)
        self._files = {} if files is None else dict(files)

    def __repr__(self) -> str:
        return f"EncodedDataset({self.name!r}, rows={self._rows}, content_hash={self.content_hash[:12]!r})"

    def num_rows(self, split: str) -> int:
        """Rows of `train`, `valid` or `test`, without reading them."""
        return self._rows[_known(split)]

    def split(self, split: str) -> Split:
        """All rows of `train`, `valid` or `test` in memory (read once, then kept).

        Takes rows · (columns + 1) · 4 bytes; `batches` streams what is too large for that.
        """
        if _known(split) not in self._splits:
            self._splits[split] = self._read(split)
        return self._splits[split]

    def batches(
        self,
        split: str,
        *,
        batch_size: int,
        generator: torch.Generator | None = None,
        buffer_row_groups: int = 8,
    ) -> Iterator[Split]:
        """Batches of a split, streamed from the stored row groups; every row once, the last batch may be smaller.

        Memory is bounded by three buffers of `buffer_row_groups` row groups of 131 072 rows: one in use, one ready, one
        being read. Each takes rows · (columns + 1) · 4 bytes.

        Args:
            split: `train`, `valid` or `test`.
            batch_size: rows per batch.
            generator: without one, rows come in stored order. With one, row groups are drawn in random order and rows
                are shuffled within each buffer of row groups: near to, but not, a uniform permutation. A split that
                fits one buffer is permuted uniformly.
            buffer_row_groups: row groups held, and shuffled, together.

        Raises:
            ValueError: `split` is unknown, or a size is below 1.
        """
        if batch_size < 1 or buffer_row_groups < 1:
            raise ValueError(
                f"sizes must be at least 1, however: batch_size={batch_size}, buffer_row_groups={buffer_row_groups}"
            )
        with closing(self._buffers(_known(split), generator, buffer_row_groups)) as buffers:
            rest: Split | None = None
            for buffer in buffers:
                order = None if generator is None else torch.randperm(len(buffer), generator=generator)
                start = 0
                while start < len(buffer):
                    stop = start + batch_size - (0 if rest is None else len(rest))
                    batch = _some_rows(buffer, order, start, stop)
                    if rest is not None:
                        batch = rest.followed_by(batch)
                    start, rest = stop, None
                    if len(batch) == batch_size:
                        yield batch
                    else:  # the buffer's end; a copy, as a view would keep the whole buffer
                        rest = batch.clone()
            if rest is not None:
                yield rest

    def _buffers(
        self, split: str, generator: torch.Generator | None, buffer_row_groups: int
    ) -> Generator[Split, None, None]:
        """Row groups of a split, some at a time, the next ones read ahead; a split in memory is one buffer."""
        if split in self._splits:
            return (part for part in (self._splits[split],))
        groups = self._files[split].row_groups
        # Drawn here, before the thread starts: the caller draws from the same generator.
        order = list(range(groups)) if generator is None else torch.randperm(groups, generator=generator).tolist()
        return prefetched(self._groups(split, order, buffer_row_groups))

    def _groups(self, split: str, order: list[int], at_a_time: int) -> Iterator[Split]:
        with checked_row_groups(self._files[split]) as groups:
            for start in range(0, len(order), at_a_time):
                yield _rows_of_groups(groups, order[start : start + at_a_time], self.layout)

    def _read(self, split: str) -> Split:
        file = self._files[split]
        with checked_row_groups(file) as groups:
            return _rows_of_groups(groups, range(file.row_groups), self.layout)


def _known(split: str) -> str:
    if split not in SPLITS:
        raise ValueError(f"a split is one of {', '.join(SPLITS)}, however: {split!r}")
    return split


def _some_rows(buffer: Split, order: torch.Tensor | None, start: int, stop: int) -> Split:
    """Rows `start` to `stop` of a buffer, in its own order (a view) or in another."""
    return buffer.part(slice(start, stop) if order is None else order[start:stop])


def _rows_of_groups(stored: CheckedRowGroups, groups: Sequence[int], layout: FieldLayout) -> Split:
    """The rows of some row groups. Each is read by itself, so that one at most is held in Arrow's form too."""
    rows = sum(stored.rows(group) for group in groups)
    ids, labels = np.empty((rows, layout.columns), dtype=np.int32), np.empty(rows, dtype=np.float32)
    start = 0
    for group in groups:
        table = stored.read(group)
        stop = start + table.num_rows
        for position, name in enumerate(layout.column_names):
            ids[start:stop, position] = table[name].to_numpy()
        labels[start:stop] = table[LABEL_COLUMN].to_numpy()
        start = stop
    return Split(torch.from_numpy(ids), torch.from_numpy(labels))
