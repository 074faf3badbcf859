"""From files to rows: every file format as a stream of chunks whose rows know their file and line."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl

from qnn_models.data.schema import Source

BLOCK_BYTES = 16 * 2**20
"""Text is read in blocks of about this size."""

_BATCH_ROWS = 2**17


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


Columns: TypeAlias = Sequence[tuple[str, ...]]
"""Columns wanted: for each, the name it gets, which is tried first, and its aliases."""

Reader: TypeAlias = Callable[[Source, Path, str, Columns], Iterator[Chunk]]
"""(source, folder, file name, columns wanted) -> chunks. Raises ValueError with file and line for rows that are corrupt."""


def find_columns(present: Sequence[str], wanted: Columns, *, file: Path) -> dict[str, str]:
    """Find the columns wanted: by name, by an alias, or by one of these but for upper and lower case.

    Returns:
        Name in the file -> name wanted.

    Raises:
        ValueError: one is missing, with the nearest name that is there; or the file has a name twice.
    """
    if len(set(present)) != len(present):
        twice = next(name for name in present if list(present).count(name) > 1)
        raise ValueError(f"{file}: columns have distinct names, however: {twice!r} is there twice")
    folded = {name.casefold(): name for name in present}
    found: dict[str, str] = {}
    for names in wanted:
        here = [name for name in names if name in present]
        here += [folded[name.casefold()] for name in names if name.casefold() in folded]
        if not here:
            near = difflib.get_close_matches(names[0], present, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"it has: {', '.join(present)}"
            raise ValueError(
                f"{file}: a column of the schema is missing, however: {names[0]!r} must be there; {remedy}"
            )
        found[here[0]] = names[0]
    return found


def read_csv(source: Source, folder: Path, name: str, columns: Columns) -> Iterator[Chunk]:
    """Delimited text, in blocks; every line must have as many columns as the first."""
    file = folder / name
    with file.open("rb") as stream:
        line = 1
        header = source.columns
        if not header:
            first = stream.readline().decode("utf-8-sig").rstrip("\r\n")
            header = tuple(next(csv.reader([first], delimiter=source.separator), []))
            line = 2
        found = find_columns(header, columns, file=file)
        quote = b'"' if source.quoted else b""
        for block in _blocks(stream, quote, file=file, first_line=line):
            yield parse_block(block, header, found, file=file, first_line=line, separator=source.separator, quote=quote)
            line += block.count(b"\n")


def count_lines(source: Source, folder: Path, name: str) -> int | None:
    """Rows of delimited text by its line ends alone, or None where a quote may guard one."""
    rows = 0
    file = folder / name
    with file.open("rb") as stream:
        if not source.columns:
            stream.readline()
        for block in _blocks(stream, b"", file=file, first_line=1):
            if source.quoted and b'"' in block:
                return None
            rows += block.count(b"\n")
    return rows


def read_libfm(source: Source, folder: Path, name: str, columns: Columns) -> Iterator[Chunk]:
    """LibFM text, one `label index:1 index:1 ...` a line; `columns` of the source names label and fields by position."""
    file = folder / name
    found = find_columns(source.columns, columns, file=file)
    line = 1
    with file.open("rb") as stream:
        for block in _blocks(stream, b"", file=file, first_line=line):
            clean = block.replace(b"\r\n", b"\n").replace(b" \n", b"\n")
            chunk = parse_block(clean, source.columns, found, file=file, first_line=line, separator=" ")
            yield replace(chunk, frame=_indices(chunk, label=source.columns[0]), size=len(block))
            line += block.count(b"\n")


def _indices(chunk: Chunk, *, label: str) -> pl.DataFrame:
    """Take the index of `index:1`."""
    frame = chunk.frame
    for name in frame.columns:
        if name != label:
            index = frame[name].str.extract(r"^(\d+):1(?:\.0*)?$")
            if index.null_count():
                row = index.is_null().arg_max() or 0
                raise ValueError(
                    f"{chunk.at(row)}: a one-hot field must be index:1, however: {frame[name][row]!r} for {name}; mend it"
                )
            frame = frame.with_columns(index.alias(name))
    return frame


def parse_block(
    block: bytes,
    header: Sequence[str],
    columns: Mapping[str, str],
    *,
    file: Path,
    first_line: int,
    separator: str,
    quote: bytes = b"",
) -> Chunk:
    """Parse whole lines of delimited text; `columns` gives the names wanted by names of the header.

    Raises:
        ValueError: a line has another number of columns than the header, or the text is not UTF-8.
    """
    lines = None
    width = len(header)
    plain = not (quote and quote in block)
    if not plain:
        lines = _check_quoted(block, width, file=file, first_line=first_line, separator=separator)
    try:
        frame = pl.read_csv(
            io.BytesIO(block),
            has_header=False,
            schema=dict.fromkeys(header, pl.String()),
            columns=sorted({header.index(name) for name in columns}),
            separator=separator,
            quote_char=None if plain else quote.decode(),
        )
    except pl.exceptions.PolarsError as error:
        if plain:
            _raise_wrong_width(block, width, file=file, first_line=first_line, separator=separator)
        raise ValueError(f"{file}, from line {first_line}: text must be clean UTF-8, however: {error}") from error
    if lines is not None and len(lines) != frame.height:
        raise ValueError(
            f"{file}, from line {first_line}: quotes must open and close a column, however: they do not; mend them"
        )
    # The parser refuses a line that is too long and fills one that is too short: with none too long, a count tells.
    if plain and np.count_nonzero(np.frombuffer(block, np.uint8) == ord(separator)) != frame.height * (width - 1):
        _raise_wrong_width(block, width, file=file, first_line=first_line, separator=separator)
    frame = frame.select(pl.col(here).alias(name) for here, name in columns.items())
    return Chunk(frame, file, first_line, len(block), lines)


def _blocks(stream: io.BufferedReader, quote: bytes, *, file: Path, first_line: int) -> Iterator[bytes]:
    """Cut a stream at line ends, outside quotes; empty lines at the end of the file are no rows."""
    rest = b""
    line = first_line
    following = stream.read(BLOCK_BYTES)
    while data := following:
        following = stream.read(BLOCK_BYTES)
        data = rest + data
        if following:
            cut = data.rfind(b"\n") + 1
            while quote and cut and data.count(quote, 0, cut) % 2:
                cut = data.rfind(b"\n", 0, cut - 1) + 1
            if not cut and len(data) > 2 * BLOCK_BYTES:
                raise ValueError(
                    f"{file}:{line}: a row must end and a quote close, however: none does; set quoted = false?"
                )
        else:
            data = data.rstrip(b"\r\n") + b"\n"
            cut = len(data) if len(data) > 1 else 0
        rest = data[cut:]
        if cut:
            yield data[:cut]
            line += data.count(b"\n", 0, cut)


def _wrong_width(found: int, width: int, *, file: Path, line: int) -> ValueError:
    return ValueError(
        f"{file}:{line}: a row must have {width} columns, however: this one has {found}; mend or remove it"
    )


def _raise_wrong_width(block: bytes, width: int, *, file: Path, first_line: int, separator: str) -> None:
    """Find the first line of another width, if there is one."""
    for line, text in enumerate(block.splitlines(), first_line):
        found = text.count(separator.encode()) + 1
        if found != width:
            raise _wrong_width(found, width, file=file, line=line)


def _check_quoted(block: bytes, width: int, *, file: Path, first_line: int, separator: str) -> np.ndarray:
    """Count columns where quotes guard separators or line ends; returns each row's line."""
    text = io.StringIO(block.decode("utf-8", errors="replace"), newline="")
    reader = csv.reader(text, delimiter=separator)
    starts: list[int] = []
    start = first_line
    for row in reader:
        if len(row) != width:
            raise _wrong_width(len(row), width, file=file, line=start)
        starts.append(start)
        start = first_line + reader.line_num
    return np.array(starts)


def read_parquet(source: Source, folder: Path, name: str, columns: Columns) -> Iterator[Chunk]:
    """Parquet, in batches, types as stored; a sequence field may be a list."""
    import pyarrow.parquet as pq

    file = folder / name
    with pq.ParquetFile(file) as stored:
        found = find_columns(stored.schema_arrow.names, columns, file=file)
        row = 1
        size = file.stat().st_size
        total = max(stored.metadata.num_rows, 1)
        for batch in stored.iter_batches(batch_size=_BATCH_ROWS, columns=list(found)):
            frame = pl.DataFrame(pl.from_arrow(batch)).rename(found)
            yield Chunk(frame, file, row, size * frame.height // total)
            row += frame.height


def read_hdf5(source: Source, folder: Path, name: str, columns: Columns) -> Iterator[Chunk]:
    """HDF5 as FuxiCTR writes it: one array of ids for each column, of two dimensions for a sequence, padded by 0.

    Raises:
        ImportError: h5py, which is optional, is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError("HDF5 is read with h5py, however: it is not installed; pip install h5py") from error
    file = folder / name
    with h5py.File(file, "r") as stored:
        found = find_columns(list(stored), columns, file=file)
        lengths = {here: len(stored[here]) for here in found}
        rows = next(iter(lengths.values()))
        if len(set(lengths.values())) > 1:
            raise ValueError(f"{file}: arrays must be of one length, however: {lengths}; write the file again")
        size = file.stat().st_size
        for start in range(0, rows, _BATCH_ROWS):
            parts = {wanted: pl.Series(stored[here][start : start + _BATCH_ROWS]) for here, wanted in found.items()}
            for wanted, part in parts.items():
                if isinstance(part.dtype, pl.Array):
                    parts[wanted] = part.arr.to_list().list.eval(pl.element().filter(pl.element() != 0))
            frame = pl.DataFrame(parts)
            yield Chunk(frame, file, start + 1, size * frame.height // rows)
