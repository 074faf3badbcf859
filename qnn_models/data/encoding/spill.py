"""Parsed chunks kept on disk between the passes of an encoding, so that text is read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.ipc as ipc

from qnn_models.data.layout import LABEL_COLUMN
from qnn_models.data.reading.columns import Column


@dataclass(frozen=True, slots=True)
class SpilledChunk:
    """A chunk on disk.

    Attributes:
        path: its Arrow file.
        role: of the file its rows are from: `table`, or `train`, `valid`, `test`.
        rows: how many.
        size: bytes of that file that it took.
    """

    path: Path
    role: str
    rows: int
    size: int

    def read(self) -> tuple[dict[str, Column], np.ndarray]:
        """Columns by field name, and labels (uint8)."""
        with pa.memory_map(str(self.path)) as stream:
            table = ipc.open_file(stream).read_all()
        arrays = {name: table[name].chunk(0) for name in table.column_names}
        labels = arrays.pop(LABEL_COLUMN).to_numpy()
        return {
            name: Column(array.indices.to_numpy(), pl.Series(pl.from_arrow(array.dictionary), dtype=pl.String))
            for name, array in arrays.items()
        }, labels


@dataclass(frozen=True, slots=True)
class Spill:
    """Chunks written to a folder, to be read again in order.

    Attributes:
        folder: where they are; removed by whoever made it.
        chunks: what was written.
    """

    folder: Path
    chunks: list[SpilledChunk] = field(default_factory=list)

    def write(self, columns: Mapping[str, Column], labels: np.ndarray, *, role: str, size: int) -> None:
        """Append a chunk; codes are stored in as few bytes as they need."""
        arrays = {name: _dictionary(column) for name, column in columns.items()}
        table = pa.table({**arrays, LABEL_COLUMN: pa.array(labels)})
        path = self.folder / f"{len(self.chunks):06d}.arrow"
        with ipc.new_file(str(path), table.schema, options=ipc.IpcWriteOptions(compression="lz4")) as writer:
            writer.write_table(table)
        self.chunks.append(SpilledChunk(path, role, len(labels), size))

    def __iter__(self) -> Iterator[tuple[SpilledChunk, dict[str, Column], np.ndarray]]:
        for chunk in self.chunks:
            yield chunk, *chunk.read()


def _dictionary(column: Column) -> pa.DictionaryArray:
    codes = column.codes.astype(np.min_scalar_type(max(len(column.texts) - 1, 0)))
    return pa.DictionaryArray.from_arrays(pa.array(codes), column.texts.to_arrow(compat_level=pl.CompatLevel.oldest()))
