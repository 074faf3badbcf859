"""Probabilities of new rows, from the files of a table to the file of the predictions, in bounded memory."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from qnn_models.data.encoding.encoder import Encoder
from qnn_models.data.layout import OOV_ID, PADDING_ID, FieldLayout, Split
from qnn_models.data.reading.rows import read_rows
from qnn_models.evaluation.evaluate import predict_logits, slices
from qnn_models.runtime.whole_file import appearing
from qnn_models.serving.trained import TrainedModel

__all__ = ["COLUMN", "UnknownTokens", "predict_file", "predictions"]

COLUMN = "probability"

_BATCH_ROWS = 4096
_FAR_ABOVE = 0.1
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class UnknownTokens:
    """How many tokens of each field are out of vocabulary.

    Attributes:
        layout: the fields.
        tokens: seen, by field; the padding of a sequence is none.
        unknown: of these, out of vocabulary.
    """

    layout: FieldLayout
    tokens: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    def add(self, ids: np.ndarray) -> None:
        """Count encoded rows, shape (rows, columns)."""
        start = 0
        for name, length in zip(self.layout.names, self.layout.lengths, strict=True):
            own = ids[:, start : start + length]
            self.tokens[name] += int(np.count_nonzero(own != PADDING_ID))
            self.unknown[name] += int(np.count_nonzero(own == OOV_ID))
            start += length

    def shares(self) -> dict[str, float]:
        """By field, in [0, 1]."""
        return {name: self.unknown[name] / max(self.tokens[name], 1) for name in self.layout.names}

    def far_above(self, usual: Mapping[str, float]) -> dict[str, tuple[float, float]]:
        """Fields whose share is far above the usual one: (share here, usual share)."""
        return {
            name: (share, usual[name])
            for name, share in self.shares().items()
            if name in usual and share > 2 * usual[name] + _FAR_ABOVE
        }


def predictions(
    trained: TrainedModel,
    rows: Sequence[Path],
    *,
    keep: Sequence[str] = (),
    device: torch.device | None = None,
    unknown: UnknownTokens | None = None,
) -> Iterator[pl.DataFrame]:
    """P(label = 1) of the rows of files, in their order, some rows at a time.

    Ids follow the encoder of the training data: what it has not seen is out of vocabulary.

    Args:
        trained: the model and its encoder.
        rows: delimited text with a header, JSON lines or Parquet, by suffix; text may be compressed. Columns that the model
            does not read are ignored.
        keep: columns of the rows to carry along, as they are.
        device: where to compute; the CPU when left out.
        unknown: counts the tokens that are out of vocabulary.

    Yields:
        The columns kept, and `COLUMN`, float32.

    Raises:
        ValueError: a file or a column is missing, a row is corrupt (with file and line), or the encoder is not the model's.
    """
    encoder = Encoder.load(trained.vocabulary)
    if encoder.layout != trained.layout:
        raise ValueError(
            f"{trained.vocabulary} must be the encoder of the model beside it, however: its fields differ."
        )
    if COLUMN in keep:
        raise ValueError(
            f"The predictions are the column {COLUMN}, however: it is to be kept of the rows too; rename it."
        )
    device = device or torch.device("cpu")
    model = trained.model.to(device)
    for path in rows:
        for chunk in read_rows(path, schema=encoder.schema, keep=keep):
            ids = np.stack(encoder.encode_columns(chunk.columns), axis=1)
            if unknown is not None:
                unknown.add(ids)
            split = Split(torch.from_numpy(ids), torch.zeros(len(ids)))  # rows to predict on have no labels
            logits = predict_logits(model, slices(split, _BATCH_ROWS), device=device)
            carried = {name: chunk.columns[name].rows() for name in keep}
            yield pl.DataFrame({**carried, COLUMN: logits.sigmoid().numpy()})


def predict_file(
    trained: TrainedModel,
    rows: Path | Sequence[Path],
    out: Path,
    *,
    keep: Sequence[str] = (),
    device: torch.device | None = None,
    progress: Callable[[int], object] = lambda count: None,
) -> int:
    """Write the probabilities of the rows of files as a column `COLUMN`, in their order; the file appears whole or not at all.

    Warns, by the module's logger, of each field whose share of tokens out of vocabulary is far above that of the validation rows.

    Args:
        trained: the model and its encoder.
        rows: one file or several; see `predictions`.
        out: CSV, TSV, JSON lines or Parquet, by suffix.
        keep: columns of the rows to carry along.
        device: where to compute.
        progress: called with the number of rows of each part written.

    Returns:
        The number of rows.

    Raises:
        ValueError: see `predictions`; or `out` has another suffix, or is the file of the rows.
    """
    files = [rows] if isinstance(rows, Path) else list(rows)
    if out.suffix not in _WRITERS:
        raise ValueError(f"Predictions are written as {', '.join(_WRITERS)}, however: {out.name}.")
    if out.resolve() in {file.resolve() for file in files}:
        raise ValueError(f"Predictions go into a file of their own, however: {out} holds the rows.")
    write = _WRITERS[out.suffix]
    unknown = UnknownTokens(trained.layout)
    total = 0

    def counted() -> Iterator[pl.DataFrame]:
        nonlocal total
        for part in predictions(trained, files, keep=keep, device=device, unknown=unknown):
            yield part
            total += part.height
            progress(part.height)

    with appearing(out) as temporary:
        write(temporary, counted(), (*keep, COLUMN))
    for name, (share, usual) in unknown.far_above(trained.report.get("valid_oov", {})).items():
        _log.warning(
            "%s: %.1f%% of the tokens are out of vocabulary, %.1f%% in the validation rows: are they written as they were in "
            "training?",
            name,
            100 * share,
            100 * usual,
        )
    return total


def _write_text(path: Path, parts: Iterator[pl.DataFrame], names: Sequence[str], *, separator: str = ",") -> None:
    with path.open("wb") as file:
        header = io.StringIO()
        csv.writer(header, delimiter=separator, lineterminator="\n").writerow(names)
        file.write(header.getvalue().encode())
        for part in parts:
            # Written by Python, whose error tells of a full disk.
            file.write(part.write_csv(include_header=False, separator=separator).encode())


def _write_json_lines(path: Path, parts: Iterator[pl.DataFrame], names: Sequence[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for part in parts:
            file.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in part.iter_rows(named=True))


def _write_parquet(path: Path, parts: Iterator[pl.DataFrame], names: Sequence[str]) -> None:
    schema = pa.schema([*((name, pa.string()) for name in names[:-1]), (COLUMN, pa.float32())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for part in parts:
            writer.write_table(part.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema))


_WRITERS: dict[str, Callable[[Path, Iterator[pl.DataFrame], Sequence[str]], None]] = {
    ".csv": _write_text,
    ".tsv": partial(_write_text, separator="\t"),
    ".jsonl": _write_json_lines,
    ".parquet": _write_parquet,
}
