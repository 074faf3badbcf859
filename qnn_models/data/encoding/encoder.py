"""From rows to ids: vocabularies counted on the training rows, and the encoder built of them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from qnn_models.data.encoding.tokens import (
    bucket_expr,
    number_expr,
    one_spelling,
    quantile_edges,
    sequence_expr,
    thinned,
    token_expr,
)
from qnn_models.data.layout import OOV_ID, PADDING_ID, RESERVED_IDS, FieldLayout
from qnn_models.data.reading.columns import Column, column_of_series
from qnn_models.data.schema import Field, Schema
from qnn_models.data.schema_toml import dump_schema, parse_schema

MISSING_TOKEN = ""
"""Stands in a vocabulary for the missing value, where that has an id of its own."""

_SCHEMA_KEY = b"qnn.schema"

_MERGE_ROWS = 65_536
"""Partial counts are merged when they hold this many rows, or as many as the merged table: amortised, bounded."""

_MOST_NUMBERS = 2**20
"""Of more distinct numbers of a field, quantiles are those of a sixteenth as many groups of neighbours."""


class VocabularyCounter:
    """Counts tokens chunk by chunk; memory grows with the distinct tokens, not with the rows."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._parts: list[list[pl.DataFrame]] = [[] for _ in schema.fields]
        self._pending = [0] * len(schema.fields)

    def add(self, columns: Mapping[str, Column], train: np.ndarray) -> None:
        """Count the tokens of the rows that `train` (booleans) marks; columns by field name."""
        counted = pl.collect_all([_counts(field, columns[field.name], train) for field in self._schema.fields])
        for position, counts in enumerate(counted):
            parts = self._parts[position]
            parts.append(counts)
            self._pending[position] += counts.height
            if self._pending[position] > max(_MERGE_ROWS, parts[0].height):
                merged = _merge(parts)
                if self._schema.fields[position].learns_edges and merged.height > _MOST_NUMBERS:
                    merged = thinned(merged, _MOST_NUMBERS // 16)
                self._parts[position] = [merged]
                self._pending[position] = 0

    def encoder(self) -> Encoder:
        """The encoder: tokens seen at least `min_count` times, the most frequent first, ties in byte order."""
        vocabularies, fields = [], []
        for position, field in enumerate(self._schema.fields):
            counts, self._parts[position] = _merge(self._parts[position]), []
            if field.learns_edges:
                field = replace(field, edges=quantile_edges(counts, field.buckets))
                counts = _merge([counts.with_columns(bucket_expr(pl.col("token"), field))])
            fields.append(field)
            if field.missing == "oov" or field.kind == "sequence":
                counts = counts.filter(pl.col("token").is_not_null())
            kept = counts.filter(pl.col("count") >= field.min_count).with_columns(
                pl.col("token").cast(pl.String).fill_null(MISSING_TOKEN)
            )
            vocabularies.append(kept.sort(["count", "token"], descending=[True, False])["token"])
        return Encoder(replace(self._schema, fields=tuple(fields)), vocabularies)


def _counts(field: Field, column: Column, train: np.ndarray) -> pl.LazyFrame:
    """Tokens and their counts in some rows; a token may come more than once."""
    counts = np.bincount(column.codes[train], minlength=len(column.texts))
    count = f"count of {field.name}"  # a name that is not the field's, whatever that is
    texts = pl.LazyFrame({field.name: column.texts, count: counts}).filter(pl.col(count) > 0)
    if field.kind == "sequence":
        return texts.select(sequence_expr(field).alias("token"), pl.col(count).alias("count")).explode("token")
    token = number_expr(field) if field.learns_edges else token_expr(field)
    return texts.select(token.alias("token"), pl.col(count).alias("count"))


def _merge(parts: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(parts).group_by("token").agg(pl.col("count").sum())


class Encoder:
    """Vocabularies of all fields: encodes rows to ids and decodes ids to tokens.

    Token number k of a field's vocabulary has id k + 2; id 0 is padding, id 1 stands for every token that the
    vocabulary lacks, rare in the training rows or new.

    Attributes:
        schema: the fields, their order and rules, with the edges of quantile buckets that the training rows gave.
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
        self._exprs = [
            [expr.alias(str(number)) for number, expr in enumerate(_id_exprs(field, tokens))]
            for field, tokens in zip(schema.fields, self.vocabularies, strict=True)
        ]

    def __reduce__(self) -> tuple[type[Encoder], tuple[Schema, tuple[pl.Series, ...]]]:
        return Encoder, (self.schema, self.vocabularies)  # its expressions hold functions, which pickle does not take

    def vocabulary(self, field: str) -> pl.Series:
        """The tokens of a field, in the order of their ids: token number k has id k + 2, after padding and out of vocabulary.

        A numeric field's tokens are its buckets; the empty text is the missing value, where that has an id of its own.

        Raises:
            KeyError: there is no such field; names the nearest.
        """
        if field not in self.layout.names:
            near = difflib.get_close_matches(field, self.layout.names, n=1, cutoff=0.0)[0]
            raise KeyError(
                f"A field is one of {', '.join(self.layout.names)}, however: {field!r}; the nearest is {near!r}."
            )
        return self.vocabularies[self.layout.names.index(field)].alias("token")

    def grown(self, columns: Mapping[str, Column]) -> Encoder:
        """An encoder that knows these rows' tokens too: those seen often enough follow the known ones, whose ids stay.

        Buckets of numbers keep their edges.
        """
        counter = VocabularyCounter(self.schema)
        counter.add(columns, np.ones(len(next(iter(columns.values()))), dtype=bool))
        vocabularies = [
            # A field whose edges the first rows did not give, as they held one number, has one bucket.
            known if field.learns_edges else pl.concat([known, found.filter(~found.is_in(known.to_list()))])
            for field, known, found in zip(
                self.schema.fields, self.vocabularies, counter.encoder().vocabularies, strict=True
            )
        ]
        return Encoder(self.schema, vocabularies)

    def encode_tensor(self, rows: pl.DataFrame) -> torch.Tensor:
        """Ids of rows, int32, shape (rows, columns), ready for a model.

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
        ids = self.encode_columns({name: column_of_series(rows[name]) for name in self.layout.names})
        return torch.from_numpy(np.stack(ids, axis=1))

    def encode_columns(self, columns: Mapping[str, Column]) -> list[np.ndarray]:
        """Ids of rows, one int32 array for each of the layout's columns; `columns` by field name."""
        of_texts = pl.collect_all(
            pl.LazyFrame({name: columns[name].texts}).select(exprs)
            for name, exprs in zip(self.layout.names, self._exprs, strict=True)
        )
        return [
            ids.to_numpy()[columns[name].codes]
            for name, frame in zip(self.layout.names, of_texts, strict=True)
            for ids in frame
        ]

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
        """Write schema and vocabularies to one Parquet file: columns `field` and `token`, in id order."""
        table = pl.concat(
            pl.DataFrame({"field": pl.repeat(name, len(tokens), dtype=pl.String, eager=True), "token": tokens})
            for name, tokens in zip(self.layout.names, self.vocabularies, strict=True)
        ).to_arrow()
        metadata = {_SCHEMA_KEY: dump_schema(self.schema)}
        pq.write_table(table.replace_schema_metadata(metadata), path, compression="zstd")

    @staticmethod
    def load(path: Path, *, stream: pa.NativeFile | None = None) -> Encoder:
        """Read what `save` wrote.

        Args:
            path: the file.
            stream: the file, where it is open already.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is another's, or damaged.
        """
        if stream is None and not path.is_file():
            raise FileNotFoundError(f"an encoder is read from the file that `save` wrote, however: {path} is none")
        try:
            table = pq.read_table(path if stream is None else stream)
            schema = parse_schema((table.schema.metadata or {})[_SCHEMA_KEY].decode())
            tokens = pl.DataFrame(pl.from_arrow(table))
            if not tokens.select((one_spelling(pl.col("token")) == pl.col("token")).all()).item():
                raise ValueError("it is of an older version, which took 7 and 7.0 for two ids; prepare and train again")
            return Encoder(schema, [tokens.filter(pl.col("field") == field.name)["token"] for field in schema.fields])
        except (KeyError, ValueError, TypeError, OSError, pa.ArrowException, pl.exceptions.PolarsError) as error:
            raise ValueError(
                f"{path} must be an encoder's file, however: it is another's, or damaged ({error})"
            ) from error


def _id_exprs(field: Field, tokens: pl.Series) -> list[pl.Expr]:
    """One int32 expression for each of the field's columns."""
    if field.kind == "numeric":
        numbers = tokens.replace(MISSING_TOKEN, None).cast(pl.Int64)
        ids = pl.int_range(RESERVED_IDS, RESERVED_IDS + len(tokens), dtype=pl.Int32, eager=True)
        return [token_expr(field).replace_strict(numbers, ids, default=OOV_ID, return_dtype=pl.Int32)]

    # An Enum's hash table is built once and serves every chunk; its physical value is the token's number.
    enum = pl.Enum(tokens)

    def identify(token: pl.Expr) -> pl.Expr:
        return (token.cast(enum, strict=False).to_physical().cast(pl.Int32) + RESERVED_IDS).fill_null(OOV_ID)

    if field.kind == "categorical":
        token = token_expr(field)
        return [identify(token.fill_null(MISSING_TOKEN) if field.missing == "own" else token)]
    sequence = sequence_expr(field)
    return [
        pl.when(sequence.list.len() > position)
        .then(identify(sequence.list.get(position, null_on_oob=True)))
        .otherwise(pl.lit(PADDING_ID, dtype=pl.Int32))
        for position in range(field.max_length)
    ]
