"""Rows of a schema's fields: what to ask of a reader, numbers checked, and new rows to predict on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from qnn_models.data.reading.columns import Column
from qnn_models.data.reading.readers import Chunk, Columns, read_csv, read_parquet
from qnn_models.data.reading.source_files import check_readable
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
        Chunks whose `frame()` suits `Encoder.encode_tensor`.

    Raises:
        ValueError: the file or a column is missing, or a row is corrupt, with file and line.
    """
    check_readable(path)
    columns = field_columns(schema.fields)
    if path.suffix == ".parquet":
        chunks = read_parquet(Source(format="parquet", table=path.name), path.parent, path.name, columns)
    else:
        separator = "\t" if path.suffix == ".tsv" else ","
        chunks = read_csv(Source(format="csv", table=path.name, separator=separator), path.parent, path.name, columns)
    for chunk in chunks:
        check_numbers(chunk, schema)
        yield chunk


def decimal_point(text: pl.Expr, field: Field) -> pl.Expr:
    """Texts of numbers with a point before the fraction: `1.234,5` of a field whose decimal mark is a comma is `1234.5`."""
    if field.decimal == ".":
        return text
    return (
        pl.when(text.str.contains(",", literal=True))
        .then(text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True))
        .otherwise(text)
    )


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
    value = pl.select(decimal_point(pl.lit(column.texts), field).cast(pl.Float64, strict=False)).to_series()
    truth = column.texts.str.to_lowercase().is_in(["true", "false"])
    return column.first_row(value.is_infinite() | (value.is_null() & (column.texts != "") & ~truth))
