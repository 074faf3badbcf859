"""Tokens of a field's texts: one spelling for each value, sequences cut up, numbers put into buckets."""

from __future__ import annotations

import re
from typing import assert_never

import numpy as np
import polars as pl

from qnn_models.data.reading.columns import LIST_SEPARATOR
from qnn_models.data.reading.numbers import TRUTH, number_of
from qnn_models.data.schema import Field

# What a whole number, a truth value and a day look like after a library has changed a column's type: pandas makes floats of
# whole numbers as soon as one is missing, Python writes True where SQL and polars write true, and a day read as a time ends
# in midnight.
_WHOLE = r"^([+-]?\d+)\.0*$"
_DAY = r"^(\d{4}-\d\d-\d\d)[ T]00:00:00(?:\.0*)?$"
_CANDIDATE = r"(?i)\.0*$|^true$|^false$|00:00:00"

# Python's `$` also stands before a line's end.
_WHOLE_IN_PYTHON, _TRUTH_IN_PYTHON, _DAY_IN_PYTHON = (
    re.compile(rule.replace("$", r"\Z")) for rule in (_WHOLE, TRUTH, _DAY)
)
_MATCHES_CANDIDATE = re.compile(_CANDIDATE.replace("$", r"\Z")).search


def one_spelling(text: pl.Expr) -> pl.Expr:
    """Texts with one spelling for each value: `7.0` is `7`, `True` is `true`, `2013-01-01 00:00:00` is `2013-01-01`."""
    spelt = text.str.replace(_WHOLE, "$1").str.replace(_DAY, "$1")
    spelt = pl.when(spelt.str.contains(TRUTH)).then(spelt.str.to_lowercase()).otherwise(spelt)
    return pl.when(text.str.contains(_CANDIDATE)).then(spelt).otherwise(text)


def one_spelling_of(text: str) -> str:
    """The same for one text of Python's."""
    if not _MATCHES_CANDIDATE(text):
        return text
    spelt = _DAY_IN_PYTHON.sub(r"\1", _WHOLE_IN_PYTHON.sub(r"\1", text, count=1), count=1)
    return spelt.lower() if _TRUTH_IN_PYTHON.match(spelt) else spelt


def token_expr(field: Field) -> pl.Expr:
    """Tokens of a categorical field as text, of a numeric field as whole numbers; null where the value is missing."""
    value = pl.col(field.name)
    match field.kind:
        case "categorical":
            text = one_spelling(value.cast(pl.String))
            return pl.when(text != "").then(text.str.head(field.prefix) if field.prefix else text)
        case "numeric":
            return bucket_expr(number_expr(field), field)
        case "sequence":
            raise ValueError(f"a sequence has several tokens a row, however: {field.name}; use sequence_expr")
        case _:
            assert_never(field.kind)


def sequence_expr(field: Field) -> pl.Expr:
    """The first `max_length` tokens of a sequence field, as a list expression; empty tokens do not count."""
    text = pl.col(field.name).cast(pl.String).fill_null("")
    for other in field.separator:
        text = text.str.replace_all(other, LIST_SEPARATOR, literal=True)
    tokens = text.str.split(LIST_SEPARATOR)
    kept = tokens.list.eval(pl.element().filter(pl.element() != "")).list.head(field.max_length)
    return kept.list.eval(one_spelling(pl.element()))


def number_expr(field: Field) -> pl.Expr:
    """Numbers of a numeric field; null where the value is missing or not a number. A truth value is 1 or 0."""
    return number_of(pl.col(field.name).cast(pl.String), decimal=field.decimal).fill_nan(None)


def bucket_expr(value: pl.Expr, field: Field) -> pl.Expr:
    """Buckets of numbers, by the field's rule; see `Field`."""
    # The cast to an integer drops the fraction, towards zero.
    match field.bucket:
        case "log2square":
            log = value.log()
            return pl.when(value > 2).then(log * log).otherwise(value).cast(pl.Int64, strict=False)
        case "integer":
            return value.cast(pl.Int64, strict=False)
        case "edges":
            low, *inner, high = field.edges
            return pl.when((value > low) & (value <= high)).then(_number_below(value, inner))
        case "quantile":
            return pl.when(value.is_not_null()).then(_number_below(value, field.edges))
        case _:
            assert_never(field.bucket)


def _number_below(value: pl.Expr, edges: tuple[float, ...] | list[float]) -> pl.Expr:
    """How many of some ascending edges are below each value."""
    bounds = np.asarray(edges, dtype=np.float64)

    def below(values: pl.Series) -> pl.Series:
        return pl.Series(np.searchsorted(bounds, values.to_numpy(), side="left"), dtype=pl.Int64)

    return value.map_batches(below, return_dtype=pl.Int64, is_elementwise=True)


def thinned(values: pl.DataFrame, groups: int) -> pl.DataFrame:
    """Distinct numbers and their counts as at most `groups` + 1 of them, each with the rows from the one before.

    Quantiles of it are those of all to within one part in `groups`.
    """
    group = (pl.col("count").cum_sum() - 1) * groups // pl.col("count").sum()
    by_group = values.sort("token", nulls_last=False).group_by(
        pl.col("token").is_null().alias("null"), group.alias("group")
    )
    return by_group.agg(pl.col("token").last(), pl.col("count").sum()).select("token", "count")


def quantile_edges(values: pl.DataFrame, buckets: int) -> tuple[float, ...]:
    """Inner bounds of at most `buckets` buckets that hold about as many rows each.

    A bound is a value that occurs and belongs to the bucket below it, so that equal values are never parted; of no more
    distinct values than buckets, each has a bucket of its own.

    Args:
        values: distinct numbers `token` and how often each occurs, `count`.
        buckets: most buckets.
    """
    values = values.drop_nulls("token").sort("token")
    number, count = values["token"].to_numpy(), values["count"].to_numpy()
    if len(number) <= buckets:
        return tuple(number[:-1].tolist())
    seen = np.cumsum(count)
    wanted = seen[-1] * np.arange(1, buckets) / buckets
    bounds = np.unique(np.searchsorted(seen, wanted))
    return tuple(number[bounds[bounds < len(number) - 1]].tolist())
