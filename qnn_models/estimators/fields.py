"""From what people call X to a schema's fields: numbers into quantile buckets, lists into sequences, all else categorical."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qnn_models.data.encoding.frames import column_names, series_of
from qnn_models.data.encoding.one_row import texts_of
from qnn_models.data.proposing.guess import are_ids, min_count
from qnn_models.data.reading.columns import LIST_SEPARATOR
from qnn_models.data.schema import Field, Label, Schema

__all__ = ["column_names_or_none", "field_of", "kinds_of", "schema_of", "series_of_table"]

_LONGEST = 50


def series_of_table(table: Any, names: Sequence[str]) -> list[pl.Series]:
    """The columns of a frame or of a two-dimensional array, under these names."""
    if column_names_or_none(table) is not None:
        return [series_of(table, name).alias(name) for name in names]
    if hasattr(table, "iloc"):  # a frame of pandas whose columns have numbers for names
        table = table.to_numpy(dtype=object)
    return [_series(table[:, position]).alias(name) for position, name in enumerate(names)]


def column_names_or_none(table: Any) -> list[str] | None:
    """Names of a frame's columns; None for an array, and for a frame without names that are texts."""
    try:
        return column_names(table)
    except ValueError:
        return None


def _series(column: np.ndarray) -> pl.Series:
    if column.dtype != object:
        return pl.Series(np.ascontiguousarray(column).astype(np.float64) if column.dtype.kind == "f" else column)
    numbers = [value for value in column if value is not None]
    if numbers and all(isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in numbers):
        return pl.Series(column.astype(np.float64))
    return texts_of(column)


def field_of(
    values: pl.Series,
    *,
    kind: Literal["categorical", "numeric"] | None,
    buckets: int,
    rows: int,
) -> Field:
    """The field that a column becomes.

    Args:
        values: the column, under its name.
        kind: what it is, where the user says so. Else numbers are numeric, unless they are whole and look like ids
            (`qnn_models.data.proposing.guess.are_ids`); lists are sequences; texts, categories, truth values and times are
            categorical.
        buckets: most quantile buckets.
        rows: that must hold a token for it to get an id of its own.

    Raises:
        ValueError: the column cannot be of the kind.
    """
    name, numeric = values.name, values.dtype.is_numeric()
    if isinstance(values.dtype, pl.List | pl.Array):
        if kind is not None:
            raise ValueError(f"a column of lists is a sequence, however: {name} is declared {kind}; leave it out there")
        lengths = values.arr.to_list().list.len() if isinstance(values.dtype, pl.Array) else values.list.len()
        length = min(max(1, math.ceil(lengths.quantile(0.98) or 1)), _LONGEST)
        # Not told apart by the blank marks that a token may hold: lists are joined by a character that no text has.
        return Field(name=name, kind="sequence", separator=LIST_SEPARATOR, max_length=length, min_count=rows)
    numbers = values.cast(pl.Float64).fill_nan(None) if numeric else values
    if kind is None:
        there = numbers.drop_nulls()
        kind = "numeric" if numeric and len(there) and not are_ids(name, there) else "categorical"
    missing: Literal["own", "oov"] = "own" if numbers.null_count() else "oov"
    if kind == "numeric":
        return Field(name=name, kind="numeric", buckets=buckets, missing=missing)
    return Field(name=name, missing=missing, min_count=rows)


def kinds_of(
    names: Collection[str], *, categorical: Collection[str], numeric: Collection[str]
) -> dict[str, Literal["categorical", "numeric"] | None]:
    """What the user says of each column; None where nothing.

    Raises:
        ValueError: a name is no column's, or is in both.
    """
    unknown = [name for name in (*categorical, *numeric) if name not in names]
    if unknown:
        raise ValueError(f"columns are named as X names them, however: {unknown[0]!r} is none of {', '.join(names)}")
    both = sorted(set(categorical) & set(numeric))
    if both:
        raise ValueError(f"a column is categorical or numeric, however: {both[0]} is declared both")
    return {name: "categorical" if name in categorical else "numeric" if name in numeric else None for name in names}


def schema_of(
    name: str,
    columns: Sequence[pl.Series],
    classes: NDArray[Any],
    *,
    kinds: Mapping[str, Literal["categorical", "numeric"] | None],
    buckets: int,
    least: int | None,
) -> Schema:
    """The schema of some columns.

    Args:
        name: of the schema.
        columns: under their names.
        classes: both.
        kinds: by name, what the user says; see `field_of`.
        buckets: see `field_of`.
        least: rows that must hold a token; by the number of rows where None.
    """
    label = "label"
    while any(column.name == label for column in columns):
        label += "_"
    rule = Label(column=label, positive=() if classes.dtype.kind in "biuf" else (str(classes[1]),))
    rows = min_count(len(columns[0])) if least is None else least
    fields = tuple(field_of(column, kind=kinds[column.name], buckets=buckets, rows=rows) for column in columns)
    return Schema(name=name, label=rule, fields=fields)
