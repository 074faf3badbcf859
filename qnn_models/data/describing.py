"""What an encoded data set holds, field by field: how much of it a model can know, and how much that says of the label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.layout import OOV_ID, PADDING_ID, RESERVED_IDS
from qnn_models.data.schema import SPLITS

_BATCH_ROWS = 131_072


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSummary:
    """One field of an encoded data set. Shares are of tokens; of a sequence field, padding is none.

    Attributes:
        name: the field's.
        kind: categorical, numeric or sequence.
        distinct: tokens of the vocabulary: those of the training rows that are seen at least `min_count` times.
        coverage: share of the training rows' tokens that the vocabulary holds.
        oov: share of tokens out of vocabulary, by split; missing values are among them, unless they have an id of their own.
        missing: share of values with the id of the missing value in the training rows; None where that has none of its own.
        empty: share of the training rows whose sequence is empty; 0 for the other kinds.
        agreement: probability that two training rows hold the same token: the sum of its tokens' squared shares (sequences: of
            their first token).
        information: mutual information with the label in the training rows, in millinats, less what independent ones of as many
            values and rows have on average (Miller and Madow's correction); sequences: of their first token.
        alike: tokens of the vocabulary that differ from another only by white space at the ends, or upper and lower case.
    """

    name: str
    kind: str
    distinct: int
    coverage: float
    oov: tuple[float, float, float]
    missing: float | None
    empty: float
    agreement: float
    information: float
    alike: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """An encoded data set.

    Attributes:
        rows: by split, in the order of `SPLITS`.
        clicks: share of label 1, by split.
        fields: in the data set's order.
    """

    rows: tuple[int, ...]
    clicks: tuple[float, ...]
    fields: tuple[FieldSummary, ...]


def summarise(dataset: EncodedDataset) -> Summary:
    """Count all rows of a data set once, streamed; memory grows with the vocabularies."""
    layout = dataset.layout
    sizes = layout.vocabulary_sizes
    # By field and label, of the training rows' first columns, and of all columns of each split.
    first = [np.zeros((2, size), dtype=np.int64) for size in sizes]
    tokens = np.zeros((3, len(sizes)), dtype=np.int64)
    unknown = np.zeros((3, len(sizes)), dtype=np.int64)
    clicks = np.zeros(3)
    starts = np.concatenate([[0], np.cumsum(layout.lengths)])
    for part, split in enumerate(SPLITS):
        for batch in dataset.batches(split, batch_size=_BATCH_ROWS):
            ids, labels = batch.ids.numpy(), batch.labels.numpy() > 0.5
            clicks[part] += labels.sum()
            for position, size in enumerate(sizes):
                own = ids[:, starts[position] : starts[position + 1]]
                tokens[part, position] += np.count_nonzero(own != PADDING_ID)
                unknown[part, position] += np.count_nonzero(own == OOV_ID)
                if part == 0:
                    for label in (0, 1):
                        first[position][label] += np.bincount(own[labels == label, 0], minlength=size)
    rows = tuple(dataset.num_rows(split) for split in SPLITS)
    fields = []
    for position, (field, vocabulary) in enumerate(
        zip(dataset.encoder.schema.fields, dataset.encoder.vocabularies, strict=True)
    ):
        oov = unknown[:, position] / np.maximum(tokens[:, position], 1)
        counts = first[position]
        of_missing = (vocabulary == "").arg_max() if (vocabulary == "").any() else None
        total = counts.sum(axis=0)
        fields.append(
            FieldSummary(
                name=field.name,
                kind=field.kind,
                distinct=len(vocabulary),
                coverage=float(1 - oov[0]),
                oov=(float(oov[0]), float(oov[1]), float(oov[2])),
                missing=None if of_missing is None else float(total[of_missing + RESERVED_IDS] / rows[0]),
                empty=float(total[PADDING_ID] / rows[0]),
                agreement=float(((total / rows[0]) ** 2).sum()),
                information=1000 * _information(counts),
                alike=_alike(vocabulary),
            )
        )
    shares = tuple(float(count / size) for count, size in zip(clicks, rows, strict=True))
    return Summary(rows=rows, clicks=shares, fields=tuple(fields))


def remarks(summary: Summary) -> Sequence[str]:
    """What a user should look at: fields that say nothing, ids that are new in the test rows, spellings, rates that differ."""
    found = []
    for field in summary.fields:
        if field.distinct < 2:
            found.append(
                f"{field.name} has {field.distinct} tokens in its vocabulary and says nothing; lower min_count or leave it out"
            )
        if max(field.oov[1:]) > 2 * field.oov[0] + 0.1:
            found.append(
                f"{field.name}: {max(field.oov[1:]):.0%} of the tokens of later splits are out of vocabulary, {field.oov[0]:.0%} "
                "in training; raise min_count, so that a rare token is learned, or leave the field out"
            )
        if field.alike:
            found.append(
                f"{field.name}: {field.alike:,} tokens differ from another only by white space or by upper and lower case; clean "
                "the column"
            )
    if max(summary.clicks) > 2 * min(summary.clicks):
        found.append(f"the splits' shares of clicks differ: {', '.join(f'{share:.2%}' for share in summary.clicks)}")
    return found


def _information(counts: np.ndarray) -> float:
    """Mutual information of label and token from their joint counts, shape (2, tokens), in nats, bias corrected, at least 0."""
    total = counts.sum()
    joint = counts / total
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    plain = float((joint[seen] * np.log(joint[seen] / expected[seen])).sum())
    used = int((counts.sum(axis=0) > 0).sum())
    cells = int(seen.sum())
    bias = (cells - used - int((counts.sum(axis=1) > 0).sum()) + 1) / (2 * total)
    return max(0.0, plain - bias) if math.isfinite(plain) else 0.0


def _alike(vocabulary: pl.Series) -> int:
    folded = vocabulary.str.strip_chars().str.to_lowercase()
    return len(vocabulary) - folded.n_unique()
