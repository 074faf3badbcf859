"""Predictions of a file's rows: those of the model on the encoded rows, in order, streamed, whole or absent."""

from __future__ import annotations

import gzip
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from qnn_models.data.planted import planted_dataset
from qnn_models.data.reading import readers
from qnn_models.data.registry import prepare
from qnn_models.models.registry import build
from qnn_models.serving.predict import COLUMN, predict_file, predictions
from qnn_models.serving.trained import TrainedModel, load_trained, save_trained
from tests.qnn_models.data_files import ml100k_ratings, write_recbole


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainedModel, pl.DataFrame, torch.Tensor]:
    """A model on planted data, rows as text, and their probabilities by the model's own forward pass."""
    folder = tmp_path_factory.mktemp("run")
    dataset = planted_dataset(rows=(20, 20, 300)).dataset
    model = build("qnn-alpha", dataset.layout, seed=1, embedding_dim=4).eval()
    with torch.no_grad():
        model.embedding.weight.normal_(generator=torch.Generator().manual_seed(0))
        ids = dataset.split("test").ids
        expected = model(ids).sigmoid()
    save_trained(
        folder,
        model,
        dataset,
        name="qnn-alpha",
        options={"embedding_dim": 4},
        split_seed=0,
        report={"dataset": "planted"},
    )
    return load_trained(folder), dataset.encoder.decode(ids), expected


def probabilities(trained: TrainedModel, path: Path) -> list[pl.Series]:
    return [part[COLUMN] for part in predictions(trained, [path])]


def read(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path)


@pytest.mark.parametrize("source", [".csv", ".tsv", ".parquet", ".jsonl", ".csv.gz"])
@pytest.mark.parametrize("target", [".csv", ".parquet"])
def test_every_row_gets_the_models_probability(planted: Any, tmp_path: Path, source: str, target: str) -> None:
    trained, rows, expected = planted
    path = tmp_path / f"rows{source}"
    shuffled = rows.select(pl.lit("ignored").alias("other"), *reversed(rows.columns))
    if source == ".parquet":
        shuffled.write_parquet(path)
    elif source == ".jsonl":
        shuffled.write_ndjson(path)
    elif source == ".csv.gz":
        path.write_bytes(gzip.compress(shuffled.write_csv().encode()))
    else:
        shuffled.write_csv(path, separator="\t" if source == ".tsv" else ",")
    seen: list[int] = []
    assert predict_file(trained, path, tmp_path / f"out{target}", progress=seen.append) == 300
    assert sum(seen) == 300
    found = read(tmp_path / f"out{target}")
    assert found.columns == ["probability"]
    torch.testing.assert_close(torch.tensor(found["probability"].to_list()), expected, rtol=1e-5, atol=1e-6)


def test_files_are_streamed(planted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained, rows, expected = planted
    rows.write_csv(tmp_path / "rows.csv")
    monkeypatch.setattr(readers, "BLOCK_BYTES", 500)
    parts = probabilities(trained, tmp_path / "rows.csv")
    assert len(parts) > 3
    torch.testing.assert_close(torch.tensor(pl.concat(parts).to_list()), expected, rtol=1e-5, atol=1e-6)


def test_unknown_tokens_are_out_of_vocabulary(planted: Any, tmp_path: Path) -> None:
    trained, rows, _ = planted
    rows[:2].with_columns(f3=pl.lit("never seen")).write_csv(tmp_path / "rows.csv")
    (found,) = probabilities(trained, tmp_path / "rows.csv")
    ids = torch.tensor([[int(token) + 2 for token in row] for row in rows[:2].rows()])
    ids[:, 3] = 1
    with torch.no_grad():
        torch.testing.assert_close(torch.tensor(found.to_list()), trained.model(ids).sigmoid())


def test_sequences_and_numbers_go_through_the_stored_encoder(tmp_path: Path) -> None:
    dataset = prepare(
        "ml-100k",
        source=write_recbole(tmp_path / "raw", ml100k_ratings(200)),
        cache_dir=tmp_path / "cache",
        progress=False,
    )
    model = build("lr", dataset.layout, seed=0).eval()
    with torch.no_grad():
        model.embedding.weight.normal_(generator=torch.Generator().manual_seed(0))
    save_trained(tmp_path / "run", model, dataset, name="lr", options={}, split_seed=0, report={})
    ids = dataset.split("test").ids
    rows = dataset.encoder.decode(ids)
    rows.write_parquet(tmp_path / "rows.parquet")
    (found,) = probabilities(load_trained(tmp_path / "run"), tmp_path / "rows.parquet")
    with torch.no_grad():
        torch.testing.assert_close(torch.tensor(found.to_list()), model(ids).sigmoid())


def test_a_bad_row_leaves_what_was_there(planted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained, rows, _ = planted
    monkeypatch.setattr(readers, "BLOCK_BYTES", 500)
    text = rows.write_csv()
    (tmp_path / "rows.csv").write_text(text + "1,2,3\n")
    (tmp_path / "out.csv").write_text("before")
    with pytest.raises(ValueError, match=r"rows\.csv:302"):
        predict_file(trained, tmp_path / "rows.csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "rows.csv"]


def test_what_cannot_be_predicted_is_named(planted: Any, tmp_path: Path) -> None:
    trained, rows, _ = planted
    rows.drop("f2").write_csv(tmp_path / "rows.csv")
    with pytest.raises(ValueError, match=r"rows\.csv: a column of the schema is missing, however: 'f2'"):
        predict_file(trained, tmp_path / "rows.csv", tmp_path / "out.csv")
    with pytest.raises(ValueError, match=r"written as \.csv, \.tsv, \.jsonl, \.parquet, however: out\.xlsx"):
        predict_file(trained, tmp_path / "rows.csv", tmp_path / "out.xlsx")
    with pytest.raises(ValueError, match=r"a file of their own"):
        predict_file(trained, tmp_path / "rows.csv", tmp_path / "rows.csv")
    with pytest.raises(ValueError, match=r"gone\.csv is none"):
        predict_file(trained, tmp_path / "gone.csv", tmp_path / "out.csv")
    other = planted_dataset(rows=(20, 20, 20), vocabulary_sizes=(3,) * 6).dataset.encoder
    saved = trained.vocabulary.read_bytes()
    try:
        other.save(trained.vocabulary)
        with pytest.raises(ValueError, match="must be the encoder of the model beside it"):
            predict_file(trained, tmp_path / "rows.csv", tmp_path / "out.csv")
    finally:
        trained.vocabulary.write_bytes(saved)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_a_file_without_rows_gives_a_header(planted: Any, tmp_path: Path) -> None:
    trained, rows, _ = planted
    rows[:0].write_csv(tmp_path / "rows.csv")
    assert predict_file(trained, tmp_path / "rows.csv", tmp_path / "out.csv") == 0
    assert (tmp_path / "out.csv").read_text() == "probability\n"


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_columns_are_carried_along_as_they_are(planted: Any, tmp_path: Path, suffix: str) -> None:
    trained, rows, expected = planted
    carried = [f"row {n}, of many" for n in range(300)]
    rows.with_columns(pl.Series("id", carried)).write_csv(tmp_path / "rows.csv")
    out = tmp_path / f"out{suffix}"
    predict_file(trained, tmp_path / "rows.csv", out, keep=["id", "f1"])
    readers_ = {".csv": pl.read_csv, ".jsonl": pl.read_ndjson, ".parquet": pl.read_parquet}
    found = pl.read_csv(out, separator="\t") if suffix == ".tsv" else readers_[suffix](out)
    assert found.columns == ["id", "f1", "probability"]
    assert found["id"].to_list() == carried
    assert found["f1"].cast(pl.String).to_list() == rows["f1"].to_list()
    torch.testing.assert_close(torch.tensor(found["probability"].to_list()), expected, rtol=1e-5, atol=1e-6)


def test_several_files_are_one_table(planted: Any, tmp_path: Path) -> None:
    trained, rows, expected = planted
    rows[:100].write_csv(tmp_path / "a.csv")
    rows[100:].write_parquet(tmp_path / "b.parquet")
    assert predict_file(trained, [tmp_path / "a.csv", tmp_path / "b.parquet"], tmp_path / "out.csv") == 300
    found = torch.tensor(read(tmp_path / "out.csv")["probability"].to_list())
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_ids_that_a_library_made_floats_of_are_still_known(planted: Any, tmp_path: Path) -> None:
    trained, rows, expected = planted
    rows.with_columns(pl.all().cast(pl.Float64)).write_csv(tmp_path / "rows.csv")
    predict_file(trained, tmp_path / "rows.csv", tmp_path / "out.csv")
    found = torch.tensor(read(tmp_path / "out.csv")["probability"].to_list())
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_far_more_unknown_tokens_than_in_validation_are_a_warning(
    planted: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trained, rows, _ = planted
    trained = replace(trained, report={"valid_oov": dict.fromkeys(rows.columns, 0.02)})
    rows.write_csv(tmp_path / "rows.csv")
    with caplog.at_level(logging.WARNING):
        predict_file(trained, tmp_path / "rows.csv", tmp_path / "out.csv")
        assert not caplog.records
        rows.with_columns(("id-" + pl.col("f2")).alias("f2")).write_csv(tmp_path / "rows.csv")
        predict_file(trained, tmp_path / "rows.csv", tmp_path / "out.csv")
    assert [record.getMessage() for record in caplog.records] == [
        "f2: 100.0% of the tokens are out of vocabulary, 2.0% in the validation rows: are they written as they were in training?"
    ]


def test_an_optional_column_may_be_absent(planted: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _, rows, _ = planted
    dataset = planted_dataset(rows=(20, 20, 300)).dataset
    schema = dataset.encoder.schema
    fields = tuple(replace(field, optional=field.name == "f2") for field in schema.fields)
    dataset.encoder.schema = replace(schema, fields=fields)
    model = build("lr", dataset.layout, seed=1).eval()
    save_trained(tmp_path / "run", model, dataset, name="lr", options={}, split_seed=0, report={})
    trained = load_trained(tmp_path / "run")
    rows.with_columns(pl.lit(None, dtype=pl.String).alias("f2")).write_csv(tmp_path / "with.csv")
    rows.drop("f2").write_csv(tmp_path / "without.csv")
    with caplog.at_level(logging.WARNING):
        found = probabilities(trained, tmp_path / "without.csv")
    assert "without.csv has no column f2; taken as missing" in caplog.text
    assert pl.concat(found).to_list() == pl.concat(probabilities(trained, tmp_path / "with.csv")).to_list()
    rows.drop("f3").write_csv(tmp_path / "other.csv")
    with pytest.raises(ValueError, match="a column of the schema is missing, however: 'f3'"):
        probabilities(trained, tmp_path / "other.csv")
