"""From files to rows: every file format as a stream of chunks whose rows know their file and line."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from qnn_models.data.schema import Source

BLOCK_BYTES = 32 * 2**20
"""Text is read in blocks of about this size."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive rows of a file.

    Attributes:
        frame: the columns asked for; text as it stands in the file, null where it is empty.
        file: where the rows are from.
        first_line: 1-based line (row, for a file without lines) of the first row.
        size: bytes of the file that this chunk took.
        lines: the 1-based line of each row, where rows and lines do not run in step.
    """

    frame: pl.DataFrame
    file: Path
    first_line: int
    size: int
    lines: np.ndarray | None = None

    def at(self, row: int) -> str:
        """Where a row is: `file:line`."""
        line = self.first_line + row if self.lines is None else int(self.lines[row])
        return f"{self.file}:{line}"


Reader = Callable[[Source, Path, str, Sequence[str]], Iterator[Chunk]]
"""(source, folder, file name, columns wanted) -> chunks. Raises ValueError with file and line for rows that are corrupt."""


def require_columns(present: Sequence[str], wanted: Sequence[str], *, file: Path) -> None:
    """Check that a file has the columns wanted.

    Raises:
        ValueError: one is missing, with the nearest name that is there.
    """
    for column in wanted:
        if column not in present:
            near = difflib.get_close_matches(column, present, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"it has: {', '.join(present)}"
            raise ValueError(f"{file}: a column of the schema is missing, however: {column!r} must be there; {remedy}")


def read_csv(source: Source, folder: Path, name: str, columns: Sequence[str]) -> Iterator[Chunk]:
    """Delimited text, in blocks; every line must have as many columns as the first."""
    file = folder / name
    with file.open("rb") as stream:
        line = 1
        header = source.columns
        if not header:
            first = stream.readline().decode("utf-8-sig").rstrip("\r\n")
            header = tuple(next(csv.reader([first], delimiter=source.separator), []))
            line = 2
        require_columns(header, columns, file=file)
        quote = b'"' if source.quoted else b""
        for block in _blocks(stream, quote):
            yield parse_block(
                block, header, columns, file=file, first_line=line, separator=source.separator, quote=quote
            )
            line += block.count(b"\n")


def parse_block(
    block: bytes,
    header: Sequence[str],
    columns: Sequence[str],
    *,
    file: Path,
    first_line: int,
    separator: str,
    quote: bytes = b"",
) -> Chunk:
    """Parse whole lines of delimited text.

    Raises:
        ValueError: a line has another number of columns than the header, or the text is not UTF-8.
    """
    lines = None
    if quote and quote in block:
        lines = _check_quoted(block, len(header), file=file, first_line=first_line, separator=separator)
    else:
        quote = b""
        _check_plain(block, len(header), file=file, first_line=first_line, separator=separator)
    try:
        frame = pl.read_csv(
            io.BytesIO(block),
            has_header=False,
            schema=dict.fromkeys(header, pl.String()),
            columns=sorted({header.index(name) for name in columns}),
            separator=separator,
            quote_char=quote.decode() or None,
        )
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{file}, from line {first_line}: text must be clean UTF-8, however: {error}") from error
    return Chunk(frame.select(columns), file, first_line, len(block), lines)


def _blocks(stream: io.BufferedReader, quote: bytes) -> Iterator[bytes]:
    """Cut a stream at line ends, outside quotes; empty lines at the end of the file are no rows."""
    rest = b""
    following = stream.read(BLOCK_BYTES)
    while data := following:
        following = stream.read(BLOCK_BYTES)
        data = rest + data
        if not following:
            data = data.rstrip(b"\r\n") + b"\n"
            cut = len(data) if len(data) > 1 else 0
        else:
            cut = data.rfind(b"\n") + 1
            while quote and cut and data.count(quote, 0, cut) % 2:
                cut = data.rfind(b"\n", 0, cut - 1) + 1
        rest = data[cut:]
        if cut:
            yield data[:cut]


def _wrong_width(found: int, width: int, *, file: Path, line: int) -> ValueError:
    return ValueError(
        f"{file}:{line}: a row must have {width} columns, however: this one has {found}; mend or remove it"
    )


def _check_plain(block: bytes, width: int, *, file: Path, first_line: int, separator: str) -> None:
    """Count the separators of each line, without parsing."""
    codes = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(codes == ord("\n"))
    separators = np.flatnonzero(codes == ord(separator))
    found = np.diff(np.searchsorted(separators, ends), prepend=0) + 1
    wrong = np.flatnonzero(found != width)
    if wrong.size:
        raise _wrong_width(int(found[wrong[0]]), width, file=file, line=first_line + int(wrong[0]))


def _check_quoted(block: bytes, width: int, *, file: Path, first_line: int, separator: str) -> np.ndarray | None:
    """Count columns where quotes guard separators or line ends; returns each row's line if rows span lines."""
    text = io.StringIO(block.decode("utf-8", errors="replace"), newline="")
    reader = csv.reader(text, delimiter=separator)
    starts: list[int] = []
    start = first_line
    for row in reader:
        if len(row) != width:
            raise _wrong_width(len(row), width, file=file, line=start)
        starts.append(start)
        start = first_line + reader.line_num
    return np.array(starts) if start - first_line != len(starts) else None


def read_parquet(source: Source, folder: Path, name: str, columns: Sequence[str]) -> Iterator[Chunk]:
    """Parquet, in batches, types as stored; a sequence field may be a list."""
    import pyarrow.parquet as pq

    file = folder / name
    with pq.ParquetFile(file) as stored:
        require_columns(stored.schema_arrow.names, columns, file=file)
        row = 1
        size = file.stat().st_size
        total = max(stored.metadata.num_rows, 1)
        for batch in stored.iter_batches(batch_size=2**18, columns=list(dict.fromkeys(columns))):
            frame = pl.DataFrame(pl.from_arrow(batch))
            yield Chunk(frame.select(columns), file, row, size * frame.height // total)
            row += frame.height
