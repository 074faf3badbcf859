"""Probabilities of new rows, from the file of a table to the file of the predictions, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from qnn_models.data.encoding.encoder import Encoder
from qnn_models.data.layout import Split
from qnn_models.data.reading.rows import read_rows
from qnn_models.evaluation.evaluate import predict_logits, slices
from qnn_models.runtime.whole_file import appearing
from qnn_models.serving.trained import TrainedModel

__all__ = ["COLUMN", "predict_file", "probabilities"]

COLUMN = "probability"

_BATCH_ROWS = 4096
_SUFFIXES = (".csv", ".tsv", ".parquet")


def probabilities(trained: TrainedModel, rows: Path, *, device: torch.device | None = None) -> Iterator[pl.Series]:
    """P(label = 1) of the rows of a file, in their order, some rows at a time.

    Ids follow the encoder of the training data: what it has not seen is out of vocabulary.

    Args:
        trained: the model and its encoder.
        rows: CSV, TSV or Parquet with a column for each field; further columns are ignored.
        device: where to compute; the CPU when left out.

    Yields:
        Series named `COLUMN`, float32.

    Raises:
        ValueError: the file or a column is missing, a row is corrupt (with file and line), or the encoder is not the model's.
    """
    encoder = Encoder.load(trained.vocabulary)
    if encoder.layout != trained.layout:
        raise ValueError(
            f"{trained.vocabulary} must be the encoder of the model beside it, however: its fields differ."
        )
    device = device or torch.device("cpu")
    model = trained.model.to(device)
    for chunk in read_rows(rows, schema=encoder.schema):
        ids = torch.from_numpy(np.stack(encoder.encode_columns(chunk.columns), axis=1))
        split = Split(ids, torch.zeros(len(ids)))  # rows to predict on have no labels
        logits = predict_logits(model, slices(split, _BATCH_ROWS), device=device)
        yield pl.Series(COLUMN, logits.sigmoid().numpy())


def predict_file(
    trained: TrainedModel,
    rows: Path,
    out: Path,
    *,
    device: torch.device | None = None,
    progress: Callable[[int], object] = lambda count: None,
) -> int:
    """Write the probabilities of a file's rows as one column `COLUMN`, in their order; the file appears whole or not at all.

    Args:
        trained: the model and its encoder.
        rows: see `probabilities`.
        out: CSV, TSV or Parquet, by suffix.
        device: where to compute.
        progress: called with the number of rows of each part written.

    Returns:
        The number of rows.

    Raises:
        ValueError: see `probabilities`; or `out` has another suffix, or is the file of the rows.
    """
    if out.suffix not in _SUFFIXES:
        raise ValueError(f"Predictions are written as {', '.join(_SUFFIXES)}, however: {out.name}.")
    if out.resolve() == rows.resolve():
        raise ValueError(f"Predictions go into a file of their own, however: {out} holds the rows.")
    write = _write_parquet if out.suffix == ".parquet" else _write_text
    total = 0

    def counted() -> Iterator[pl.Series]:
        nonlocal total
        for part in probabilities(trained, rows, device=device):
            yield part
            total += len(part)
            progress(len(part))

    with appearing(out) as temporary:
        write(temporary, counted())
    return total


def _write_text(path: Path, parts: Iterator[pl.Series]) -> None:
    with path.open("wb") as file:
        file.write(f"{COLUMN}\n".encode())
        for part in parts:
            # Written by Python, whose error tells of a full disk.
            file.write(part.to_frame().write_csv(include_header=False).encode())


def _write_parquet(path: Path, parts: Iterator[pl.Series]) -> None:
    schema = pa.schema([(COLUMN, pa.float32())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for part in parts:
            writer.write_table(pa.table({COLUMN: part.to_arrow()}, schema=schema))
