"""Rows of a schema's fields: what to ask of a reader, numbers checked, and new rows to predict on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from qnn_models.data.reading.columns import Column
from qnn_models.data.reading.headers import column_names, first_lines, format_of, separator_of
from qnn_models.data.reading.json_lines import read_json_lines
from qnn_models.data.reading.numbers import numbers_of
from qnn_models.data.reading.readers import Chunk, Reader, read_csv, read_parquet
from qnn_models.data.reading.source_files import check_readable
from qnn_models.data.schema import Field, Schema, Source

_LOG = logging.getLogger("qnn_models.data")

ROW_READERS: dict[str, Reader] = {"csv": read_csv, "jsonl": read_json_lines, "parquet": read_parquet}
"""Formats of rows to predict on."""


def field_columns(fields: Sequence[Field]) -> list[tuple[str, ...]]:
    """The columns of some fields, by name and alias."""
    return [(field.name, *field.aliases) for field in fields]


def read_rows(path: Path, *, schema: Schema, keep: Sequence[str] = ()) -> Iterator[Chunk]:
    """Read new rows of a data set's fields, to encode and predict on; no label is needed.

    A column that an optional field lacks is taken as missing values throughout, which a warning of the logger
    `qnn_models.data` tells.

    Args:
        path: delimited text with a header, JSON lines or Parquet, as the suffix says; text may be compressed.
        schema: the data set's; further columns of the file are ignored.
        keep: further columns to read along.

    Yields:
        Chunks whose `frame()` suits `Encoder.encode_tensor`.

    Raises:
        ValueError: the file or a column is missing, or a row is corrupt, with file and line.
    """
    check_readable(path)
    kind = format_of(path)
    own = next((source for source in schema.sources if source.format == kind), Source(format=kind, table="-"))
    source = replace(own, columns=(), separator=separator_of(path, first_lines(path)) if kind == "csv" else ",")
    present = column_names(path, separator=source.separator)
    folded = {name.casefold() for name in present}
    absent = [
        field
        for field in schema.fields
        if field.optional and not {name.casefold() for name in (field.name, *field.aliases)} & folded
    ]
    if absent:
        _LOG.warning("%s has no column %s; taken as missing", path, ", ".join(field.name for field in absent))
    columns = field_columns([field for field in schema.fields if field not in absent])
    columns += [(name,) for name in keep if name not in {wanted for wanted, *_ in columns}]
    for chunk in ROW_READERS[kind](source, path.parent, path.name, columns):
        rows = len(next(iter(chunk.columns.values())))
        nothing = Column(np.zeros(rows, dtype=np.uint8), pl.Series([None], dtype=pl.String))
        chunk = replace(chunk, columns={**chunk.columns, **{field.name: nothing for field in absent}})
        check_numbers(chunk, schema)
        yield chunk


def check_numbers(chunk: Chunk, schema: Schema) -> None:
    """Check that numeric fields hold finite numbers or nothing.

    Raises:
        ValueError: one does not, with file and line.
    """
    for field in schema.fields:
        column = chunk.columns[field.name]
        row = first_no_number(column, field)
        if row is not None:
            raise ValueError(
                f"{chunk.at(row)}: a numeric field must hold a finite number or nothing, however: "
                f"{field.name}={column.rows()[row]!r}; mend the row or declare the field categorical"
            )


def first_no_number(column: Column, field: Field) -> int | None:
    """The first row in which a numeric field holds something, but no finite number; None for other kinds of fields."""
    if field.kind != "numeric":
        return None
    value = numbers_of(column.texts, decimal=field.decimal)
    return column.first_row(value.is_infinite() | (value.is_null() & (column.texts != "")))
