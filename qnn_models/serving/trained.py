"""A trained model as a folder: weights with all that is needed to build the model again, and the vocabularies of its data.

The file of the weights holds a checksum of itself and one of the vocabularies; both are compared when a model is loaded.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.layout import FieldLayout
from qnn_models.models.network import CTRModel
from qnn_models.models.registry import build
from qnn_models.training.callbacks import write_history
from qnn_models.training.checkpoint import load_model_state, read_checkpoint, write_checkpoint

__all__ = ["TrainedModel", "load_trained", "save_trained"]

MODEL_FILE = "model.safetensors"
VOCABULARY_FILE = "vocabulary.parquet"

_ORIGIN = ("name", "options", "layout", "dataset", "split_seed", "content_hash", "report")
_VOCABULARY_CHECKSUM = "vocabulary_sha256"
_AGAIN = "copy it once more from where it is whole, or make it again with `qnn train --out`"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A model and where it comes from.

    Attributes:
        model: the network, in evaluation mode.
        name: its name in `qnn_models.models.registry`.
        options: its options, as `qnn_models.models.registry.build` takes them.
        layout: the fields it reads.
        dataset: name of the data set it was trained on.
        split_seed: seed of that data set's split.
        content_hash: what the data set held.
        report: settings and metrics of the training, as JSON values.
        vocabulary: Parquet file of the vocabularies, for `qnn_models.data.encoding.encoder.Encoder.load`.
    """

    model: CTRModel
    name: str
    options: Mapping[str, Any]
    layout: FieldLayout
    dataset: str
    split_seed: int
    content_hash: str
    report: Mapping[str, Any]
    vocabulary: Path


def save_trained(
    folder: Path,
    model: CTRModel,
    dataset: EncodedDataset,
    *,
    name: str,
    options: Mapping[str, Any],
    split_seed: int,
    report: Mapping[str, Any],
) -> None:
    """Write a model to a folder; the file of the weights comes last, so a folder that has it is whole.

    Beside them stand the vocabularies and, of a report that has one, the history of the epochs as `history.csv`.

    Args:
        folder: made where it is absent.
        model: built by ``build(name, dataset.layout, **options)``.
        dataset: what it was trained on.
        name: its name in `qnn_models.models.registry`.
        options: its options.
        split_seed: seed of the data set's split.
        report: JSON values to keep beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dataset.encoder.save(folder / VOCABULARY_FILE)
    origin = {
        "name": name,
        "options": dict(options),
        "layout": asdict(dataset.layout),
        "dataset": dataset.name,
        "split_seed": split_seed,
        "content_hash": dataset.content_hash,
        "report": dict(report),
        _VOCABULARY_CHECKSUM: _file_checksum(folder / VOCABULARY_FILE),
    }
    if report.get("history"):
        write_history(folder, report["history"])
    write_checkpoint(folder / MODEL_FILE, model.state_dict(), origin)


def load_trained(folder: str | Path) -> TrainedModel:
    """Read what `save_trained` wrote.

    Raises:
        FileNotFoundError: the folder holds no trained model.
        ValueError: a file of it is damaged, missing, or of another version of the model.
    """
    folder = Path(folder)
    if not (folder / MODEL_FILE).is_file():
        raise FileNotFoundError(
            f"A trained model is a folder with {MODEL_FILE}, however: {folder} has none; make one with `qnn train --out`."
        )
    weights, origin = read_checkpoint(folder / MODEL_FILE, remedy=_AGAIN)
    missing = [key for key in _ORIGIN if key not in origin]
    if missing:
        raise ValueError(
            f"A trained model's file says where it comes from, however: {folder / MODEL_FILE} lacks {', '.join(missing)}; "
            f"name a folder that `qnn train --out` made."
        )
    _check_vocabulary(folder / VOCABULARY_FILE, origin.get(_VOCABULARY_CHECKSUM))
    layout = FieldLayout(*(tuple(origin["layout"][key]) for key in ("names", "vocabulary_sizes", "lengths")))
    model = _built(origin, layout)
    load_model_state(model, weights)
    return TrainedModel(
        model=model.eval(),
        name=origin["name"],
        options=origin["options"],
        layout=layout,
        dataset=origin["dataset"],
        split_seed=origin["split_seed"],
        content_hash=origin["content_hash"],
        report=origin["report"],
        vocabulary=folder / VOCABULARY_FILE,
    )


def _built(origin: Mapping[str, Any], layout: FieldLayout) -> CTRModel:
    try:
        return build(origin["name"], layout, **origin["options"])
    except TypeError as error:
        raise ValueError(
            f"A model is read by the version that wrote it, however: {origin['name']} does not take its options here ({error}); "
            f"train it again."
        ) from error


def _check_vocabulary(path: Path, checksum: str | None) -> None:
    """Refuse vocabularies that are not those the model was saved with: its rows would get other ids, in silence."""
    if not path.is_file():
        raise ValueError(f"A trained model has its vocabularies beside it, however: {path} is missing; {_AGAIN}.")
    if checksum is None:
        _log.warning("%s was written before runs had checksums, so nobody can tell whether it is whole.", path)
    elif _file_checksum(path) != checksum:
        raise ValueError(
            f"The vocabularies of a trained model are those it was saved with, however: {path} is not the file whose checksum "
            f"{MODEL_FILE} holds; {_AGAIN}."
        )


def _file_checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
