"""Day by day: further rows with values never seen go on with what was learnt, saved or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from qnn_models.estimators.classifier import CTRClassifier

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def day(rows: int, users: range, *, seed: int) -> tuple[pl.DataFrame, np.ndarray]:
    """Clicks by user: odd ones click."""
    generator = np.random.default_rng(seed)
    user = generator.choice(list(users), rows)
    y = (generator.random(rows) < np.where(user % 2, 0.9, 0.1)).astype(int)
    return pl.DataFrame({"user": [f"u{n}" for n in user], "price": generator.uniform(size=rows)}), y


FIRST, SECOND, LATER = day(1500, range(20), seed=0), day(1500, range(10, 40), seed=1), day(500, range(20, 40), seed=2)


def made(**changes: Any) -> CTRClassifier:
    return CTRClassifier("lr", learning_rate=0.05, batch_size=32, max_epochs=3, random_state=0, **changes)


def test_new_values_are_learnt_and_old_ones_kept() -> None:
    classifier = made().fit(*FIRST)
    known = classifier.encoder_.vocabulary("user").to_list()
    edges = classifier.encoder_.schema.fields[1].edges
    before = classifier.predict_proba(FIRST[0])
    assert roc_auc_score(LATER[1], classifier.predict_proba(LATER[0])[:, 1]) < 0.7
    for _ in range(2):
        classifier.partial_fit(*SECOND)
    assert roc_auc_score(LATER[1], classifier.predict_proba(LATER[0])[:, 1]) > 0.85
    assert classifier.encoder_.vocabulary("user").to_list()[: len(known)] == known
    assert len(classifier.encoder_.vocabulary("user")) == 40
    assert classifier.encoder_.schema.fields[1].edges == edges
    gone = FIRST[0]["user"].is_in([f"u{n}" for n in range(10)]).to_numpy()  # of whom the second day knows nothing
    after = classifier.predict_proba(FIRST[0])
    assert np.corrcoef(before[gone, 1], after[gone, 1])[0, 1] > 0.95
    assert classifier._passes == 2


def test_a_day_after_saving_is_a_day_without(tmp_path: Path) -> None:
    """The optimizer's state is saved too."""
    classifier = made().fit(*FIRST)
    classifier.save(tmp_path)
    loaded = CTRClassifier.load(tmp_path).partial_fit(*SECOND)
    classifier.partial_fit(*SECOND)
    np.testing.assert_array_equal(loaded.predict_proba(LATER[0]), classifier.predict_proba(LATER[0]))
    forgetful = CTRClassifier.load(tmp_path)
    forgetful._optimizer = {}
    forgetful.partial_fit(*SECOND)
    assert np.abs(forgetful.predict_proba(LATER[0]) - classifier.predict_proba(LATER[0])).max() > 1e-3
    classifier.save(tmp_path / "again")
    again = CTRClassifier.load(tmp_path / "again")
    np.testing.assert_array_equal(again.predict_proba(LATER[0]), classifier.predict_proba(LATER[0]))
    assert again._passes == 1


def test_the_first_day_may_be_a_pass_too() -> None:
    classifier = made().partial_fit(*FIRST).partial_fit(*SECOND)
    assert roc_auc_score(SECOND[1], classifier.predict_proba(SECOND[0])[:, 1]) > 0.8
    assert classifier.n_iter_ == 2


def test_a_day_without_clicks_is_a_day() -> None:
    rows, y = FIRST
    none = rows.filter(pl.Series(y == 0))
    classifier = made().partial_fit(none, np.zeros(len(none), dtype=int), classes=[0, 1])
    before = made().fit(*FIRST).predict_proba(rows)[:, 1].mean()
    after = made().fit(*FIRST).partial_fit(none, np.zeros(len(none), dtype=int)).predict_proba(rows)[:, 1].mean()
    assert after < before
    assert classifier.predict_proba(rows)[:, 1].mean() < 0.5


def test_rows_of_weight_zero_are_none() -> None:
    classifier, twin = made().fit(*FIRST), made().fit(*FIRST)
    rows, y = SECOND
    some = np.arange(len(y)) % 2
    classifier.partial_fit(rows, y, sample_weight=some)
    twin.partial_fit(rows.filter(pl.Series(some > 0)), y[some > 0])
    np.testing.assert_allclose(classifier.predict_proba(rows), twin.predict_proba(rows), rtol=1e-5)


def test_a_day_that_diverges_leaves_the_day_before() -> None:
    classifier = made().fit(*FIRST)
    before = classifier.predict_proba(LATER[0])
    classifier.set_params(learning_rate=1e38)
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        classifier.partial_fit(*SECOND)
    np.testing.assert_array_equal(classifier.predict_proba(LATER[0]), before)


@pytest.mark.parametrize(
    ("rows", "y", "classes", "message"),
    [
        (SECOND[0], SECOND[1] + 1, None, r"Classes are \[0, 1\], however: y holds \[2\]"),
        (SECOND[0], SECOND[1], [0, 2], r"Classes stay \[0, 1\], however: \[0, 2\]"),
        (SECOND[0].drop("price"), SECOND[1], None, "now missing:\n- price"),
        (SECOND[0], SECOND[1][:-1], None, "inconsistent numbers of samples"),
        (SECOND[0].with_columns(price=pl.lit("free")), SECOND[1], None, "price='free' in row 0"),
    ],
)
def test_a_day_of_other_things_is_refused(rows: pl.DataFrame, y: np.ndarray, classes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(validation_fraction=0.0).fit(*FIRST).partial_fit(rows, y, classes)


def test_a_first_day_of_one_class_asks_for_both() -> None:
    with pytest.raises(ValueError, match="learns two classes, however: y holds 1 class"):
        made().partial_fit(FIRST[0], FIRST[1] * 0)
