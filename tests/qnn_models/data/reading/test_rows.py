"""New rows to predict on: read by header, encoded with the stored vocabularies."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import torch

from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.reading.rows import read_rows
from qnn_models.data.registry import prepare
from tests.qnn_models.data_files import CRITEO_COLUMNS, criteo_rows, write_criteo_raw


@pytest.fixture
def dataset(tmp_path: Path) -> EncodedDataset:
    return prepare(
        "criteo", source=write_criteo_raw(tmp_path / "raw", criteo_rows(300)), cache_dir=tmp_path, progress=False
    )


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_rows_of_every_format_get_the_ids_of_the_data_set(dataset: EncodedDataset, tmp_path: Path, suffix: str) -> None:
    names = CRITEO_COLUMNS[1:]
    rows = [row[1:] for row in criteo_rows(300)]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row").select(
        [*names[::-1], pl.lit("x").alias("more")]
    )
    path = tmp_path / f"new{suffix}"
    match suffix:
        case ".parquet":
            numbers = [pl.col(f"I{n}").replace("", None).cast(pl.Int64) for n in range(1, 14)]
            frame.with_columns(numbers).write_parquet(path)
        case _:
            frame.write_csv(path, separator="\t" if suffix == ".tsv" else ",")
    (chunk,) = read_rows(path, schema=dataset.encoder.schema)
    ids = dataset.encoder.encode_tensor(chunk.frame())
    assert sorted(ids.tolist()) == sorted(
        torch.cat([dataset.split(s).ids for s in ("train", "valid", "test")]).tolist()
    )


def test_what_is_wrong_with_new_rows_is_named(dataset: EncodedDataset, tmp_path: Path) -> None:
    schema = dataset.encoder.schema
    with pytest.raises(ValueError, match=r"absent\.csv is none"):
        next(read_rows(tmp_path / "absent.csv", schema=schema))
    path = tmp_path / "new.csv"
    path.write_text(",".join(CRITEO_COLUMNS[1:-1]) + "\n")
    with pytest.raises(ValueError, match=r"new\.csv: a column of the schema is missing, however: 'C26'"):
        next(read_rows(path, schema=schema))
    path.write_text(",".join(CRITEO_COLUMNS[1:]) + "\nmany" + "," * 38 + "\n")
    with pytest.raises(ValueError, match=r"new\.csv:2: a numeric field must hold a finite number.*I1='many'"):
        next(read_rows(path, schema=schema))


def test_unknown_tokens_are_out_of_vocabulary(dataset: EncodedDataset) -> None:
    row = pl.DataFrame({name: ["unseen" if name.startswith("C") else "77777777"] for name in CRITEO_COLUMNS[1:]})
    assert dataset.encoder.encode_tensor(row).tolist() == [[1] * 39]
