"""One spelling for each value whatever a library made of its type; buckets by quantiles that erase nothing."""

from __future__ import annotations

import datetime
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn_models.data.encoding.encoder import Encoder, VocabularyCounter
from qnn_models.data.encoding.tokens import quantile_edges, thinned
from qnn_models.data.reading.columns import column_of_series
from qnn_models.data.schema import Field, Label, Schema


def fitted(field: Field, values: pl.Series, chunks: int = 1) -> Encoder:
    schema = Schema(name="test", label=Label(column="label"), fields=(field,))
    counter = VocabularyCounter(schema)
    for start in range(0, len(values), math.ceil(len(values) / chunks)):
        part = column_of_series(values[start : start + math.ceil(len(values) / chunks)])
        counter.add({field.name: part}, np.ones(len(part), dtype=bool))
    return counter.encoder()


def ids(encoder: Encoder, values: pl.Series) -> list[int]:
    return encoder.encode_tensor(pl.DataFrame({"f": values}))[:, 0].tolist()


@pytest.mark.parametrize(
    ("trained", "served"),
    [
        (pl.Series([7, 12, 7]), pl.Series([7.0, 12.0, 7.0])),
        (pl.Series([7, 12, 7]), pl.Series(["7", "12", "7"])),
        (pl.Series(["7.0", "12.0", "7.0"]), pl.Series([7, 12, 7])),
        (pl.Series([7.0, None, 12.0]), pl.Series(["7", "", "12"])),
        (pl.Series([-7, 2**52, 0]), pl.Series([-7.0, 2.0**52, 0.0])),
        (pl.Series([7, 12, 7], dtype=pl.UInt8), pl.Series([7, 12, 7], dtype=pl.Int64)),
        (pl.Series([True, False, None]), pl.Series(["True", "False", None])),
        (pl.Series(["TRUE", "false", "TRUE"]), pl.Series([True, False, True])),
        (pl.Series(["a", "b", "a"]), pl.Series(["a", "b", "a"], dtype=pl.Categorical)),
        (pl.Series(["a", "b", "a"]), pl.Series(["a", "b", "a"], dtype=pl.Enum(["b", "a"]))),
        (pl.Series([datetime.date(2013, 1, 2)] * 3), pl.Series([datetime.datetime(2013, 1, 2)] * 3)),
        (pl.Series(["2013-01-02"] * 3), pl.Series([datetime.datetime(2013, 1, 2)] * 3)),
        (pl.Series(["2013-01-02T00:00:00"] * 3), pl.Series([datetime.date(2013, 1, 2)] * 3)),
        (pl.Series([1.5, 2.25, 1.5]), pl.Series(["1.5", "2.25", "1.5"])),
    ],
)
def test_an_id_is_one_whatever_its_type(trained: pl.Series, served: pl.Series) -> None:
    encoder = fitted(Field(name="f", missing="own"), trained)
    assert 1 not in ids(encoder, trained)
    assert ids(encoder, served) == ids(encoder, trained)


@pytest.mark.parametrize(
    "texts", [("1.2.0", "1.2"), ("07", "7"), ("7.5", "7"), ("trues", "true"), ("7 ", "7"), ("A", "a")]
)
def test_texts_that_differ_stay_apart(texts: tuple[str, str]) -> None:
    series = pl.Series(texts)
    assert len(set(ids(fitted(Field(name="f"), series), series))) == 2


def test_tokens_of_a_sequence_are_spelt_alike() -> None:
    encoder = fitted(Field(name="f", kind="sequence", separator="|", max_length=2), pl.Series(["7|8", "7|9"]))
    listed = encoder.encode_tensor(pl.DataFrame({"f": [[7.0, 9.0], [8.0]]}))
    assert encoder.decode(listed)["f"].to_list() == [["7", "9"], ["8"]]


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).random(5_000),
        -np.random.default_rng(1).lognormal(size=5_000),
        np.random.default_rng(2).normal(size=5_000) * 1e9,
        np.repeat([0.0, 0.1, 0.2, 0.7], [4_000, 500, 400, 100]),
        np.arange(50.0),
    ],
    ids=["unit interval", "negative", "large", "mostly zero", "few values"],
)
def test_quantiles_keep_the_order_and_share_the_rows(values: np.ndarray) -> None:
    series = pl.Series(values)
    encoder = fitted(Field(name="f", kind="numeric", buckets=20), series, chunks=3)
    bucket = [int(encoder.vocabularies[0][number - 2]) for number in ids(encoder, series)]
    by_value = np.array(bucket)[np.argsort(values, kind="stable")]
    assert (np.diff(by_value) >= 0).all()
    assert len(set(bucket)) == min(20, len(set(values.tolist())))
    if len(set(values.tolist())) > 1000:
        sizes = np.bincount(by_value)
        assert sizes.max() - sizes.min() <= 2
    # beyond what was seen: the outermost buckets, not out of vocabulary; the missing value is
    far = ids(encoder, pl.Series([-1e300, 1e300, None]))
    assert [encoder.decode(encoder.encode_tensor(pl.DataFrame({"f": [v]})))["f"][0] for v in (-1e300, 1e300)] == [
        "0",
        str(max(bucket)),
    ]
    assert far[2] == 1


def test_a_truth_value_and_a_number_as_text_are_numbers() -> None:
    encoder = fitted(Field(name="f", kind="numeric"), pl.Series(["0", "1", "0.5"]))
    assert ids(encoder, pl.Series([False, True])) == ids(encoder, pl.Series([0, 1]))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.integers(2, 12))
def test_no_bucket_by_quantiles_is_larger_than_its_share_and_one_value(values: list[int], buckets: int) -> None:
    numbers, counts = np.unique(np.array(values, dtype=float), return_counts=True)
    edges = quantile_edges(pl.DataFrame({"token": numbers, "count": counts}), buckets)
    assert len(edges) < buckets
    assert set(edges) <= set(numbers[:-1].tolist())
    bucket = np.searchsorted(np.array(edges), numbers)
    for one in range(len(edges) + 1):
        inside = counts[bucket == one]
        assert inside.size
        assert inside.sum() <= len(values) / buckets + inside.max()


def test_thinning_keeps_the_rows_and_the_quantiles() -> None:
    values = pl.DataFrame({"token": [None, *np.random.default_rng(0).normal(size=50_000)], "count": [9, *[1] * 50_000]})
    few = thinned(values, 1_000)
    assert few["count"].sum() == values["count"].sum()
    assert few.filter(pl.col("token").is_null())["count"].to_list() == [9]
    assert few.height <= 1_002
    exact, near = (quantile_edges(frame, 20) for frame in (values, few))
    assert np.allclose(exact, near, atol=0.01)


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [(["0,5", "-1,25", "1.234,5", "7"], [0.5, -1.25, 1234.5, 7.0]), (["1.000.000,0", "2,0", "3", "4"], [1e6, 2, 3, 4])],
)
def test_a_comma_may_stand_before_the_fraction(texts: list[str], numbers: list[float]) -> None:
    encoder = fitted(Field(name="f", kind="numeric", decimal=","), pl.Series(texts))
    assert ids(encoder, pl.Series(texts)) == ids(encoder, pl.Series(numbers))
    assert len(set(ids(encoder, pl.Series(numbers)))) == 4
