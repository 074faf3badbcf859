"""Answers to requests: a trained run as a function from rows of Python values, or frames, to probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from qnn_models.data.encoding.encoder import Encoder
from qnn_models.data.encoding.frames import column_names, columns_of_frame
from qnn_models.data.encoding.one_row import RowEncoder
from qnn_models.models.network import QNNAlphaNetwork
from qnn_models.serving.inference import WeightType, for_inference
from qnn_models.serving.trained import TrainedModel, load_trained

__all__ = ["Scorer", "load_scorer"]

_BATCH_ROWS = 4096


class Scorer:
    """Probabilities of rows, by a trained model and its own encoder; made by `load_scorer`.

    It holds no state that a call changes, so threads may share one.

    Args:
        trained: the run.
        weights: see `load_scorer`.

    Attributes:
        trained: the run.
        encoder: from rows to ids.
    """

    def __init__(self, trained: TrainedModel, *, weights: WeightType = "float32") -> None:
        self.trained = trained
        self.encoder = Encoder.load(trained.vocabulary)
        if self.encoder.layout != trained.layout:
            raise ValueError(
                f"{trained.vocabulary} must be the encoder of the model beside it, however: its fields differ."
            )
        self._encode_row = RowEncoder(self.encoder)
        self._model = _served(trained, weights)
        with torch.inference_mode():  # loops are compiled, and threads started, before the first request
            for rows in (1, 2):
                self._model(torch.zeros(rows, self.encoder.layout.columns, dtype=torch.int32))

    def __repr__(self) -> str:
        return f"Scorer({self.trained.name!r} on {self.trained.dataset!r}, fields={list(self.trained.layout.names)})"

    @overload
    def __call__(self, rows: Mapping[str, Any]) -> float: ...
    @overload
    def __call__(self, rows: Any) -> NDArray[np.float32]: ...
    def __call__(self, rows: Any) -> float | NDArray[np.float32]:
        """P(label = 1): a number for one row, an array, shape (rows,), for several.

        Args:
            rows: a dictionary from field to value, a list of them, or a frame (polars, pandas, pyarrow, or what speaks Arrow)
                with a column for each field. Values are what they were in training: texts, numbers, truth values, dates, and
                for a sequence a list or a text with its separators; None, NaN and null are missing. What is new is out of
                vocabulary. Further keys and columns are ignored.

        Raises:
            ValueError: a field is absent or holds what it cannot; says which.
            TypeError: the rows come as something else.
        """
        if isinstance(rows, Mapping) and column_names(rows) is None:
            ids = torch.tensor([self._encode_row(rows)], dtype=torch.int32)
            with torch.inference_mode():
                return float(self._model(ids).sigmoid())
        ids = self.encode(rows)
        out = np.empty(len(ids), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(ids), _BATCH_ROWS):
                out[start : start + _BATCH_ROWS] = self._model(ids[start : start + _BATCH_ROWS]).sigmoid().numpy()
        return out

    def encode(self, rows: Any) -> torch.Tensor:
        """Ids of several rows, int32, shape (rows, columns); see `__call__`."""
        if isinstance(rows, list | tuple):
            others = {type(row).__name__ for row in rows if not isinstance(row, Mapping)}
            if others:
                raise TypeError(f"rows come as dictionaries, however: {', '.join(sorted(others))} among them")
            made = [self._encode_row(row) for row in rows]
            return torch.tensor(made, dtype=torch.int32).reshape(len(made), self.encoder.layout.columns)
        if isinstance(rows, str | Path):
            raise TypeError(f"rows come as values, however: {rows!r} may be a file's name; qnn predict reads files")
        if column_names(rows) is None:
            raise TypeError(
                f"rows come as a dictionary, a list of them, or a frame, however: {type(rows).__name__}; give row.to_dict() for "
                "a row of a frame, and names to an array's columns"
            )
        return torch.from_numpy(self._encode_row.encode_columns(columns_of_frame(rows, self.encoder.schema)))


def load_scorer(run: str | Path, *, weights: WeightType = "float32") -> Scorer:
    """A trained run as a function from rows to probabilities.

    Args:
        run: a folder that `qnn train --out` or `CTRClassifier.save` wrote.
        weights: ``float32``; for QNN-α also ``bfloat16`` or ``int8``, see `qnn_models.for_inference`.

    Raises:
        FileNotFoundError: the folder holds no trained model.
        ValueError: a file of it is damaged or missing, or the model cannot have such weights.

    Example:
        >>> score = load_scorer("run")                                   # doctest: +SKIP
        >>> score({"user_id": 196, "item_id": 242, "genres": ["Comedy"]})  # doctest: +SKIP
        0.7312
    """
    return Scorer(load_trained(Path(run)), weights=weights)


def _served(trained: TrainedModel, weights: WeightType) -> nn.Module:
    model = trained.model
    if isinstance(model, QNNAlphaNetwork):
        try:
            return for_inference(model, weights=weights)
        except ValueError:
            if weights != "float32":
                raise
    elif weights != "float32":
        raise ValueError(
            f"QNN-α has weights in bfloat16 or int8, however: {trained.name} with weights={weights!r}; leave weights out"
        )
    return model.eval().requires_grad_(False)
