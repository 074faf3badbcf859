"""Answers to requests: a scorer against a frame of one row, encoded and scored as a script would, and against the bare model."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from qnn_models.bench.baseline import columns
from qnn_models.bench.shapes import Shape
from qnn_models.bench.sides import seconds
from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.encoding.encoder import Encoder
from qnn_models.data.layout import RESERVED_IDS
from qnn_models.data.schema import Field, Label, Schema
from qnn_models.evaluation.evaluate import slices
from qnn_models.serving.inference import for_inference
from qnn_models.serving.scorer import Scorer, load_scorer
from qnn_models.serving.trained import save_trained

__all__ = ["frame_of_rows", "one_row"]

_REQUESTS = 200
_BATCH_ROWS = 4096

Pair = tuple[Callable[[], float], Callable[[], float]]


def one_row(shape: Shape, *, threads: int, share: float) -> Pair:
    """µs of a request of one row, at a quantile, while so many threads ask at once: a dictionary, or a frame of one row.

    Args:
        shape: of data and network.
        threads: that ask.
        share: of the requests that take no longer.
    """
    scorer, rows = _served(shape, _REQUESTS)
    requests = rows.to_dicts()
    network, encoder = shape.plain().eval(), scorer.encoder

    def by_frame(row: dict[str, Any]) -> float:
        ids = encoder.encode_tensor(pl.DataFrame([row], schema=rows.schema))
        with torch.inference_mode():
            return float(network(columns(ids, shape.layout.lengths)))

    def timed(answer: Callable[[dict[str, Any]], object]) -> float:
        def ask(_: int) -> list[float]:
            times = []
            for row in requests:
                start = time.perf_counter()
                answer(row)
                times.append(time.perf_counter() - start)
            return times

        with ThreadPoolExecutor(threads) as pool:
            return float(np.quantile(np.concatenate(list(pool.map(ask, range(threads)))), share) * 1e6)

    return lambda: timed(scorer), lambda: timed(by_frame)


def frame_of_rows(shape: Shape, rows: int) -> Pair:
    """µs of a frame of so many rows through the scorer, and of their ids through the bare model that serves it."""
    scorer, frame = _served(shape, rows)
    split, model = shape.split(rows, "requests"), for_inference(shape.ours().eval())

    def bare() -> None:
        with torch.inference_mode():
            for batch in slices(split, _BATCH_ROWS):
                model(batch.ids).sigmoid()

    return lambda: seconds(lambda: scorer(frame), "cpu") * 1e6, lambda: seconds(bare, "cpu") * 1e6


def _served(shape: Shape, rows: int) -> tuple[Scorer, pl.DataFrame]:
    """A scorer of the shape's network, and rows as a request has them; a sequence is one of a few hundred, as genres are."""
    layout = shape.layout
    fields = tuple(
        Field(name=name, kind="sequence", separator="|", max_length=length) if length > 1 else Field(name=name)
        for name, length in zip(layout.names, layout.lengths, strict=True)
    )
    vocabularies = [
        pl.Series([str(number) for number in range(size - RESERVED_IDS)]) for size in layout.vocabulary_sizes
    ]
    encoder = Encoder(Schema(name=shape.name, label=Label(column="click"), fields=fields), vocabularies)
    dataset = EncodedDataset(shape.name, encoder=encoder, content_hash="", rows={}, splits={})
    options: dict[str, Any] = {"embedding_dim": shape.embedding_dim, "layers": shape.layers, "rows": shape.rows}
    options |= {"dropout": shape.dropout, "batch_norm": shape.batch_norm}
    with tempfile.TemporaryDirectory() as folder:
        save_trained(Path(folder), shape.ours(), dataset, name="qnn-alpha", options=options, split_seed=0, report={})
        scorer = load_scorer(folder)
    ids = shape.split(rows, "requests").ids
    few = torch.arange(rows).remainder(200)
    for start, length in zip(np.cumsum([0, *layout.lengths]).tolist(), layout.lengths, strict=False):
        if length > 1:
            ids[:, start : start + length] = ids[few, start : start + length]
    return scorer, encoder.decode(ids)
