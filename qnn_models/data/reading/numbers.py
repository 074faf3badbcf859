"""Numbers written as text: decimal marks, truth values, and what is none."""

from __future__ import annotations

from typing import Literal

import polars as pl

TRUTH = r"(?i)^(true|false)$"
"""A truth value, however it is written."""


def with_decimal_point(text: pl.Expr, decimal: Literal[".", ","]) -> pl.Expr:
    """Texts of numbers with a point before the fraction: `1.234,5` whose decimal mark is a comma is `1234.5`."""
    if decimal == ".":
        return text
    pointed = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    return pl.when(text.str.contains(",", literal=True)).then(pointed).otherwise(text)


def number_of(text: pl.Expr, *, decimal: Literal[".", ","] = ".") -> pl.Expr:
    """Texts as numbers; a truth value is 1 or 0, and what is no number is null."""
    number = with_decimal_point(text, decimal).cast(pl.Float64, strict=False)
    truth = pl.when(text.str.contains(TRUTH)).then((text.str.to_lowercase() == "true").cast(pl.Float64))
    return pl.coalesce(number, truth)


def numbers_of(texts: pl.Series, *, decimal: Literal[".", ","] = ".") -> pl.Series:
    """`number_of` of a series."""
    return pl.select(number_of(pl.lit(texts), decimal=decimal)).to_series()
