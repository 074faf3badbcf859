"""From rows to ids: tokens of a field, vocabularies counted on the training rows, and the encoder built of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

import polars as pl
import torch

from qnn_models.data.encoded import OOV_ID, PADDING_ID, RESERVED_IDS, FieldLayout
from qnn_models.data.schema import Field, Schema

_MERGE_ROWS = 1_000_000
"""Partial counts are merged when they hold this many rows, or as many as the merged table: amortised, bounded."""


def token_expr(field: Field) -> pl.Expr:
    """Tokens of a categorical or numeric field as a string expression; null is a missing value that is `oov`."""
    value = pl.col(field.name)
    match field.kind:
        case "categorical":
            token = value.cast(pl.String)
            if field.prefix:
                token = token.str.head(field.prefix)
            token = pl.when(token != "").then(token)
        case "numeric":
            token = _bucket_expr(value.cast(pl.Float64, strict=False).fill_nan(None), field).cast(pl.String)
        case "sequence":
            raise ValueError(f"a sequence has several tokens a row, however: {field.name}; use sequence_expr")
        case _:
            assert_never(field.kind)
    return token.fill_null("") if field.missing == "own" else token


def sequence_expr(field: Field) -> pl.Expr:
    """The first `max_length` tokens of a sequence field, as a list expression; empty tokens do not count."""
    text = pl.col(field.name).cast(pl.String).fill_null("")
    separator = field.separator[0]
    for other in field.separator[1:]:
        text = text.str.replace_all(other, separator, literal=True)
    tokens = text.str.split(separator)
    return tokens.list.eval(pl.element().filter(pl.element() != "")).list.head(field.max_length)


def _bucket_expr(value: pl.Expr, field: Field) -> pl.Expr:
    whole = value.cast(pl.Int64, strict=False)  # drops the fraction, towards zero
    match field.bucket:
        case "log2square":
            return (
                pl.when(value > 2).then(value.clip(lower_bound=2).log().pow(2).floor().cast(pl.Int64)).otherwise(whole)
            )
        case "integer":
            return whole
        case "edges":
            low, *inner, high = field.edges
            above = pl.sum_horizontal([pl.lit(0, dtype=pl.Int64), *((value > edge).cast(pl.Int64) for edge in inner)])
            return pl.when((value > low) & (value <= high)).then(above)
        case _:
            assert_never(field.bucket)


class VocabularyCounter:
    """Counts tokens chunk by chunk; memory grows with the distinct tokens, not with the rows."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._parts: list[list[pl.DataFrame]] = [[] for _ in schema.fields]
        self._pending = [0] * len(schema.fields)

    def add(self, rows: pl.DataFrame) -> None:
        """Count the tokens of some training rows, columns as in the schema."""
        rows = _lists_as_text(rows, self._schema)
        for position, field in enumerate(self._schema.fields):
            tokens = sequence_expr(field).explode() if field.kind == "sequence" else token_expr(field)
            counted = (
                rows.lazy()
                .select(tokens.alias("token"))
                .group_by("token")
                .agg(pl.len().cast(pl.Int64).alias("count"))
                .filter(pl.col("token").is_not_null())
                .collect()
            )
            parts = self._parts[position]
            parts.append(counted)
            self._pending[position] += counted.height
            if len(parts) > 1 and self._pending[position] > max(_MERGE_ROWS, parts[0].height):
                self._parts[position] = [_merge(parts)]
                self._pending[position] = 0

    def encoder(self) -> Encoder:
        """The encoder: tokens seen at least `min_count` times, the most frequent first, ties in byte order."""
        vocabularies = []
        for position, field in enumerate(self._schema.fields):
            counts, self._parts[position] = _merge(self._parts[position]), []
            kept = counts.filter(pl.col("count") >= field.min_count)
            vocabularies.append(kept.sort(["count", "token"], descending=[True, False])["token"])
        return Encoder(self._schema, vocabularies)


def _merge(parts: list[pl.DataFrame]) -> pl.DataFrame:
    empty = pl.DataFrame(schema={"token": pl.String, "count": pl.Int64})
    return pl.concat([empty, *parts]).group_by("token").agg(pl.col("count").sum())


class Encoder:
    """Vocabularies of all fields: encodes rows to ids and decodes ids to tokens.

    Token number k of a field's vocabulary has id k + 2; id 0 is padding, id 1 stands for every token that the
    vocabulary lacks, rare in the training rows or new.

    Attributes:
        schema: the fields, their order and rules.
        vocabularies: tokens by id, one string series per field.
        layout: fields and columns of the encoded rows.
    """

    def __init__(self, schema: Schema, vocabularies: Sequence[pl.Series]) -> None:
        self.schema = schema
        self.vocabularies = tuple(vocabularies)
        self.layout = FieldLayout(
            names=tuple(field.name for field in schema.fields),
            vocabulary_sizes=tuple(len(tokens) + RESERVED_IDS for tokens in self.vocabularies),
            lengths=tuple(field.max_length for field in schema.fields),
        )
        # An Enum's hash table is built once and serves every chunk; its physical value is the token's number.
        enums = [pl.Enum(tokens) for tokens in self.vocabularies]
        self._exprs = [
            expr for field, enum in zip(schema.fields, enums, strict=True) for expr in _id_exprs(field, enum)
        ]

    def encode(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Ids of rows: int32 columns named as in `layout.column_names`.

        Args:
            rows: one column for each field of the schema, of any type that casts to text; further columns are ignored.

        Raises:
            ValueError: a field's column is absent.
        """
        absent = [name for name in self.layout.names if name not in rows.columns]
        if absent:
            raise ValueError(
                f"rows need a column for each field, however: {', '.join(absent)} absent from {rows.columns}"
            )
        return _lists_as_text(rows, self.schema).select(
            expr.alias(name) for name, expr in zip(self.layout.column_names, self._exprs, strict=True)
        )

    def encode_tensor(self, rows: pl.DataFrame) -> torch.Tensor:
        """Ids of rows as an int32 tensor of shape (rows, columns), ready for a model."""
        return torch.tensor(self.encode(rows).to_numpy(), dtype=torch.int32).reshape(rows.height, self.layout.columns)

    def decode(self, ids: torch.Tensor) -> pl.DataFrame:
        """Tokens of ids, shape (rows, columns): null for padding and for out of vocabulary; a sequence is a list."""
        columns = iter(ids.cpu().to(torch.int64).unbind(dim=1))
        decoded: list[pl.Series] = []
        for field, tokens in zip(self.schema.fields, self.vocabularies, strict=True):
            parts = [
                tokens.gather(
                    pl.Series(column.numpy() - RESERVED_IDS).set(pl.Series(column.numpy() < RESERVED_IDS), None)
                )
                for column in (next(columns) for _ in range(field.max_length))
            ]
            if field.kind == "sequence":
                frame = pl.DataFrame({str(i): part for i, part in enumerate(parts)})
                decoded.append(frame.select(pl.concat_list(pl.all()).list.drop_nulls().alias(field.name)).to_series())
            else:
                decoded.append(parts[0].alias(field.name))
        return pl.DataFrame(decoded)

    def save(self, path: Path) -> None:
        """Write the vocabularies to a Parquet file: columns `field` and `token`, in id order."""
        pl.concat(
            pl.DataFrame({"field": pl.repeat(name, len(tokens), dtype=pl.String, eager=True), "token": tokens})
            for name, tokens in zip(self.layout.names, self.vocabularies, strict=True)
        ).write_parquet(path)

    @staticmethod
    def load(path: Path, *, schema: Schema) -> Encoder:
        """Read what `save` wrote; `schema` is the one it was made with."""
        table = pl.read_parquet(path)
        return Encoder(schema, [table.filter(pl.col("field") == field.name)["token"] for field in schema.fields])


def _lists_as_text(rows: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Join sequences that come as lists (from Parquet), so that there is one path for all."""
    listed = [field for field in schema.fields if isinstance(rows.schema.get(field.name), pl.List)]
    return rows.with_columns(pl.col(f.name).cast(pl.List(pl.String)).list.join(f.separator[0]) for f in listed)


def _id_exprs(field: Field, enum: pl.Enum) -> list[pl.Expr]:
    """One int32 expression for each of the field's columns."""

    def number(token: pl.Expr) -> pl.Expr:
        return (token.cast(enum, strict=False).to_physical().cast(pl.Int32) + RESERVED_IDS).fill_null(OOV_ID)

    if field.kind != "sequence":
        return [number(token_expr(field))]
    tokens = sequence_expr(field)
    return [
        pl.when(tokens.list.len() > position)
        .then(number(tokens.list.get(position, null_on_oob=True)))
        .otherwise(pl.lit(PADDING_ID, dtype=pl.Int32))
        for position in range(field.max_length)
    ]
