"""The planted data set: its truth, and the best AUC and log loss, against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from qnn_models.data.planted import expected_auc, expected_logloss, planted_dataset
from qnn_models.data.registry import load


@given(st.lists(st.floats(0.01, 0.99).map(lambda p: round(p, 2)), min_size=2, max_size=6))
def test_expected_auc_is_the_mean_over_all_labels(values: list[float]) -> None:
    p = np.array(values)
    concordant = pairs = entropy = 0.0
    for labels in itertools.product((0, 1), repeat=len(p)):
        weight = float(np.prod(np.where(labels, p, 1 - p)))
        for i, j in itertools.permutations(range(len(p)), 2):
            if labels[i] and not labels[j]:
                concordant += weight * (1.0 if p[i] > p[j] else 0.5 if p[i] == p[j] else 0.0)
                pairs += weight
        entropy += weight * float(-np.mean(np.log(np.where(labels, p, 1 - p))))
    assert expected_auc(p) == pytest.approx(concordant / pairs, rel=1e-9)
    assert expected_logloss(p) == pytest.approx(entropy, rel=1e-9)


def test_drawn_labels_scatter_around_the_best() -> None:
    planted = planted_dataset(seed=3, rows=(10, 10, 40_000))
    labels, p = planted.dataset.split("test").labels.numpy(), planted.probabilities["test"]
    # Standard errors at 40 000 rows are near 0.002.
    assert roc_auc_score(labels, p) == pytest.approx(planted.bayes_auc, abs=0.008)
    assert log_loss(labels, p) == pytest.approx(planted.bayes_logloss, abs=0.01)
    assert 0.6 < planted.bayes_auc < 0.95


def test_pairs_carry_what_main_effects_cannot() -> None:
    planted = planted_dataset(
        seed=1, rows=(60_000, 10, 10), vocabulary_sizes=(4, 4, 4), pairs=((0, 1),), main_scale=0.0
    )
    ids, p = planted.dataset.split("train").ids.numpy() - 2, planted.probabilities["train"]
    logit = np.log(p / (1 - p))
    cells = {(a, b): logit[(ids[:, 0] == a) & (ids[:, 1] == b)] for a in range(4) for b in range(4)}
    assert all(np.ptp(values) < 1e-9 for values in cells.values())
    table = np.array([[cells[a, b][0] for b in range(4)] for a in range(4)]) + 0.5
    assert np.linalg.matrix_rank(table, tol=1e-9) == 2


def test_a_triple_is_planted_too() -> None:
    planted = planted_dataset(
        vocabulary_sizes=(3, 3, 3, 3), pairs=(), triples=((0, 1, 2),), main_scale=0.0, rows=(5000, 10, 10)
    )
    ids, p = planted.dataset.split("train").ids.numpy(), planted.probabilities["train"]
    distinct = {tuple(row[:3]): round(float(q), 9) for row, q in zip(ids.tolist(), p, strict=True)}
    assert len(set(distinct.values())) == 27
    assert planted.triples == ((0, 1, 2),)


def test_the_seed_decides_everything() -> None:
    one, again, other = (planted_dataset(seed=seed, rows=(50, 10, 10)).dataset.content_hash for seed in (0, 0, 1))
    assert one == again != other
    assert load("planted", split_seed=7).content_hash == planted_dataset(seed=7).dataset.content_hash


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairs": ((0, 6),)}, r"distinct fields below 6, however: \(0, 6\)"),
        ({"pairs": ((1, 1),)}, r"distinct fields.*\(1, 1\)"),
        ({"rank": 0}, "at least 1.*rank=0"),
    ],
)
def test_what_cannot_be_planted_is_refused(options: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=message):
        planted_dataset(**options)


def test_the_encoder_reads_the_tokens_back() -> None:
    dataset = planted_dataset(rows=(20, 5, 5)).dataset
    rows = dataset.encoder.decode(dataset.split("valid").ids)
    assert dataset.encoder.encode_tensor(rows).equal(dataset.split("valid").ids)
