"""Rows of a schema's fields: what to ask of a reader, numbers checked, and new rows to predict on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from qnn_models.data.readers import Chunk, Columns, read_csv, read_parquet
from qnn_models.data.schema import Field, Schema, Source


def field_columns(fields: Sequence[Field]) -> Columns:
    """The columns of some fields, by name and alias."""
    return [(field.name, *field.aliases) for field in fields]


def read_rows(path: Path, *, schema: Schema) -> Iterator[Chunk]:
    """Read new rows of a data set's fields, to encode and predict on; no label is needed.

    Args:
        path: Parquet (`.parquet`), tab-separated (`.tsv`) or else comma-separated text with a header.
        schema: the data set's; further columns of the file are ignored.

    Yields:
        Chunks whose frame suits `Encoder.encode`.

    Raises:
        ValueError: the file or a column is missing, or a row is corrupt, with file and line.
    """
    if not path.is_file():
        raise ValueError(f"rows are read from a file, however: {path} is none")
    columns = field_columns(schema.fields)
    if path.suffix == ".parquet":
        chunks = read_parquet(Source(format="parquet", table=path.name), path.parent, path.name, columns)
    else:
        separator = "\t" if path.suffix == ".tsv" else ","
        chunks = read_csv(Source(format="csv", table=path.name, separator=separator), path.parent, path.name, columns)
    for chunk in chunks:
        yield replace(chunk, frame=checked_numbers(chunk, schema))


def checked_numbers(chunk: Chunk, schema: Schema) -> pl.DataFrame:
    """The rows of a chunk with numeric fields as numbers.

    Raises:
        ValueError: one is neither a finite number nor missing, with file and line.
    """
    names = [field.name for field in schema.fields if field.kind == "numeric"]
    rows = chunk.frame.with_columns(pl.col(name).cast(pl.Float64, strict=False) for name in names)
    lost = rows.select(
        pl.col(name).is_infinite().any() | (pl.col(name).null_count() > chunk.frame[name].null_count())
        for name in names
    )
    for name in (name for name in names if lost[name].item()):
        text, value = chunk.frame[name].cast(pl.String), rows[name]
        bad = value.is_infinite() | (value.is_null() & (text != ""))
        row = bad.arg_max()
        if bad.any() and row is not None:
            raise ValueError(
                f"{chunk.at(row)}: a numeric field must hold a finite number or nothing, however: "
                f"{name}={text[row]!r}; mend the row or declare the field categorical"
            )
    return rows
