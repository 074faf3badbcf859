"""A synthetic data set with planted interactions, whose best possible AUC and log loss are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from qnn_models.data.encoding.encoded import ContentHash, EncodedDataset
from qnn_models.data.encoding.encoder import Encoder
from qnn_models.data.layout import RESERVED_IDS, Split
from qnn_models.data.schema import SPLITS, Field, Label, Schema
from qnn_models.runtime.seeds import derive


@dataclass(frozen=True, slots=True)
class Planted:
    """A planted data set and the truth behind it.

    Attributes:
        dataset: fields `f0`, `f1`, ..., tokens `0`, `1`, ...; token k has id k + 2.
        pairs: fields that interact, by position.
        triples: fields that interact three at a time, by position.
        probabilities: P(label = 1) of every row of each split, float64.
        bayes_auc: AUC of the true probabilities on the test rows (`expected_auc`); no model can expect more.
        bayes_logloss: log loss of the true probabilities on the test rows, in nats; no model can expect less.
    """

    dataset: EncodedDataset
    pairs: tuple[tuple[int, int], ...]
    triples: tuple[tuple[int, int, int], ...]
    probabilities: dict[str, np.ndarray]
    bayes_auc: float
    bayes_logloss: float


def planted_dataset(
    *,
    seed: int = 0,
    rows: tuple[int, int, int] = (20_000, 4_000, 4_000),
    vocabulary_sizes: Sequence[int] = (20, 20, 20, 20, 20, 20),
    pairs: Sequence[tuple[int, int]] = ((0, 1), (2, 3)),
    triples: Sequence[tuple[int, int, int]] = (),
    rank: int = 2,
    bias: float = -0.5,
    main_scale: float = 0.3,
    interaction_scale: float = 1.5,
) -> Planted:
    """Draw a planted data set.

    Every field's token is uniform; the label is Bernoulli with

        logit = bias + main_scale · Σ_f a_f[t_f] + interaction_scale · Σ_S Σ_r Π_{f in S} u_{S,f}[t_f, r] / √rank

    where S runs over the pairs and triples, and a and u are standard normal.

    Args:
        seed: of the truth and of the rows.
        rows: of the training, validation and test split.
        vocabulary_sizes: tokens per field, padding and out of vocabulary not counted.
        pairs: positions of fields that interact.
        triples: positions of fields that interact three at a time.
        rank: of each interaction.
        bias: logit of the base rate.
        main_scale: standard deviation of a field's main effect.
        interaction_scale: standard deviation of an interaction.

    Raises:
        ValueError: an interaction names a field that is not there, or one twice; no rows, tokens or rank.
    """
    interactions = [*pairs, *triples]
    for fields in interactions:
        if len(set(fields)) != len(fields) or not all(0 <= field < len(vocabulary_sizes) for field in fields):
            raise ValueError(
                f"an interaction is of distinct fields below {len(vocabulary_sizes)}, however: {tuple(fields)}"
            )
    if min(*rows, *vocabulary_sizes, rank) < 1:
        raise ValueError(
            f"sizes must be at least 1, however: rows={rows}, vocabulary_sizes={tuple(vocabulary_sizes)}, rank={rank}"
        )
    truth = np.random.default_rng(derive(seed, "planted truth"))
    main = [truth.standard_normal(size) for size in vocabulary_sizes]
    factors = [
        {field: truth.standard_normal((vocabulary_sizes[field], rank)) for field in fields} for fields in interactions
    ]

    schema = Schema(
        name="planted",
        label=Label(column="label"),
        fields=tuple(Field(name=f"f{position}") for position in range(len(vocabulary_sizes))),
    )
    vocabularies = [pl.Series("token", [str(token) for token in range(size)]) for size in vocabulary_sizes]
    encoder = Encoder(schema, vocabularies)
    digest = ContentHash(encoder.layout)
    splits: dict[str, Split] = {}
    probabilities: dict[str, np.ndarray] = {}
    for split, size in zip(SPLITS, rows, strict=True):
        draw = np.random.default_rng(derive(seed, "planted rows", split))
        tokens = np.stack([draw.integers(0, vocabulary, size) for vocabulary in vocabulary_sizes], axis=1)
        logit = np.full(size, bias)
        for position, effect in enumerate(main):
            logit += main_scale * effect[tokens[:, position]]
        for factor in factors:
            product = np.prod([vectors[tokens[:, field]] for field, vectors in factor.items()], axis=0)
            logit += interaction_scale * product.sum(axis=1) / np.sqrt(rank)
        probabilities[split] = 1 / (1 + np.exp(-logit))
        labels = (draw.random(size) < probabilities[split]).astype(np.float32)
        ids = (tokens + RESERVED_IDS).astype(np.int32)
        digest.update(split, list(ids.T), labels)
        splits[split] = Split(torch.from_numpy(ids), torch.from_numpy(labels))

    dataset = EncodedDataset(
        "planted",
        encoder=encoder,
        content_hash=digest.hexdigest(encoder),
        rows=dict(zip(SPLITS, rows, strict=True)),
        splits=splits,
    )
    return Planted(
        dataset,
        tuple(pairs),
        tuple(triples),
        probabilities,
        expected_auc(probabilities["test"]),
        expected_logloss(probabilities["test"]),
    )


def expected_auc(probabilities: np.ndarray) -> float:
    """AUC of true probabilities p over rows with independent Bernoulli(p) labels, ranking them by p.

    Expected concordant pairs over expected pairs of a positive and a negative row, both exact, in O(n log n):

        Σ_{i≠j} p_i (1 - p_j) ([p_i > p_j] + ½ [p_i = p_j]) / Σ_{i≠j} p_i (1 - p_j)

    It is the AUC of the drawn labels up to their sampling noise. Ranking by p maximises it (li2025qnn's models can
    only come near).

    Args:
        probabilities: float64, shape (n,), n ≥ 2.
    """
    values, inverse = np.unique(probabilities, return_inverse=True)
    positive = np.bincount(inverse, weights=probabilities, minlength=len(values))
    negative = np.bincount(inverse, weights=1 - probabilities, minlength=len(values))
    own = float(np.sum(probabilities * (1 - probabilities)))
    below = np.cumsum(negative) - negative
    concordant = float(np.sum(positive * (below + negative / 2))) - own / 2
    return concordant / (float(positive.sum() * negative.sum()) - own)


def expected_logloss(probabilities: np.ndarray) -> float:
    """Expected log loss of true probabilities p: the mean entropy -p ln p - (1-p) ln(1-p), in nats."""
    p = probabilities
    return float(np.mean(-p * np.log(p) - (1 - p) * np.log1p(-p)))
