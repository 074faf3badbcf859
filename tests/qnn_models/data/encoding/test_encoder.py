"""Tokens, vocabularies and ids, against rules written out in plain Python."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qnn_models.data.encoding.encoder import Encoder, VocabularyCounter
from qnn_models.data.reading.columns import column_of_series
from qnn_models.data.schema import Field, Label, Schema


def _schema(*fields: Field) -> Schema:
    return Schema(name="test", label=Label(column="label"), fields=fields)


def _fit(schema: Schema, *chunks: dict[str, list[object]]) -> Encoder:
    counter = VocabularyCounter(schema)
    for chunk in chunks:
        columns = {
            name: column_of_series(pl.Series([*values, "left out"], dtype=pl.String)) for name, values in chunk.items()
        }
        rows = len(next(iter(columns.values())))
        counter.add(columns, np.arange(rows) < rows - 1)
    return counter.encoder()


def _ids(encoder: Encoder, field: str, values: list[object]) -> list[int]:
    frame = pl.DataFrame({name: values if name == field else [None] * len(values) for name in encoder.layout.names})
    return encoder.encode_tensor(frame)[:, encoder.layout.names.index(field)].tolist()


words = st.lists(st.one_of(st.none(), st.text(st.sampled_from("ab"), max_size=2)), min_size=1, max_size=30)


@given(words, words, st.integers(1, 3), st.sampled_from(["oov", "own"]))
def test_categorical_ids_follow_frequency_then_text(
    seen: list[str | None], new: list[str | None], min_count: int, missing: str
) -> None:
    schema = _schema(Field(name="f", min_count=min_count, missing=missing))  # type: ignore[arg-type]
    half = len(seen) // 2
    encoder = _fit(schema, {"f": seen[:half]}, {"f": seen[half:]})

    counts = Counter(word or "" for word in seen)
    if missing == "oov":
        counts.pop("", None)
    kept = sorted((word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w))
    expected = {word: 2 + number for number, word in enumerate(kept)}
    assert encoder.layout.vocabulary_sizes == (2 + len(kept),)
    assert _ids(encoder, "f", list(new)) == [expected.get(word or "", 1) for word in new]


def _log2square(x: float) -> int:
    return math.floor(math.log(x) ** 2) if x > 2 else int(x)


def _edges(x: float) -> int | None:
    return next((k for k, (low, high) in enumerate([(0, 10), (10, 20), (20, 95)]) if low < x <= high), None)


numbers = st.one_of(st.integers(-50, 300_000).map(float), st.floats(-1e6, 1e6, allow_nan=False))


@pytest.mark.parametrize(
    ("bucket", "rule", "edges"),
    [("log2square", _log2square, ()), ("integer", int, ()), ("edges", _edges, (0, 10, 20, 95))],
)
@given(st.lists(numbers, min_size=1, max_size=30))
def test_numbers_fall_into_their_buckets(bucket: str, rule, edges, values: list[float]) -> None:  # type: ignore[no-untyped-def]
    schema = _schema(Field(name="n", kind="numeric", bucket=bucket, edges=edges, missing="own"))  # type: ignore[arg-type]
    encoder = _fit(schema, {"n": [repr(value) for value in values] + [""]})
    tokens = encoder.vocabularies[0].to_list()
    ids = _ids(encoder, "n", [repr(value) for value in values] + [None])
    buckets = [rule(value) for value in values] + [None]
    assert [tokens[i - 2] for i in ids] == ["" if bucket is None else str(bucket) for bucket in buckets]


def test_numbers_as_numbers_and_as_text_agree() -> None:
    schema = _schema(Field(name="n", kind="numeric", bucket="log2square"))
    encoder = _fit(schema, {"n": ["5", "100", "1"]})
    frame = pl.DataFrame({"n": [5.0, 100.0, 1.0, float("nan"), 7e9]})
    assert encoder.encode_tensor(frame)[:, 0].tolist() == [*_ids(encoder, "n", ["5", "100", "1"]), 1, 1]


def test_sequences_are_cut_padded_and_cleaned() -> None:
    schema = _schema(Field(name="s", kind="sequence", max_length=3, separator="|^", min_count=2))
    encoder = _fit(schema, {"s": ["a|b", "a^b|a", "c", "", None, "a||b|d|d|d"]})
    # The fourth token of a row is cut off before tokens are counted, so d is seen once.
    assert encoder.vocabularies[0].to_list() == ["a", "b"]
    frame = pl.DataFrame({"s": ["b|a", "", None, "z|a", "a|a|a|b", "||b"]})
    assert encoder.encode_tensor(frame).tolist() == [[3, 2, 0], [0, 0, 0], [0, 0, 0], [1, 2, 0], [2, 2, 2], [3, 0, 0]]
    listed = pl.DataFrame({"s": [["b", "a"], [], None, ["z", "a"], ["a", "a", "a", "b"], ["b"]]})
    assert encoder.encode_tensor(listed).equal(encoder.encode_tensor(frame))


def test_prefix_keeps_the_start_of_a_text() -> None:
    encoder = _fit(_schema(Field(name="isrc", prefix=2)), {"isrc": ["TWA1", "TWB2", "US9"]})
    assert encoder.vocabularies[0].to_list() == ["TW", "US"]
    assert _ids(encoder, "isrc", ["TW", "USX", "GB"]) == [2, 3, 1]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.sampled_from("xyz"), max_size=3)), min_size=1, max_size=20)
)
def test_decoding_undoes_encoding(rows: list[tuple[str, list[str]]]) -> None:
    schema = _schema(Field(name="f"), Field(name="s", kind="sequence", max_length=3, separator="|"))
    frame = pl.DataFrame({"f": [row[0] for row in rows], "s": ["|".join(row[1]) for row in rows]})
    encoder = _fit(schema, frame.to_dict(as_series=False))
    ids = encoder.encode_tensor(frame)
    assert ids.dtype == torch.int32
    assert ids.shape == (len(rows), 4)
    assert encoder.decode(ids).rows() == rows
    assert encoder.decode(torch.ones_like(ids))["f"].to_list() == [None] * len(rows)


def test_an_encoder_survives_storing(tmp_path: Path) -> None:
    number = Field(name="n", kind="numeric", bucket="log2square", missing="own")
    schema = _schema(Field(name="f"), Field(name="empty"), number)
    encoder = _fit(schema, {"f": ["b", "a", "b"], "empty": [None] * 3, "n": ["1", None, "3"]})
    encoder.save(tmp_path / "vocabulary.parquet")
    again = Encoder.load(tmp_path / "vocabulary.parquet")
    assert again.schema == schema
    assert again.layout == encoder.layout
    assert [tokens.to_list() for tokens in again.vocabularies] == [["b", "a"], [], ["1", ""]]  # 3 is in the bucket of 1
    frame = pl.DataFrame({"f": ["a"], "empty": ["x"], "n": [None]})
    assert again.encode_tensor(frame).tolist() == [[3, 1, 3]]


def test_another_file_is_no_encoder(tmp_path: Path) -> None:
    pl.DataFrame({"field": ["f"], "token": ["a"]}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="must be an encoder's file"):
        Encoder.load(tmp_path / "other.parquet")


def test_rows_without_a_field_are_refused() -> None:
    encoder = _fit(_schema(Field(name="f"), Field(name="g")), {"f": ["a"], "g": ["b"]})
    with pytest.raises(ValueError, match=r"column for each field.*g absent from \['f'\]"):
        encoder.encode_tensor(pl.DataFrame({"f": ["a"]}))


def test_many_chunks_count_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qnn_models.data.encoding.encoder._MERGE_ROWS", 3)
    schema = _schema(Field(name="f", min_count=2))
    chunks = [[str(i % 7), str(i % 5), "x"] for i in range(40)]
    merged = _fit(schema, *({"f": chunk} for chunk in chunks))
    whole = _fit(schema, {"f": [word for chunk in chunks for word in chunk]})
    assert merged.vocabularies[0].to_list() == whole.vocabularies[0].to_list()
