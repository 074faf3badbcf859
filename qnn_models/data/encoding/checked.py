"""Stored files with checksums of every byte: by segments, so that a part of a file is checked when that part is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from qnn_models.runtime.checksums import DamagedError, sha256_of_next

REMEDY = "prepare the data set again: qnn data prepare, with --force and its --source"


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of bytes of a file, from the end of the segment before.

    Attributes:
        stop: where it ends.
        sha256: of its bytes.
    """

    stop: int
    sha256: str


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file whose every byte is covered by a checksum.

    Attributes:
        path: where it is.
        segments: of a Parquet file one for each row group, and the last one of the footer; of another file one.
    """

    path: Path
    segments: tuple[Segment, ...]

    @staticmethod
    def of(path: Path, *, parquet: bool = False) -> CheckedFile:
        """Take the checksums of a file that has just been written; by row groups if it is a Parquet file."""
        stops = _row_group_stops(path) if parquet else []
        with path.open("rb") as stream:
            segments, start = [], 0
            for stop in (*stops, path.stat().st_size):
                segments.append(Segment(stop, sha256_of_next(stream, stop - start)))
                start = stop
        return CheckedFile(path, tuple(segments))

    @staticmethod
    def from_json(path: Path, stored: Sequence[Sequence[Any]]) -> CheckedFile:
        """Read what `to_json` gave."""
        return CheckedFile(path, tuple(Segment(int(stop), str(sha256)) for stop, sha256 in stored))

    def to_json(self) -> list[list[Any]]:
        """The segments as JSON values."""
        return [list(asdict(segment).values()) for segment in self.segments]

    @property
    def row_groups(self) -> int:
        """Row groups, of a Parquet file."""
        return len(self.segments) - 1

    def check(self) -> None:
        """Check the whole file.

        Raises:
            DamagedError: the file is gone, or is not what was written.
        """
        with self.opened() as stream:
            for number in range(len(self.segments)):
                self.check_segment(stream, number)

    @contextmanager
    def opened(self) -> Iterator[pa.NativeFile]:
        """Open the file, which must have its length; what goes wrong while it is open is damage.

        Raises:
            DamagedError: it is gone, cannot be read, or is longer or shorter than it was.
        """
        try:
            with pa.OSFile(str(self.path)) as stream:
                size, wanted = stream.size(), self.segments[-1].stop
                if size != wanted:
                    raise self._damaged(f"it has {size} bytes, not {wanted}")
                yield stream
        except OSError as error:
            raise self._damaged(f"it cannot be read ({error})") from error

    def check_segment(self, stream: pa.NativeFile, number: int) -> None:
        """Check one segment of the opened file.

        Raises:
            DamagedError: its bytes are not those that were written.
        """
        start = self.segments[number - 1].stop if number else 0
        segment = self.segments[number]
        stream.seek(start)
        if sha256_of_next(stream, segment.stop - start) != segment.sha256:
            raise self._damaged(f"its bytes {start} to {segment.stop} have another SHA-256")

    def _damaged(self, found: str) -> DamagedError:
        return DamagedError.of(self.path, found, remedy=REMEDY)


@contextmanager
def checked_row_groups(file: CheckedFile) -> Iterator[CheckedRowGroups]:
    """Open a Parquet file to read its row groups; see `CheckedRowGroups`."""
    with file.opened() as stream:
        file.check_segment(stream, file.row_groups)  # the footer, which says where the row groups are
        with pq.ParquetFile(stream) as parquet:
            yield CheckedRowGroups(file, stream, parquet)


@dataclass(frozen=True, slots=True)
class CheckedRowGroups:
    """The row groups of a Parquet file, each checked when it is read.

    The checksums are those of the data set that was opened, so it is noticed too when another process puts other rows in the
    place of those that this one began to read.
    """

    _file: CheckedFile
    _stream: pa.NativeFile
    _parquet: pq.ParquetFile

    def rows(self, group: int) -> int:
        """Rows of a row group."""
        return int(self._parquet.metadata.row_group(group).num_rows)

    def read(self, group: int) -> pa.Table:
        """Read one row group.

        Raises:
            DamagedError: its bytes are not those that were written.
        """
        self._file.check_segment(self._stream, group)
        return self._parquet.read_row_group(group)


def _row_group_stops(path: Path) -> list[int]:
    """Where the row groups end; they stand one after the other."""
    metadata = pq.read_metadata(path)
    stops = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        columns = [group.column(column) for column in range(group.num_columns)]
        stops.append(max(_start(column) + column.total_compressed_size for column in columns))
    return stops


def _start(column: pq.ColumnChunkMetaData) -> int:
    first = column.data_page_offset
    return int(first if column.dictionary_page_offset is None else min(first, column.dictionary_page_offset))
