"""From columns and labels in memory to an encoded data set: the rows that early stopping reads, and those that are learned of."""

from __future__ import annotations

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from qnn_models.data.encoding.encoded import ContentHash, EncodedDataset
from qnn_models.data.encoding.encoder import Encoder, VocabularyCounter
from qnn_models.data.encoding.frames import checked_column
from qnn_models.data.layout import Split
from qnn_models.data.schema import SPLITS, Schema
from qnn_models.runtime.seeds import derive

__all__ = ["encoded", "encoder_of", "grown_encoder", "held_out", "rows_of", "split_of"]

Rows = NDArray[np.bool_]


def held_out(labels: NDArray[np.float32], share: float, *, seed: int) -> Rows:
    """Which rows early stopping reads: a share of each class by chance, at least one where that leaves one; none of no share.

    Of a class of a single row there is none to hold out, and then no rows are.
    """
    chosen = np.zeros(len(labels), dtype=bool)
    generator = np.random.default_rng(derive(seed, "held out"))
    for value in (0, 1):
        rows = np.flatnonzero(labels == value)
        count = min(max(1, round(share * len(rows))), len(rows) - 1) if share else 0
        if not count:
            return np.zeros(len(labels), dtype=bool)
        chosen[generator.permutation(rows)[:count]] = True
    return chosen


def encoder_of(columns: list[pl.Series], schema: Schema, learned: Rows) -> Encoder:
    """The vocabularies of the rows that are learned of."""
    counter = VocabularyCounter(schema)
    made = {field.name: checked_column(values, field) for field, values in zip(schema.fields, columns, strict=True)}
    counter.add(made, learned)
    return counter.encoder()


def split_of(
    encoder: Encoder,
    columns: list[pl.Series],
    labels: NDArray[np.float32] | None = None,
    weights: NDArray[np.float32] | None = None,
) -> Split:
    """Rows as ids; of rows to predict on, the labels are 0."""
    fields = encoder.schema.fields
    made = {field.name: checked_column(values, field) for field, values in zip(fields, columns, strict=True)}
    ids = torch.from_numpy(np.stack(encoder.encode_columns(made), axis=1))
    given = torch.zeros(len(ids)) if labels is None else torch.from_numpy(labels)
    return Split(ids, given, None if weights is None else torch.from_numpy(weights))


def rows_of(split: Split, chosen: Rows) -> Split:
    """Some of the rows."""
    return split.part(torch.from_numpy(np.flatnonzero(chosen)))


def grown_encoder(encoder: Encoder, columns: list[pl.Series]) -> Encoder:
    """The encoder, with the tokens of further rows after its own."""
    fields = encoder.schema.fields
    return encoder.grown({f.name: checked_column(values, f) for f, values in zip(fields, columns, strict=True)})


def encoded(encoder: Encoder, *, train: Split, valid: Split) -> EncodedDataset:
    """A data set in memory; what is a test split to a study is none here, so the validation rows stand there."""
    splits = {"train": train, "valid": valid, "test": valid}
    digest = ContentHash(encoder.layout)
    for name in SPLITS:
        digest.update(name, [column.numpy() for column in splits[name].ids.T], splits[name].labels.numpy())
    return EncodedDataset(
        encoder.schema.name,
        encoder=encoder,
        content_hash=digest.hexdigest(encoder),
        rows={name: len(split) for name, split in splits.items()},
        splits=splits,
    )
