"""A row at a time, from Python values to ids: the encoder's rules as look-ups in dictionaries, for answers within microseconds.

`Encoder.encode_columns` is the rule and serves columns of any length; what is here gives the same ids and takes no data frame's start.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Any, assert_never

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qnn_models.data.encoding.encoder import MISSING_TOKEN, Encoder
from qnn_models.data.encoding.tokens import one_spelling_of
from qnn_models.data.layout import OOV_ID, PADDING_ID, RESERVED_IDS
from qnn_models.data.reading.columns import LIST_SEPARATOR, Column, column_of_series
from qnn_models.data.schema import Field

__all__ = ["RowEncoder", "text_of", "texts_of"]

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LARGEST = 2**63
_LISTS = (list, tuple, np.ndarray, pl.Series)
_NOTHING = ("NAType", "NaTType")
"""Types of pandas' missing values, which are equal to nothing, not even to themselves."""


class RowEncoder:
    """Encodes single rows, as mappings from a field's name, or an alias of it, to a value; safe to share between threads.

    Values are texts, numbers, truth values, dates, and lists of these for sequences; None and NaN are missing.

    Args:
        encoder: whose ids they are.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._fields = [
            (field, _compiled(field, tokens))
            for field, tokens in zip(encoder.schema.fields, encoder.vocabularies, strict=True)
        ]

    def __call__(self, row: Mapping[str, Any]) -> list[int]:
        """The ids of a row, one for each of the layout's columns.

        Raises:
            ValueError: a field is absent, or holds what it cannot.
        """
        ids: list[int] = []
        for field, encode in self._fields:
            try:
                value = row[field.name]
            except KeyError:
                value = self._aliased(row, field)
            encode(value, ids)
        return ids

    def encode_columns(self, columns: Mapping[str, Column]) -> NDArray[np.int32]:
        """Ids of rows, shape (rows, columns), faster than the encoder's where a few thousand rows repeat their values.

        Args:
            columns: by field name.
        """
        parts = []
        for field, encode in self._fields:
            column = columns[field.name]
            ids: list[int] = []
            for text in column.texts.to_list():
                encode(text, ids)
            parts.append(np.array(ids, dtype=np.int32).reshape(len(column.texts), field.max_length)[column.codes])
        return np.concatenate(parts, axis=1)

    def _aliased(self, row: Mapping[str, Any], field: Field) -> Any:
        for alias in field.aliases:
            if alias in row:
                return row[alias]
        absent = [f.name for f, _ in self._fields if not any(name in row for name in (f.name, *f.aliases))]
        raise ValueError(
            f"a row has a value for each field, however: {', '.join(absent)} absent from {', '.join(map(str, row))}; give None "
            "where a value is missing"
        )


def text_of(value: object) -> str | None:
    """A value as the text that a data frame's column of such values casts to; None where it is missing.

    Raises:
        ValueError: the value is no text, number, truth value or time.
    """
    kind = type(value)
    if kind is str or value is None:
        return value  # type: ignore[return-value]
    if kind is int:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        assert isinstance(value, float)
        if value != value:
            return None
        text = repr(value)
        # With an exponent Python writes other texts than Arrow and polars do.
        return text if "e" not in text and math.isfinite(value) else _cast(value)
    if isinstance(value, str):
        return str(value)
    return None if kind.__name__ in _NOTHING else _cast(value)


def texts_of(values: Iterable[object]) -> pl.Series:
    """Values of mixed types as a column of texts; a list becomes one text, as in `column_of_series`."""
    return pl.Series(
        [_joined(value) if isinstance(value, _LISTS) else text_of(value) for value in values], dtype=pl.String
    )


def _cast(value: object) -> str | None:
    made = np.asarray([value]) if isinstance(value, np.generic) else [value]
    try:
        if isinstance(value, _LISTS):
            raise TypeError
        column = column_of_series(pl.Series(made))
    except (ValueError, TypeError, OverflowError, pl.exceptions.PolarsError) as error:
        raise ValueError(
            f"a field holds a text, a number, a truth value, a time, or a list of them, however: {value!r} is of type "
            f"{type(value).__name__}"
        ) from error
    return column.rows()[0]  # type: ignore[no-any-return]


def _joined(values: Iterable[object]) -> str:
    return LIST_SEPARATOR.join([text for text in map(text_of, values) if text is not None])


def _compiled(field: Field, tokens: pl.Series) -> Callable[[object, list[int]], object]:
    """A function that appends the ids of a field's value to those of the fields before it."""
    match field.kind:
        case "categorical":
            return _categorical(field, tokens)
        case "numeric":
            return _numeric(field, tokens)
        case "sequence":
            return _sequence(field, tokens)
        case _:
            assert_never(field.kind)


def _by_token(tokens: pl.Series) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens.to_list(), start=RESERVED_IDS)}


def _categorical(field: Field, tokens: pl.Series) -> Callable[[object, list[int]], object]:
    by_token, prefix = _by_token(tokens), field.prefix
    missing = by_token.get(MISSING_TOKEN, OOV_ID) if field.missing == "own" else OOV_ID

    def encode(value: object, ids: list[int]) -> None:
        text = value if type(value) is str else _simple(value, field)
        if not text:
            ids.append(missing)
            return
        found = by_token.get(text)  # a vocabulary holds each value in its one spelling
        if found is None:
            text = one_spelling_of(text)
            found = by_token.get(text[:prefix] if prefix else text, OOV_ID)
        ids.append(found)

    return encode


def _numeric(field: Field, tokens: pl.Series) -> Callable[[object, list[int]], object]:
    by_number = {int(token): id for token, id in _by_token(tokens).items() if token != MISSING_TOKEN}
    missing = _by_token(tokens).get(MISSING_TOKEN, OOV_ID)
    bucket, comma = _bucket(field), field.decimal == ","

    def encode(value: object, ids: list[int]) -> None:
        if type(value) is float and math.isfinite(value):
            number: float | None = value
        else:
            number = _number(value, _simple(value, field), field, comma=comma)
        bucketed = None if number is None else bucket(number)
        ids.append(missing if bucketed is None else by_number.get(bucketed, OOV_ID))

    return encode


def _number(value: object, text: str | None, field: Field, *, comma: bool) -> float | None:
    if text is None or text == "":
        return None
    if comma and "," in text:
        text = text.replace(".", "").replace(",", ".", 1)
    if _NUMBER.fullmatch(text):
        number = float(text)
        if math.isfinite(number):
            return number
    elif text.lower() in ("true", "false"):
        return float(text.lower() == "true")
    elif text.lower() in ("nan", "-nan", "+nan"):
        return None
    raise _no_number(field, value)


def _no_number(field: Field, value: object) -> ValueError:
    return ValueError(
        f"a numeric field holds a finite number or nothing, however: {field.name}={value!r}; give None where it is missing"
    )


def _bucket(field: Field) -> Callable[[float], int | None]:
    """The rule of `qnn_models.data.encoding.tokens.bucket_expr` for one number."""

    def whole(number: float) -> int | None:
        return int(number) if -_LARGEST <= number < _LARGEST else None

    edges = list(field.edges)
    match field.bucket:
        case "log2square":
            return lambda number: whole(math.log(number) ** 2 if number > 2 else number)
        case "integer":
            return whole
        case "edges":
            low, *inner, high = edges
            return lambda number: bisect_left(inner, number) if low < number <= high else None
        case "quantile":
            return lambda number: bisect_left(edges, number)
        case _:
            assert_never(field.bucket)


def _sequence(field: Field, tokens: pl.Series) -> Callable[[object, list[int]], object]:
    by_token, length = _by_token(tokens), field.max_length
    others = [mark for mark in dict.fromkeys(field.separator) if mark != LIST_SEPARATOR]

    def encode(value: object, ids: list[int]) -> None:
        text = _joined(value) if isinstance(value, _LISTS) else text_of(value) or ""
        for mark in others:
            if mark in text:
                text = text.replace(mark, LIST_SEPARATOR)
        kept = [token for token in text.split(LIST_SEPARATOR) if token][:length]
        for token in kept:
            found = by_token.get(token)
            ids.append(by_token.get(one_spelling_of(token), OOV_ID) if found is None else found)
        ids.extend([PADDING_ID] * (length - len(kept)))

    return encode


def _simple(value: object, field: Field) -> str | None:
    if isinstance(value, _LISTS):
        raise ValueError(
            f"a list is the value of a sequence field, however: {field.name} is {field.kind} and holds {value!r}"
        )
    return text_of(value)
