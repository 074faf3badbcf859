"""Data frames of any library as columns of text: polars' own, pandas', pyarrow's, and whatever else speaks Arrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from qnn_models.data.encoding.one_row import texts_of
from qnn_models.data.reading.columns import Column, column_of_series
from qnn_models.data.reading.rows import first_no_number
from qnn_models.data.schema import Field, Schema

__all__ = ["column_names", "columns_of_frame", "series_of"]


def column_names(frame: Any) -> list[str] | None:
    """Names of a frame's columns; None for what is no frame.

    Raises:
        ValueError: a column's name is no text.
    """
    if isinstance(frame, pl.DataFrame):
        return frame.columns
    if isinstance(frame, pa.Table | pa.RecordBatch):
        return list(frame.schema.names)
    if _is_pandas(frame):
        names = list(frame.columns)
        others = [name for name in names if not isinstance(name, str)]
        if others:
            raise ValueError(
                f"a column's name is a text, however: {others[0]!r} is of type {type(others[0]).__name__}; rename the columns: "
                "frame.columns = frame.columns.astype(str)"
            )
        return names
    if hasattr(frame, "__arrow_c_stream__"):
        return list(pa.table(frame).schema.names)
    return None


def series_of(frame: Any, name: str) -> pl.Series:
    """A column of a frame; what mixes types, as pandas allows, is text."""
    if isinstance(frame, pl.DataFrame):
        values = frame[name]
        return texts_of(values.to_list()) if values.dtype == pl.Object else values
    if _is_pandas(frame):
        column = frame[name]
        if getattr(column, "ndim", 1) != 1:
            raise ValueError(f"a frame has one column of a name, however: {name} is there {column.shape[1]} times")
        try:
            return pl.Series(name, pl.from_pandas(column))
        except (TypeError, ValueError, OverflowError, pa.ArrowException, pl.exceptions.PolarsError):
            return texts_of(column.tolist()).alias(name)
    table = frame if isinstance(frame, pa.Table | pa.RecordBatch) else pa.table(frame)
    return pl.Series(name, pl.from_arrow(table.column(name)))


def columns_of_frame(frame: Any, schema: Schema) -> dict[str, Column]:
    """The columns of a schema's fields, by name, or alias, as `Encoder.encode_columns` takes them.

    Raises:
        ValueError: a field's column is absent, or holds what it cannot; names field, row and value.
        TypeError: it is no frame.
    """
    there = column_names(frame)
    if there is None:
        raise TypeError(
            f"rows come as a frame of polars, pandas or pyarrow, however: {type(frame).__name__} is none; make a frame of it"
        )
    names = _places(there, schema.fields)
    return {field.name: _column(series_of(frame, names[field.name]), field) for field in schema.fields}


def _places(there: Sequence[str], fields: Sequence[Field]) -> Mapping[str, str]:
    """Name of each field -> name of its column."""
    found = {
        field.name: next((name for name in (field.name, *field.aliases) if name in there), None) for field in fields
    }
    absent = [name for name, place in found.items() if place is None]
    if absent:
        raise ValueError(
            f"a frame has a column for each field, however: {', '.join(absent)} absent from {', '.join(there)}; fill one with "
            "nulls where no value is known"
        )
    return {name: place for name, place in found.items() if place is not None}


def _column(values: pl.Series, field: Field) -> Column:
    if field.kind != "sequence" and isinstance(values.dtype, pl.List | pl.Array):
        raise ValueError(
            f"a list is the value of a sequence field, however: {field.name} is {field.kind} and holds lists"
        )
    column = column_of_series(values.alias(field.name))
    row = first_no_number(column, field)
    if row is not None:
        raise ValueError(
            f"a numeric field holds a finite number or nothing, however: {field.name}={column.rows()[row]!r} in row {row}; "
            "give null where it is missing"
        )
    return column


def _is_pandas(frame: Any) -> bool:
    """Without importing pandas, which need not be there."""
    kind = type(frame)
    return kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] in ("pandas", "geopandas")
