"""A column of text as its distinct texts and, for each row, which: rules are applied to texts, not to rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

LIST_SEPARATOR = "\x1f"
"""Joins a sequence that comes as a list; separates tokens of every sequence field."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of some rows; row r holds `texts[codes[r]]`.

    Attributes:
        codes: unsigned or int32, shape (rows,).
        texts: the texts of these rows, most of them distinct; null is a missing value.
    """

    codes: np.ndarray
    texts: pl.Series

    def __len__(self) -> int:
        return len(self.codes)

    def rows(self) -> pl.Series:
        """The text of each row."""
        return self.texts.gather(pl.Series(self.codes))

    def first_row(self, texts: pl.Series) -> int | None:
        """The first row whose text is marked in `texts` (booleans, as many as texts), or None."""
        marked = texts.fill_null(False).to_numpy()
        return int(marked[self.codes].argmax()) if marked.any() else None

    def kept(self, keep: np.ndarray) -> Column:
        """The rows that `keep` (booleans) marks."""
        return Column(self.codes[keep], self.texts)


def column_of_arrow(array: pa.DictionaryArray) -> Column:
    """A dictionary array as a column; its nulls become the text null."""
    texts = pl.Series(pl.from_arrow(array.dictionary), dtype=pl.String)
    codes = array.indices
    if array.null_count:
        codes = codes.fill_null(len(texts))
        texts = texts.extend_constant(None, 1)
    return Column(codes.to_numpy(), texts)


def column_of_series(values: pl.Series) -> Column:
    """Values of any type that casts to text as a column; lists are joined by `LIST_SEPARATOR`, and NaN is missing.

    Raises:
        ValueError: the values are of a type that has parts, but not a list of simple ones.
    """
    if isinstance(values.dtype, pl.Array):
        values = values.arr.to_list()
    simple = values.dtype.inner if isinstance(values.dtype, pl.List) else values.dtype
    if simple is None or pl.Series(dtype=simple).dtype.is_nested() or simple == pl.Object:
        raise ValueError(
            f"a column holds texts, numbers or lists of them, however: {values.name} is of type {values.dtype}"
        )
    if simple.is_float():  # a frame has no other way to say that a number is missing
        missing = pl.element().fill_nan(None)
        values = values.list.eval(missing) if isinstance(values.dtype, pl.List) else values.fill_nan(None)
    if isinstance(values.dtype, pl.List):
        values = values.cast(pl.List(pl.String)).list.join(LIST_SEPARATOR)
    text = values.cast(pl.String).rechunk().to_arrow()
    return column_of_arrow(text.dictionary_encode(null_encoding="encode"))
