"""From files to rows: every file format as a stream of chunks whose rows know their file and line."""

from __future__ import annotations

import csv
import difflib
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from qnn_models.data.reading.columns import Column, column_of_arrow, column_of_series
from qnn_models.data.reading.compressed import opened_text
from qnn_models.data.reading.prefetch import mapped
from qnn_models.data.reading.text import bad_utf8_line, check_no_nul, check_text, read_header, shortened
from qnn_models.data.schema import Source

BLOCK_BYTES = 16 * 2**20
"""Text is read in blocks of about this size."""

_BATCH_ROWS = 2**17
_PARSE_THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive rows of a file.

    Attributes:
        columns: the columns asked for, by the names wanted.
        file: where the rows are from.
        first_line: 1-based line (row, for a file without lines) of the first row.
        size: bytes of the file that this chunk took.
        quoted: the rows as text, where a quoted line end may put rows and lines out of step.
        separator: between the columns of that text.
    """

    columns: dict[str, Column]
    file: Path
    first_line: int
    size: int
    quoted: bytes = b""
    separator: str = ","

    def at(self, row: int) -> str:
        """Where a row is: `file:line`."""
        line = row
        if self.quoted:
            line = next((ended for n, (ended, _) in enumerate(self.quoted_rows(), 1) if n == row), 0)
        return f"{self.file}:{self.first_line + line}"

    def quoted_rows(self) -> Iterator[tuple[int, list[str]]]:
        """The rows of quoted text, each with the number of lines that have ended by then; slow, for errors."""
        reader = csv.reader(io.StringIO(self.quoted.decode("utf-8", "replace"), newline=""), delimiter=self.separator)
        for row in reader:
            yield reader.line_num, row

    def frame(self) -> pl.DataFrame:
        """The rows as text."""
        return pl.DataFrame({name: column.rows() for name, column in self.columns.items()})


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
            remedy = f"did you mean {near[0]}?" if near else f"it has: {shortened(', '.join(present))}"
            raise ValueError(
                f"{file}: a column of the schema is missing, however: {names[0]!r} must be there; {remedy}"
            )
        if here[0] in found:
            raise ValueError(
                f"{file}: a column is of one field or the label, however: {here[0]!r} would be {found[here[0]]!r} "
                f"and {names[0]!r}; mend names and aliases in the schema"
            )
        found[here[0]] = names[0]
    return found


def read_csv(source: Source, folder: Path, name: str, columns: Columns) -> Iterator[Chunk]:
    """Delimited text, in blocks; every line must have as many columns as the first."""
    file = folder / name
    with opened_text(file) as opened:
        stream = opened.text
        check_text(stream.peek(8), file=file)
        line = 1
        header: Sequence[str] = source.columns
        if not header:
            header = read_header(stream, file=file, separator=source.separator, quoted=source.quoted)
            line = 2
        found = find_columns(header, columns, file=file)
        quote = b'"' if source.quoted else b""

        def parse(numbered: tuple[int, bytes, int]) -> Chunk:
            first_line, block, size = numbered
            chunk = parse_block(
                block,
                header,
                found,
                file=file,
                first_line=first_line,
                separator=source.separator,
                quoted=source.quoted,
                missing=source.missing,
            )
            return replace(chunk, size=size)

        blocks = text_blocks(stream, quote, file=file, first_line=line)
        measured = ((first_line, block, opened.progress()) for first_line, block in blocks)
        yield from mapped(parse, measured, threads=_PARSE_THREADS)


def read_libfm(source: Source, folder: Path, name: str, columns: Columns) -> Iterator[Chunk]:
    """LibFM text, one `label index:1 index:1 ...` a line; `columns` of the source names label and fields by position."""
    file = folder / name
    found = find_columns(source.columns, columns, file=file)
    with opened_text(file) as opened:
        check_text(opened.text.peek(8), file=file)
        for line, block in text_blocks(opened.text, b"", file=file, first_line=1):
            clean = block.replace(b"\r\n", b"\n").replace(b" \n", b"\n")
            chunk = parse_block(clean, source.columns, found, file=file, first_line=line, separator=" ")
            columns_ = {
                name: column if name == source.columns[0] else replace(column, texts=_indices(chunk, name))
                for name, column in chunk.columns.items()
            }
            yield replace(chunk, columns=columns_, size=opened.progress())


def _indices(chunk: Chunk, name: str) -> pl.Series:
    """The indices of texts `index:1`."""
    column = chunk.columns[name]
    indices = column.texts.str.extract(r"^(\d+):1(?:\.0*)?$")
    row = column.first_row(indices.is_null())
    if row is not None:
        raise ValueError(
            f"{chunk.at(row)}: a one-hot field must be index:1, however: {column.rows()[row]!r} for {name}; mend it"
        )
    return indices


def parse_block(
    block: bytes,
    header: Sequence[str],
    columns: Mapping[str, str],
    *,
    file: Path,
    first_line: int,
    separator: str,
    quoted: bool = False,
    missing: Sequence[str] = (),
) -> Chunk:
    """Parse whole lines of delimited text; `columns` gives the names wanted by names of the header.

    Raises:
        ValueError: a line has another number of columns than the header, a quote stays open, or the text is not UTF-8.
    """
    quoted = quoted and b'"' in block
    chunk = Chunk({}, file, first_line, len(block), block if quoted else b"", separator)
    wrong: list[pc.InvalidRow] = []

    def refuse(row: pc.InvalidRow) -> str:
        wrong.append(row)
        return "error"

    if quoted and block.count(b'"') % 2:
        where = chunk.at(_odd_row(chunk, len(header)))
        raise ValueError(
            f"{where}: a quote must close, however: one in this row does not; mend it, or set quoted = false"
        )
    if (
        not quoted
        and len(header) > 1
        and (block[:2].lstrip(b"\r")[:1] == b"\n" or b"\n\n" in block or b"\n\r\n" in block)
    ):
        line = next(number for number, text in enumerate(block.split(b"\n")) if not text.strip(b"\r"))
        raise _wrong_width(1, header, f"{file}:{first_line + line}")
    kind = pa.dictionary(pa.int32(), pa.string())
    try:
        table = pc.read_csv(
            pa.BufferReader(block),
            read_options=pc.ReadOptions(column_names=header, use_threads=False, block_size=len(block) + 1),
            parse_options=pc.ParseOptions(
                delimiter=separator,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                ignore_empty_lines=False,
                invalid_row_handler=refuse,
            ),
            convert_options=pc.ConvertOptions(
                include_columns=list(columns),
                column_types=dict.fromkeys(columns, kind),
                strings_can_be_null=True,
                null_values=["", *missing],
            ),
        )
    except pa.ArrowInvalid as error:
        if wrong:
            raise _wrong_width(wrong[0].actual_columns, header, chunk.at(wrong[0].number - 1)) from None
        bad = bad_utf8_line(block)
        if bad is not None:
            raise ValueError(
                f"{file}:{first_line + bad}: text must be UTF-8, however: this line is not; convert the file, as from Latin-1 "
                "with iconv -f LATIN1 -t UTF-8"
            ) from None
        raise ValueError(
            f"{file}, from line {first_line}: text must be rows of columns, however: {shortened(str(error))}; mend it"
        ) from None
    parsed = {wanted: column_of_arrow(table[here].combine_chunks()) for here, wanted in columns.items()}
    return replace(chunk, columns=parsed)


def text_blocks(stream: io.BufferedReader, quote: bytes, *, file: Path, first_line: int) -> Iterator[tuple[int, bytes]]:
    """Cut a stream at line ends, outside quotes, and tell each block's first line.

    Empty lines at the end of the file are no rows.
    """
    rest = b""
    line = first_line
    following = stream.read(BLOCK_BYTES)
    while data := following:
        following = stream.read(BLOCK_BYTES)
        data = rest + data
        check_no_nul(data, file=file, first_line=line)
        if following:
            cut = data.rfind(b"\n") + 1
            while quote and cut and data.count(quote, 0, cut) % 2:  # the last quote is open: cut before its line
                cut = data.rfind(b"\n", 0, data.rfind(quote, 0, cut)) + 1
            if not cut and len(data) > 2 * BLOCK_BYTES:
                raise ValueError(
                    f"{file}:{line}: a row must end and a quote close, however: none does; set quoted = false?"
                )
        else:
            data = data.rstrip(b"\r\n") + b"\n"
            cut = len(data) if len(data) > 1 else 0
        rest = data[cut:]
        if cut:
            yield line, data[:cut]
            line += data.count(b"\n", 0, cut)


def _odd_row(chunk: Chunk, width: int) -> int:
    """The first row that a quote distorts, or else the last one."""
    widths = [len(row) for _, row in chunk.quoted_rows()]
    return next((number for number, found in enumerate(widths) if found != width), len(widths) - 1)


def _wrong_width(found: int, header: Sequence[str], where: str) -> ValueError:
    return ValueError(
        f"{where}: a row must have {len(header)} columns, however: this one has {found}; mend or remove it"
    )


def read_parquet(source: Source, folder: Path, name: str, columns: Columns) -> Iterator[Chunk]:
    """Parquet, in batches, types as stored; a sequence field may be a list."""
    file = folder / name
    with (
        _sound(file, "Parquet", OSError, pa.ArrowException),
        pq.ParquetFile(file, page_checksum_verification=True) as stored,
    ):
        found = find_columns(stored.schema_arrow.names, columns, file=file)
        row = 1
        size = file.stat().st_size
        total = max(stored.metadata.num_rows, 1)
        for batch in stored.iter_batches(batch_size=_BATCH_ROWS, columns=list(found)):
            frame = pl.DataFrame(pl.from_arrow(batch))
            yield _chunk({found[series.name]: series for series in frame}, file, row, size * frame.height // total)
            row += frame.height


def read_hdf5(source: Source, folder: Path, name: str, columns: Columns) -> Iterator[Chunk]:
    """HDF5 as FuxiCTR writes it: one array of ids for each column, of two dimensions for a sequence, padded by 0.

    Raises:
        ImportError: h5py, which is optional, is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "HDF5 is read with h5py, however: it is not installed; pip install 'qnn-toolkit[hdf5]'"
        ) from error
    file = folder / name
    with _sound(file, "HDF5", OSError, KeyError, RuntimeError), h5py.File(file, "r") as stored:
        found = find_columns(list(stored), columns, file=file)
        wrong = [
            here for here in found if not isinstance(stored[here], h5py.Dataset) or stored[here].ndim not in (1, 2)
        ]
        if wrong:
            raise ValueError(f"{file}: a column is an array of one or two dimensions, however: {wrong[0]!r} is none")
        lengths = {here: len(stored[here]) for here in found}
        rows = next(iter(lengths.values()))
        if len(set(lengths.values())) > 1:
            raise ValueError(f"{file}: arrays must be of one length, however: {lengths}; write the file again")
        size = file.stat().st_size
        for start in range(0, rows, _BATCH_ROWS):
            parts: dict[str, pl.Series] = {}
            for here, wanted in found.items():
                values = pl.Series(stored[here][start : start + _BATCH_ROWS])
                if isinstance(values.dtype, pl.Array):
                    values = values.arr.to_list().list.eval(pl.element().filter(pl.element() != 0))
                parts[wanted] = values
            yield _chunk(parts, file, start + 1, size * min(_BATCH_ROWS, rows - start) // rows)


def _chunk(columns: Mapping[str, pl.Series], file: Path, first_row: int, size: int) -> Chunk:
    """A chunk of values of any type that casts to text.

    Raises:
        ValueError: a column's type does not.
    """
    made = {}
    for name, values in columns.items():
        try:
            made[name] = column_of_series(values)
        except (ValueError, pl.exceptions.PolarsError) as error:
            raise ValueError(
                f"{file}: a column holds texts, numbers or lists of them, however: {name} is of type {values.dtype}; "
                "write it as text"
            ) from error
    return Chunk(made, file, first_row, size)


@contextmanager
def _sound(file: Path, kind: str, *damage: type[Exception]) -> Iterator[None]:
    """Name the file in what a library raises where it is not what its name or its schema says."""
    try:
        yield
    except damage as error:
        raise ValueError(
            f"{file} must be a sound {kind} file, however: {shortened(str(error))}; write it again"
        ) from error
