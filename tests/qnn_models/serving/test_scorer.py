"""A scorer gives the model's probabilities of encoded rows, for one row, several or a frame, from many threads at once."""

from __future__ import annotations

import datetime
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.encoding.encoder import VocabularyCounter
from qnn_models.data.layout import Split
from qnn_models.data.reading.columns import column_of_series
from qnn_models.data.schema import Field, Label, Schema
from qnn_models.models.registry import build
from qnn_models.serving.inference import for_inference
from qnn_models.serving.scorer import Scorer, load_scorer
from qnn_models.serving.trained import load_trained, save_trained
from tests.qnn_models.frames import LIBRARIES

SCHEMA = Schema(
    name="rows",
    label=Label(column="click"),
    fields=(
        Field(name="user", missing="own", aliases=("uid",)),
        Field(name="price", kind="numeric", buckets=8, missing="own"),
        Field(name="day"),
        Field(name="tags", kind="sequence", separator="|", max_length=3),
    ),
)


def rows(count: int) -> pl.DataFrame:
    generator = np.random.default_rng(0)
    user = pl.Series("user", generator.integers(0, 30, count)).set(pl.Series(generator.random(count) < 0.1), None)
    day = [datetime.date(2013, 1, 1) + datetime.timedelta(int(n)) for n in generator.integers(0, 9, count)]
    tags = [[f"t{n}" for n in generator.integers(0, 5, size)] for size in generator.integers(0, 5, count)]
    return pl.DataFrame(
        [user, pl.Series("price", generator.lognormal(size=count)), pl.Series("day", day)]
    ).with_columns(pl.Series("tags", tags, dtype=pl.List(pl.String)), other=pl.lit("ignored"))


ROWS = rows(300)


def dataset() -> EncodedDataset:
    counter = VocabularyCounter(SCHEMA)
    counter.add({f.name: column_of_series(ROWS[f.name]) for f in SCHEMA.fields}, np.ones(len(ROWS), dtype=bool))
    encoder = counter.encoder()
    ids = encoder.encode_tensor(ROWS)
    split = Split(ids, torch.arange(len(ids)).remainder(2).float())
    sizes = dict.fromkeys(("train", "valid", "test"), len(ids))
    return EncodedDataset("rows", encoder=encoder, content_hash="", rows=sizes, splits=dict.fromkeys(sizes, split))


def saved(folder: Path, name: str = "qnn-alpha", **options: Any) -> Path:
    model, data = build(name, dataset().layout, seed=0, **options), dataset()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3, generator=torch.Generator().manual_seed(0))
        model.train()(data.split("train").ids)  # BatchNorm has seen something
    save_trained(folder, model, data, name=name, options=options, split_seed=0, report={})
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("run"), embedding_dim=4)


@pytest.fixture(scope="module")
def scorer(run: Path) -> Scorer:
    return load_scorer(str(run))


@pytest.fixture(scope="module")
def expected(run: Path) -> np.ndarray:
    with torch.no_grad():
        return load_trained(run).model(dataset().split("test").ids).sigmoid().numpy()


def as_dicts(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return frame.to_dicts()


@pytest.mark.parametrize("library", LIBRARIES)
def test_frames_of_any_library(scorer: Scorer, expected: np.ndarray, library: str) -> None:
    found = scorer(LIBRARIES[library](ROWS))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_one_row_and_lists_of_rows(scorer: Scorer, expected: np.ndarray) -> None:
    dicts = as_dicts(ROWS)
    np.testing.assert_allclose(scorer(dicts), expected, rtol=1e-4)
    np.testing.assert_allclose([scorer(row) for row in dicts[:50]], expected[:50], rtol=1e-4)
    assert isinstance(scorer(dicts[0]), float)


SPELLINGS = {
    "floats": ROWS.with_columns(pl.col("user").cast(pl.Float64)),
    "NaN for a missing number": ROWS.with_columns(pl.col("user").cast(pl.Float64).fill_null(float("nan"))),
    "texts": ROWS.with_columns(pl.col("user", "price", "day").cast(pl.String), pl.col("tags").list.join("|")),
    "times": ROWS.with_columns(pl.col("day").cast(pl.Datetime)),
    "categories": ROWS.with_columns(pl.col("user", "day").cast(pl.String).cast(pl.Categorical)),
    "an alias": ROWS.rename({"user": "uid"}),
    "another order": ROWS.select(reversed(ROWS.columns)),
    "arrays": ROWS.with_columns(tags=pl.col("tags").list.concat(pl.lit(["", "", ""])).list.head(3).list.to_array(3)),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_types_may_drift_between_training_and_serving(scorer: Scorer, expected: np.ndarray, spelling: str) -> None:
    frame = SPELLINGS[spelling]
    np.testing.assert_allclose(scorer(frame), expected, rtol=1e-4)
    np.testing.assert_allclose(scorer(as_dicts(frame)), expected, rtol=1e-4)


def test_a_pandas_like_column_of_mixed_types_is_text() -> None:
    mixed = pl.DataFrame({"user": pl.Series([7, "x", None, 7.0], dtype=pl.Object)})
    from qnn_models.data.encoding.frames import series_of

    assert series_of(mixed, "user").to_list() == ["7", "x", None, "7.0"]


def test_what_is_new_is_out_of_vocabulary(scorer: Scorer) -> None:
    row = as_dicts(ROWS)[0]
    ids = scorer.encode([row | {"user": "never seen", "day": "someday", "tags": ["t1", "new"], "price": None}])[0]
    assert ids[:3].tolist() == [1, 1, 1]  # no price was missing in training
    assert ids[4:].tolist() == [1, 0]


@pytest.mark.parametrize("name", ["lr", "fm", "quadratic"])
def test_models_without_serving_code_are_served_as_they_are(tmp_path: Path, name: str) -> None:
    run = saved(tmp_path / "run", name, embedding_dim=4) if name == "quadratic" else saved(tmp_path / "run", name)
    with torch.no_grad():
        expected = load_trained(run).model(dataset().split("test").ids).sigmoid().numpy()
    scorer = load_scorer(run)
    np.testing.assert_allclose(scorer(ROWS), expected, rtol=1e-4)
    np.testing.assert_allclose(scorer(as_dicts(ROWS)[0]), expected[0], rtol=1e-4)
    with pytest.raises(ValueError, match="QNN-α has weights in bfloat16 or int8, however"):
        load_scorer(run, weights="int8")


def test_weights_may_be_small_and_gates_smooth(tmp_path: Path, run: Path, expected: np.ndarray) -> None:
    np.testing.assert_allclose(load_scorer(run, weights="bfloat16")(ROWS), expected, atol=0.05)
    smooth = saved(tmp_path / "smooth", embedding_dim=4, mid_activation="gelu")
    with torch.no_grad():
        wanted = load_trained(smooth).model(dataset().split("test").ids).sigmoid().numpy()
    np.testing.assert_allclose(load_scorer(smooth)(ROWS), wanted, rtol=1e-4)
    with pytest.raises(ValueError, match="with ReLU or none, however: gelu"):
        load_scorer(smooth, weights="int8")


def test_threads_share_a_scorer(scorer: Scorer, expected: np.ndarray) -> None:
    dicts = as_dicts(ROWS)

    def one(number: int) -> bool:
        # Any of three shapes of request, in any order.
        if number % 3 == 0:
            return bool(np.isclose(scorer(dicts[number % 300]), expected[number % 300], rtol=1e-4))
        if number % 3 == 1:
            return np.allclose(scorer(dicts[: number % 7]), expected[: number % 7], rtol=1e-4)
        return np.allclose(scorer(ROWS), expected, rtol=1e-4)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(120)))


def test_scoring_builds_no_graph_and_needs_no_rows(scorer: Scorer) -> None:
    seen: list[bool] = []
    handle = scorer._model.register_forward_hook(lambda _, __, out: seen.append(out.requires_grad))
    try:
        with torch.enable_grad():
            scorer(as_dicts(ROWS)[0]), scorer(ROWS)
    finally:
        handle.remove()
    assert seen == [False, False]
    assert scorer([]).shape == scorer(ROWS[:0]).shape == (0,)


def test_large_frames_are_scored_in_parts(
    scorer: Scorer, expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qnn_models.serving.scorer._BATCH_ROWS", 7)
    np.testing.assert_allclose(scorer(ROWS), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("rows.csv", "'rows.csv' may be a file's name; qnn predict reads files"),
        (np.zeros((3, 4)), "a dictionary, a list of them, or a frame, however: ndarray"),
        (None, "however: NoneType"),
        ([{"user": 1}, 3], "rows come as dictionaries, however: int among them"),
        ({"user": 1}, "a value for each field, however: price, day, tags absent from user; give None"),
        (ROWS.drop("day"), "a column for each field, however: day absent from user"),
        (ROWS.with_columns(price=pl.lit("free")), "finite number or nothing, however: price='free' in row 0"),
        (ROWS.with_columns(price=pl.lit(float("inf"))), "finite number or nothing, however: price='inf' in row 0"),
        (ROWS.with_columns(user=pl.col("tags")), "user is categorical and holds lists"),
        (ROWS.with_columns(user=pl.struct("price")), "however: user is of type Struct"),
        (ROWS.lazy(), "however: LazyFrame"),
    ],
)
def test_what_cannot_be_scored_is_named(scorer: Scorer, given: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        scorer(given)


def test_a_run_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a folder with model\.safetensors, however"):
        load_scorer(tmp_path)


def test_the_serving_code_is_used(scorer: Scorer, run: Path) -> None:
    model: Any = load_trained(run).model
    assert type(scorer._model) is type(for_inference(model))
