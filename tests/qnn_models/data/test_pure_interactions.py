"""Pure interactions: no part of a lower order, and the best AUC against brute force."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from qnn_models.data.layout import RESERVED_IDS
from qnn_models.data.pure_interactions import Term, pure_interactions, random_term


def every_row(fields: int, vocabulary: int) -> torch.Tensor:
    rows = itertools.product(range(vocabulary), repeat=fields)
    return torch.tensor(list(rows)) + RESERVED_IDS


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_no_fewer_fields_tell_anything(order: int) -> None:
    law = pure_interactions([random_term(order, fields=4, seed=order)], fields=4, vocabulary=4, seed=7)
    rows = every_row(4, 4)
    logit = law.parts(rows).sum(1)
    assert set(logit.tolist()) == {-2.0, 2.0}
    for size in range(order):
        for fields in itertools.combinations(range(4), size):
            code = sum((rows[:, field] * 10**place for place, field in enumerate(fields)), torch.zeros(len(rows)))
            for cell in code.unique():
                assert logit[code == cell].mean() == 0
    (term,) = law.terms
    cells = sum((rows[:, field] * 10**place for place, field in enumerate(term.fields)), torch.zeros(len(rows)))
    assert all(logit[cells == cell].unique().numel() == 1 for cell in cells.unique())


def test_terms_over_different_fields_are_orthogonal() -> None:
    terms = [Term(fields=fields, strength=1.0) for fields in ((0,), (0, 1), (1, 2), (0, 1, 2))]
    parts = pure_interactions(terms, fields=3, vocabulary=4).parts(every_row(3, 4))
    assert torch.equal(parts.T @ parts / len(parts), torch.eye(4))


@given(st.lists(st.floats(0.25, 2.0), min_size=1, max_size=3))
def test_the_best_auc_is_that_of_all_rows(strengths: list[float]) -> None:
    terms = [Term(fields=tuple(range(k + 1)), strength=strength) for k, strength in enumerate(strengths)]
    law = pure_interactions(terms, fields=3, vocabulary=2)
    p = law.parts(every_row(3, 2)).double().sum(1).sigmoid().tolist()
    wins = sum(a * (1 - b) * (1.0 if a > b + 1e-9 else 0.5 if a > b - 1e-9 else 0.0) for a in p for b in p)
    assert law.bayes_auc == pytest.approx(wins / (sum(p) * (len(p) - sum(p))), abs=1e-6)


def test_of_one_term_the_best_auc_is_the_sigmoid_of_its_strength() -> None:
    law = pure_interactions([random_term(3, strength=2.0)])
    assert law.bayes_auc == pytest.approx(1 / (1 + 2.718281828459045**-2), rel=1e-9)


def test_drawn_labels_scatter_around_it() -> None:
    law = pure_interactions([random_term(2), Term(fields=(5,), strength=1.0)])
    rows = law.rows(40_000, torch.Generator().manual_seed(0))
    assert roc_auc_score(rows.labels, law.parts(rows.ids).sum(1)) == pytest.approx(law.bayes_auc, abs=0.008)
    assert rows.ids.min() == RESERVED_IDS
    assert rows.ids.max() == 15 + RESERVED_IDS
    assert law.layout.vocabulary_sizes == (18,) * 6


def test_the_same_seed_gives_the_same_law_and_rows() -> None:
    first, second, other = (pure_interactions([random_term(3, seed=s)], seed=s) for s in (1, 1, 2))
    assert first.terms == second.terms
    assert torch.equal(first.signs, second.signs)
    assert not torch.equal(first.signs, other.signs)
    one, two = (law.rows(50, torch.Generator().manual_seed(3)) for law in (first, second))
    assert torch.equal(one.ids, two.ids)
    assert torch.equal(one.labels, two.labels)


@pytest.mark.parametrize(
    ("terms", "vocabulary", "complaint"),
    [
        ([Term(fields=(0,), strength=1.0)], 15, "even"),
        ([Term(fields=(0,), strength=1.0)], 0, "even"),
        ([], 16, "at least one term"),
        ([Term(fields=(), strength=1.0)], 16, "distinct fields"),
        ([Term(fields=(1, 1), strength=1.0)], 16, "distinct fields"),
        ([Term(fields=(0, 6), strength=1.0)], 16, "distinct fields"),
        ([Term(fields=(0, -1), strength=1.0)], 16, "distinct fields"),
        ([Term(fields=(0, 1), strength=1.0), Term(fields=(1, 0), strength=2.0)], 16, "one term"),
    ],
)
def test_laws_that_cannot_be(terms: list[Term], vocabulary: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        pure_interactions(terms, vocabulary=vocabulary)


@pytest.mark.parametrize("order", [0, 7, -1])
def test_orders_that_cannot_be(order: int) -> None:
    with pytest.raises(ValueError, match="1 to 6 fields"):
        random_term(order)
