"""A trained model as one file that needs none of this package: a `torch.export` program (.pt2) or an ONNX graph."""

from __future__ import annotations

import copy
import io
import json
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, assert_never, get_args

import torch
from torch import Tensor, nn

from qnn_models.layers.layer import QuadraticLayer
from qnn_models.models.network import CTRModel, QNNAlphaNetwork
from qnn_models.runtime.whole_file import appearing
from qnn_models.serving.inference import for_inference
from qnn_theory.grammar.expr import Activation, walk

__all__ = ["DESCRIPTION", "SUFFIXES", "TOLERANCE", "ExportFormat", "Exported", "description", "export"]

ExportFormat: TypeAlias = Literal["torch", "onnx"]

TOLERANCE = 1e-4
"""Largest difference from the model's own logits, relative to the largest of these (or to 1, where they are smaller)."""

SUFFIXES: Mapping[ExportFormat, str] = {"torch": ".pt2", "onnx": ".onnx"}

DESCRIPTION = "qnn.json"
"""Key of the description inside the file: an extra file of the program, a metadata property of the ONNX graph."""

_CHECKED_BATCHES = (1, 7, 256)
_EXAMPLE_ROWS = 3  # neither 0 nor 1, which torch.export takes for constants


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A written file and how well it does.

    Attributes:
        path: the file.
        size_bytes: its size.
        difference: largest absolute difference of its logits from the model's, on random rows in batches of several sizes.
        rows: number of these rows.
    """

    path: Path
    size_bytes: int
    difference: float
    rows: int


def export(model: CTRModel, path: Path, *, format: ExportFormat = "torch", seed: int = 0) -> Exported:
    """Write a model as one self-contained file, read it again and compare its logits with the model's.

    The file maps ids, int32 of shape ``(batch, columns)`` as the encoder makes them, to logits of shape ``(batch,)``; the
    batch is dynamic. It carries a `description`. QNN-α goes in its serving form, BatchNorm folded.

    Args:
        model: a trained model; it is read in evaluation mode and left as it is.
        path: the file; it appears only once it has passed the check.
        format: ``torch``, to be read with `torch.export.load`; or ``onnx``, for any ONNX runtime.
        seed: seed of the random rows of the check.

    Raises:
        ValueError: an unknown format, or logits that differ by more than `TOLERANCE`; nothing is left behind.
        ImportError: the ONNX libraries, which are optional, are not installed.
    """
    if format not in get_args(ExportFormat):
        raise ValueError(f"A model is exported as {' or '.join(get_args(ExportFormat))}, however: format={format!r}.")
    served = serving_form(model)
    example = random_ids(model, rows=_EXAMPLE_ROWS, seed=seed)
    with appearing(path, suffix=SUFFIXES[format]) as temporary, _quiet():
        match format:
            case "torch":
                _write_program(served, example, temporary, description(model))
                run = _read_program(temporary)
            case "onnx":
                _write_onnx(served, example, temporary, description(model))
                run = _read_onnx(temporary)
            case _:
                assert_never(format)
        difference = _compare(model, run, seed=seed)
    return Exported(path=path, size_bytes=path.stat().st_size, difference=difference, rows=sum(_CHECKED_BATCHES))


def serving_form(model: CTRModel) -> nn.Module:
    """A copy on the CPU in evaluation mode; for QNN-α its serving form, where there is one."""
    twin = copy.deepcopy(model).cpu().eval()
    if isinstance(twin, QNNAlphaNetwork):
        layers = [module for module in twin.modules() if isinstance(module, QuadraticLayer)]
        kinds = {node.kind for layer in layers for node in walk(layer.format.expr) if isinstance(node, Activation)}
        if kinds <= {"relu"}:
            return for_inference(twin)
    return twin


def description(model: CTRModel) -> dict[str, Any]:
    """What a caller must know of the input, as JSON values: the fields in order, their columns and numbers of ids."""
    embedding = model.embedding
    return {
        "input": "ids: int32, shape (batch, columns); ids are local to their field, 0 is padding, 1 is out of vocabulary",
        "output": "logits: float32, shape (batch,); the probability of a click is their sigmoid",
        "fields": [
            {"name": name, "columns": length, "ids": size}
            for name, length, size in zip(embedding.names, embedding.lengths, embedding.vocabulary_sizes, strict=True)
        ],
    }


def random_ids(model: CTRModel, *, rows: int, seed: int) -> Tensor:
    """Uniform ids of a model's fields, int32, shape (rows, columns)."""
    generator = torch.Generator().manual_seed(seed)
    embedding = model.embedding
    columns = [
        torch.randint(size, (rows, length), generator=generator, dtype=torch.int32)
        for size, length in zip(embedding.vocabulary_sizes, embedding.lengths, strict=True)
    ]
    return torch.cat(columns, dim=1)


def _write_program(module: nn.Module, example: Tensor, path: Path, about: Mapping[str, Any]) -> None:
    with torch.no_grad():
        program = torch.export.export(module, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    content = io.BytesIO()  # torch's own writer turns a disk that is full into an error of its own
    torch.export.save(program, content, extra_files={DESCRIPTION: json.dumps(about)})
    path.write_bytes(content.getbuffer())


def _read_program(path: Path) -> Callable[[Tensor], Tensor]:
    return torch.export.load(path).module()


def _write_onnx(module: nn.Module, example: Tensor, path: Path, about: Mapping[str, Any]) -> None:
    _import_onnx()
    with torch.no_grad():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=["ids"],
            output_names=["logits"],
            verbose=False,
        )
    if program is None:
        raise ValueError("torch.onnx.export gave no program; use format='torch'.")
    program.model.metadata_props[DESCRIPTION] = json.dumps(about)
    program.save(path, external_data=False)  # one file


def _read_onnx(path: Path) -> Callable[[Tensor], Tensor]:
    session = _import_onnx().InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda ids: torch.from_numpy(session.run(["logits"], {"ids": ids.numpy()})[0])


def _import_onnx() -> Any:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  torch.onnx.export needs it
    except ImportError as error:
        raise ImportError(
            f"ONNX is written with onnx, onnxscript and onnxruntime, however: {error.name} is not installed; "
            "pip install 'qnn-toolkit[export]'."
        ) from error
    return onnxruntime


def _compare(model: CTRModel, run: Callable[[Tensor], Tensor], *, seed: int) -> float:
    """Largest difference from the model's own logits.

    Raises:
        ValueError: it is above the tolerance.
    """
    twin = copy.deepcopy(model).cpu().eval()
    largest = 0.0
    for batch in _CHECKED_BATCHES:
        ids = random_ids(model, rows=batch, seed=seed + batch)
        with torch.no_grad():
            expected, found = twin(ids), run(ids)
        if found.shape != expected.shape:
            raise ValueError(
                f"The exported logits have the model's shape, however: {tuple(found.shape)}, not {tuple(expected.shape)}."
            )
        difference = float((found - expected).abs().max())
        allowed = TOLERANCE * max(1.0, float(expected.abs().max()))
        if math.isnan(difference) or difference > allowed:
            raise ValueError(
                f"The exported logits agree with the model's within {allowed:.2g}, however: they differ by {difference:.2g} "
                f"in a batch of {batch}; nothing was written."
            )
        largest = max(largest, difference)
    return largest


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporters warn of their own future, and of libraries that no model of ours needs."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
