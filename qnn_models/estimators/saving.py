"""A fitted classifier as a folder: a run as `qnn train --out` writes it, with what the estimator knows besides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.encoding.encoder import Encoder
from qnn_models.models.network import CTRModel
from qnn_models.serving.trained import load_trained, save_trained
from qnn_models.training.checkpoint import read_checkpoint, write_checkpoint

__all__ = ["Fitted", "read_fitted", "write_fitted"]

OPTIMIZER_FILE = "optimizer.safetensors"
_ESTIMATOR = "estimator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What a fitted classifier is, besides its scikit-learn side.

    Attributes:
        name: of the model.
        options: of the model.
        content_hash: of the rows it learned of last.
        report: settings and figures, as JSON values.
        parameters: the estimator's, as JSON values.
        classes: both.
        feature_names: None where X had none.
        encoder: from rows to ids.
        model: the network.
        optimizer: Adam's state, for rows to come.
    """

    name: str
    options: dict[str, Any]
    content_hash: str
    report: dict[str, Any]
    parameters: dict[str, Any]
    classes: NDArray[Any]
    feature_names: list[str] | None
    encoder: Encoder
    model: CTRModel
    optimizer: dict[str, Tensor]


def write_fitted(folder: Path, fitted: Fitted) -> None:
    """Write the folder.

    Raises:
        ValueError: classes that JSON has not.
    """
    classes = fitted.classes.tolist()
    if not all(isinstance(value, str | int | float | bool) for value in classes):
        raise ValueError(
            f"Classes are stored as texts, numbers or truth values, however: {classes[0]!r} is of type "
            f"{type(classes[0]).__name__}; fit on texts"
        )
    about = {
        "parameters": fitted.parameters,
        "classes": classes,
        "classes_type": fitted.classes.dtype.str,
        "feature_names": fitted.feature_names,
    }
    dataset = EncodedDataset(
        fitted.encoder.schema.name, encoder=fitted.encoder, content_hash=fitted.content_hash, rows={}, splits={}
    )
    write_checkpoint(folder / OPTIMIZER_FILE, fitted.optimizer, {"of": fitted.content_hash})
    save_trained(
        folder,
        fitted.model,
        dataset,
        name=fitted.name,
        options=fitted.options,
        split_seed=0,
        report={**fitted.report, _ESTIMATOR: about},
    )


def read_fitted(folder: Path) -> Fitted:
    """Read what `write_fitted`, or ``qnn train --out``, wrote; a run of the command line has classes 0 and 1.

    Raises:
        FileNotFoundError: the folder holds no trained model.
        ValueError: a file of it is damaged or missing.
    """
    trained = load_trained(folder)
    report = dict(trained.report)
    about = report.pop(_ESTIMATOR, None)
    optimizer: dict[str, Tensor] = {}
    if about is not None:
        optimizer, state = read_checkpoint(folder / OPTIMIZER_FILE, remedy="save the classifier once more")
        if state["of"] != trained.content_hash:
            raise ValueError(f"{folder / OPTIMIZER_FILE} is of the model beside it, however: of another; save it again")
    else:
        about = {
            "parameters": {"model": trained.name, "options": dict(trained.options)},
            "classes": [0, 1],
            "classes_type": "<i8",
            "feature_names": list(trained.layout.names),
        }
    return Fitted(
        name=trained.name,
        options=dict(trained.options),
        content_hash=trained.content_hash,
        report=report,
        parameters=about["parameters"],
        classes=np.array(about["classes"], dtype=np.dtype(about["classes_type"])),
        feature_names=about["feature_names"],
        encoder=Encoder.load(trained.vocabulary),
        model=trained.model,
        optimizer=optimizer,
    )
