"""The classifier keeps scikit-learn's contract, learns from frames of any library, and is saved as the run that others read."""

from __future__ import annotations

import pickle
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import qnn_models as qm
from qnn_models.estimators.classifier import CTRClassifier
from qnn_models.serving.predict import COLUMN, predictions
from qnn_models.serving.trained import load_trained
from tests.qnn_models.frames import LIBRARIES

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "a row that counts twice is in one batch and two equal rows may be in two, "
    "quantile buckets and held-out rows are those of rows; tests/qnn_models/training/test_weights.py has the equality of the "
    "training itself",
}
NEEDS_WHAT_IS_NOT_HERE = {"check_array_api_input"}  # SCIPY_ARRAY_API in the environment, before SciPy is imported
if not find_spec("pandas"):
    NEEDS_WHAT_IS_NOT_HERE |= {"check_sample_weights_pandas_series", "check_classifier_data_not_an_array"}


def quick(**changes: Any) -> CTRClassifier:
    return CTRClassifier(
        **{"model": "lr", "max_epochs": 15, "learning_rate": 0.1, "batch_size": 64, "random_state": 0, **changes}
    )


CHECKS = parametrize_with_checks([quick()], expected_failed_checks=lambda estimator: EXPECTED_FAILURES).args[1]


def check_name(check: Any) -> str:
    _, found = getattr(check, "values", check)
    return found.func.__name__


KEPT = [check for check in CHECKS if check_name(check) not in NEEDS_WHAT_IS_NOT_HERE]


@pytest.mark.parametrize(("estimator", "check"), KEPT, ids=[check_name(check) for check in KEPT])
def test_scikit_learns_contract(estimator: CTRClassifier, check: Any) -> None:
    check(estimator)


def test_expected_failures_are_of_checks_that_there_are() -> None:
    assert {check_name(check) for check in CHECKS} >= set(EXPECTED_FAILURES)


def planted(rows: int, *, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray]:
    """Clicks that depend on whether two ids agree modulo 3, on a number, and on a tag."""
    generator = np.random.default_rng(seed)
    user, item = generator.integers(0, 12, rows), generator.integers(0, 12, rows)
    price, tags = generator.uniform(0, 1, rows), generator.integers(0, 4, (rows, 2))
    logit = 4.0 * ((user + item) % 3 == 0) - 1.5 + 2 * (price > 0.5) - 1 + 1.0 * (tags == 0).any(1)
    y = (generator.random(rows) < 1 / (1 + np.exp(-logit))).astype(int)
    frame = pl.DataFrame(
        {
            "user_id": user,
            "item": [f"i{n}" for n in item],
            "price": pl.Series(price).set(pl.Series(generator.random(rows) < 0.05), None),
            "tags": [[f"t{n}" for n in row] for row in tags],
            "mobile": generator.random(rows) < 0.5,
        },
        schema_overrides={"tags": pl.List(pl.String)},
    )
    return frame, y


X, Y = planted(3000)
NEW, NEW_Y = planted(1000, seed=1)


def network(**changes: Any) -> CTRClassifier:
    options = {"embedding_dim": 4, "layers": 1}
    return CTRClassifier(**{"options": options, "learning_rate": 0.02, "max_epochs": 8, "random_state": 0, **changes})


@pytest.fixture(scope="module")
def fitted() -> CTRClassifier:
    return network().fit(X, Y)


def test_interactions_of_columns_of_all_kinds_are_learnt(fitted: CTRClassifier) -> None:
    found = roc_auc_score(NEW_Y, fitted.predict_proba(NEW)[:, 1])
    assert found > 0.8
    linear = network(model="lr", options=None).fit(X, Y)
    assert found > roc_auc_score(NEW_Y, linear.predict_proba(NEW)[:, 1]) + 0.1
    kinds = {field.name: field.kind for field in fitted.encoder_.schema.fields}
    assert kinds == {
        "user_id": "categorical", "item": "categorical", "price": "numeric", "tags": "sequence", "mobile": "categorical",
    }  # fmt: skip
    assert fitted.encoder_.schema.fields[2].missing == "own"
    assert abs(fitted.predict_proba(NEW)[:, 1].mean() - NEW_Y.mean()) < 0.05


@pytest.mark.parametrize("library", LIBRARIES)
def test_frames_of_any_library_are_one(fitted: CTRClassifier, library: str) -> None:
    make = LIBRARIES[library]
    expected = fitted.predict_proba(NEW)
    np.testing.assert_allclose(fitted.predict_proba(make(NEW)), expected, rtol=1e-6)
    small = network(max_epochs=1)
    again = clone(small).fit(make(X[:300]), Y[:300])
    np.testing.assert_array_equal(again.predict_proba(make(NEW)), small.fit(X[:300], Y[:300]).predict_proba(NEW))
    assert again.feature_names_in_.tolist() == X.columns


def test_columns_may_change_their_type(fitted: CTRClassifier) -> None:
    expected = fitted.predict_proba(NEW)
    drifted = NEW.with_columns(
        pl.col("user_id").cast(pl.Float64), pl.col("price").cast(pl.String), pl.col("mobile").cast(pl.String)
    )
    np.testing.assert_allclose(fitted.predict_proba(drifted), expected, rtol=1e-6)


LABELS = {
    "texts": np.array(["no", "yes"]),
    "truth values": np.array([False, True]),
    "numbers": np.array([-1, 3]),
    "objects": np.array(["no", "yes"], dtype=object),
    "floats": np.array([0.0, 1.0]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_saved_and_loaded_it_is_the_same(kind: str, tmp_path: Path) -> None:
    made = quick(max_epochs=2).fit(X[:400], LABELS[kind][Y[:400]])
    made.save(tmp_path / "run")
    loaded = CTRClassifier.load(str(tmp_path / "run"))
    np.testing.assert_array_equal(loaded.predict_proba(NEW), made.predict_proba(NEW))
    np.testing.assert_array_equal(loaded.predict(NEW), made.predict(NEW))
    assert loaded.predict(NEW).dtype == made.predict(NEW).dtype
    assert set(loaded.predict(NEW).tolist()) <= set(LABELS[kind].tolist())
    assert clone(loaded).get_params() == {**made.get_params(), "categorical": [], "numeric": []}
    assert loaded.history_ == made.history_
    loaded.save(tmp_path / "again")
    np.testing.assert_array_equal(CTRClassifier.load(tmp_path / "again").predict_proba(NEW), made.predict_proba(NEW))
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pkl", ".pickle", ".joblib")]


def test_a_saved_classifier_is_a_run(fitted: CTRClassifier, tmp_path: Path) -> None:
    fitted.save(tmp_path / "run")
    expected = fitted.predict_proba(NEW)[:, 1]
    scorer = qm.load_scorer(tmp_path / "run")
    np.testing.assert_allclose(scorer(NEW), expected, rtol=1e-4)
    np.testing.assert_allclose(scorer(NEW.to_dicts()[0]), expected[0], rtol=1e-4)
    NEW.write_parquet(tmp_path / "rows.parquet")
    parts = predictions(load_trained(tmp_path / "run"), [tmp_path / "rows.parquet"])
    predicted = pl.concat(part[COLUMN] for part in parts)
    np.testing.assert_allclose(predicted.to_numpy(), expected, rtol=1e-4)


def test_pickle_and_clone(fitted: CTRClassifier) -> None:
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(NEW), fitted.predict_proba(NEW))
    assert not hasattr(clone(fitted), "model_")


def test_scikit_learns_tools_take_it() -> None:
    few, y = X[:400].drop("tags"), Y[:400]
    assert cross_val_score(quick(max_epochs=2), few, y, cv=3, scoring="roc_auc").shape == (3,)
    pipeline = make_pipeline(FunctionTransformer(lambda frame: frame.drop("mobile")), quick(max_epochs=2))
    assert 0 <= pipeline.fit(few, y).score(few, y) <= 1
    grid = GridSearchCV(
        CTRClassifier("quadratic", max_epochs=1, random_state=0),
        {"format": ["T9", 'x * affine("W") ** 2 + x'], "options": [{"layers": 1, "embedding_dim": 2}]},
        cv=2,
        scoring="neg_log_loss",
    )
    assert grid.fit(few, y).best_params_["format"] in ("T9", 'x * affine("W") ** 2 + x')


def test_an_eval_set_chooses_the_epoch_and_nothing_is_held_out() -> None:
    made = quick(max_epochs=3, patience=3).fit(X, Y, eval_set=(NEW, NEW_Y))
    loss = -np.mean(np.log(np.where(NEW_Y == 1, *made.predict_proba(NEW).T[::-1])))
    assert made.history_[made.best_epoch_ - 1]["valid_logloss"] == pytest.approx(loss, rel=1e-4)
    assert made._report["rows"] == {"train": 3000, "valid": 1000}
    assert quick(max_epochs=1).fit(X, Y)._report["rows"] == {"train": 2700, "valid": 300}
    every = quick(max_epochs=1, validation_fraction=0.0).fit(X, Y)
    assert every._report["rows"] == {"train": 3000, "valid": 3000}


def test_weights_move_the_probabilities_and_weight_zero_is_no_row() -> None:
    frame = X.select("mobile", "price")
    weights = np.where(Y == 1, 3.0, 1.0)
    made = quick(max_epochs=20, learning_rate=0.01, batch_size=256).fit(frame, Y, sample_weight=weights)
    found = np.average(made.predict_proba(frame)[:, 1], weights=weights)
    assert found == pytest.approx(np.average(Y, weights=weights), abs=0.02)
    some = np.arange(len(Y)) % 3 > 0
    without, masked = quick(max_epochs=2), quick(max_epochs=2)
    without.fit(frame.filter(pl.Series(some)), Y[some])
    masked.fit(frame, Y, sample_weight=some * 2.0)
    np.testing.assert_allclose(masked.predict_proba(frame), without.predict_proba(frame), rtol=1e-4)


def test_the_seed_decides_all_that_is_left_to_chance() -> None:
    first, again, other = (quick(random_state=seed, max_epochs=1).fit(X[:500], Y[:500]) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.predict_proba(NEW), again.predict_proba(NEW))
    assert np.abs(first.predict_proba(NEW) - other.predict_proba(NEW)).max() > 1e-4


def test_kinds_may_be_declared() -> None:
    made = quick(max_epochs=1, numeric=["user_id"], categorical=["price"]).fit(X[:500], Y[:500])
    kinds = {field.name: field.kind for field in made.encoder_.schema.fields}
    assert (kinds["user_id"], kinds["price"]) == ("numeric", "categorical")


def test_arrays_of_mixed_objects_are_columns() -> None:
    rows = X.drop("tags").to_numpy()
    assert rows.dtype == object
    made = quick(max_epochs=2).fit(rows, Y)
    assert [field.kind for field in made.encoder_.schema.fields] == [
        "categorical",
        "categorical",
        "numeric",
        "categorical",
    ]
    np.testing.assert_allclose(
        made.predict_proba(rows), quick(max_epochs=2).fit(X.drop("tags"), Y).predict_proba(X.drop("tags")), rtol=1e-6
    )


def test_a_run_of_the_command_line_is_a_classifier(tmp_path: Path, planted: Any) -> None:
    from qnn_models.serving.trained import save_trained

    model = qm.build("fm", planted.dataset.layout, seed=0)
    save_trained(tmp_path, model, planted.dataset, name="fm", options={}, split_seed=0, report={})
    split = planted.dataset.split("test")
    loaded = CTRClassifier.load(tmp_path)
    with torch.no_grad():
        expected = model.eval()(split.ids).sigmoid()
    rows = planted.dataset.encoder.decode(split.ids)
    np.testing.assert_allclose(loaded.predict_proba(rows)[:, 1], expected, rtol=1e-5)
    assert loaded.classes_.tolist() == [0, 1]


def test_a_training_that_learned_nothing_is_a_warning() -> None:
    with pytest.warns(ConvergenceWarning, match="the training ended after 1 updates, and a model needs some 200"):
        quick(max_epochs=1, batch_size=4096).fit(X[:100], Y[:100])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "qnn"}, "A model is one of .*, however: 'qnn'"),
        ({"model": "fm", "format": "T9"}, "fm has no choice of format, however: format='T9'"),
        ({"model": None, "format": "T99"}, "T99"),
        ({"options": {"layer": 2}, "model": "qnn-alpha"}, "however: 'layer'; the nearest is 'layers'"),
        ({"loss": "hinge"}, "A loss is one of"),
        ({"monitor": "accuracy"}, "monitor is auc or auc-logloss, however: 'accuracy'"),
        ({"max_epochs": 0}, "max_epochs is at least 1, however"),
        ({"validation_fraction": 1.0}, "validation_fraction is within 0 and 1"),
        ({"buckets": 1}, "buckets must be 2 to"),
        ({"categorical": ["prize"]}, "columns are named as X names them, however: 'prize' is none of user_id"),
        ({"categorical": ["price"], "numeric": ["price"]}, "price is declared both"),
        ({"numeric": ["tags"]}, "a column of lists is a sequence, however: tags is declared numeric"),
        ({"numeric": ["item"]}, "finite number or nothing, however: item='i"),
        ({"device": "tpu"}, "A device is auto, cpu"),
    ],
)
def test_what_cannot_be_fitted_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, KeyError), match=message):
        quick(**changes).fit(X[:100], Y[:100])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (NEW.drop("price"), "Feature names seen at fit time, yet now missing:\n- price"),
        (NEW.with_columns(more=1), "Feature names unseen at fit time:\n- more"),
        (NEW.select(reversed(NEW.columns)), "Feature names must be in the same order"),
        (NEW.with_columns(price=pl.lit("free")), "however: price='free' in row 0"),
        (NEW[:0], "a minimum of 1 is required"),
    ],
)
def test_what_cannot_be_predicted_is_named(fitted: CTRClassifier, rows: pl.DataFrame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted.predict_proba(rows)


@pytest.mark.parametrize(
    "eval_set", [(NEW,), [(NEW, NEW_Y)] * 2, (NEW, NEW_Y + 1), (NEW, NEW_Y * 0), (NEW, NEW_Y[:-1]), "valid"]
)
def test_an_eval_set_is_one_pair_of_both_classes(eval_set: Any) -> None:
    with pytest.raises(ValueError, match=r"eval_set|inconsistent numbers of samples"):
        quick().fit(X[:100], Y[:100], eval_set=eval_set)


@pytest.mark.parametrize("weights", [np.zeros(100), -np.ones(100), np.ones(99), Y[:100].astype(float)])
def test_weights_that_cannot_be_are_refused(weights: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"weight|Negative"):
        quick().fit(X[:100], Y[:100], sample_weight=weights)


def test_an_unfitted_classifier_saves_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        quick().save(tmp_path / "run")


def test_without_scikit_learn_the_rest_is_there_and_the_remedy_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert qm.CTRClassifier is CTRClassifier
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "qnn_models.estimators.classifier")
    with pytest.raises(ImportError, match=r"pip install 'qnn-toolkit\[sklearn\]'"):
        _ = qm.CTRClassifier
    with pytest.raises(AttributeError, match="no attribute 'CTRRegressor'"):
        _ = qm.CTRRegressor
