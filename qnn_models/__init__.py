"""Quadratic neural networks in torch: layers lowered from the registry's expressions, models, data, training and serving.

Layers and models
    `QuadraticLayer`, `QuadraticStack` and `QNNAlpha` are modules ``(*, dim) -> (*, dim)``; `QuadraticNetwork` and
    `QNNAlphaNetwork` are whole models from ids to logits, as is every `CTRModel`; `build` makes any of `model_names` for the
    fields of a data set, and `FieldEmbedding` is the table that they start with.

Training
    `train` one model by a `TrainConfig`, which a `Callback` hears of, or `train_many` at once; `evaluate` and `predict` give
    metrics and probabilities of a model's encoded rows.

A trained model in use
    `load_trained` reads the folder of a run, `load_scorer` makes of it a function from rows to probabilities, `for_inference`
    makes a fast copy of a QNN-α. `CTRClassifier` is scikit-learn's contract on data frames (extra: sklearn).

Kernels
    `measured_covariance`, `measured_tangent_kernel` and `measured_signal` of real modules, beside the theory's.

Ids: every field counts its own: 0 is padding (of short sequences), 1 stands for every token out of vocabulary, and the vocabulary
starts at 2, the most frequent token first; ``encoder.vocabulary("field")`` lists it. One embedding table holds the rows of all
fields one after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qnn_models.evaluation.evaluate import evaluate, predict
from qnn_models.evaluation.measured_kernels import measured_covariance, measured_signal, measured_tangent_kernel
from qnn_models.layers.embedding import FieldEmbedding
from qnn_models.layers.layer import QuadraticLayer
from qnn_models.layers.stack import QuadraticStack
from qnn_models.models.network import CTRModel, QNNAlphaNetwork, QuadraticNetwork
from qnn_models.models.qnn_alpha import QNNAlpha
from qnn_models.models.registry import build, model_names
from qnn_models.serving.inference import for_inference
from qnn_models.serving.scorer import load_scorer
from qnn_models.serving.trained import load_trained
from qnn_models.training.batched import train_many
from qnn_models.training.callbacks import Callback
from qnn_models.training.config import TrainConfig
from qnn_models.training.loop import train

if TYPE_CHECKING:
    from qnn_models.estimators.classifier import CTRClassifier

__all__ = [
    "CTRClassifier",
    "CTRModel",
    "Callback",
    "FieldEmbedding",
    "QNNAlpha",
    "QNNAlphaNetwork",
    "QuadraticLayer",
    "QuadraticNetwork",
    "QuadraticStack",
    "TrainConfig",
    "build",
    "evaluate",
    "for_inference",
    "load_scorer",
    "load_trained",
    "measured_covariance",
    "measured_signal",
    "measured_tangent_kernel",
    "model_names",
    "predict",
    "train",
    "train_many",
]


def __getattr__(name: str) -> Any:
    """`CTRClassifier` on demand: it takes scikit-learn, which the rest does without."""
    if name != "CTRClassifier":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from qnn_models.estimators.classifier import CTRClassifier
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("sklearn"):
            raise
        raise ImportError(
            "CTRClassifier is an estimator of scikit-learn, however: that is not installed; pip install 'qnn-toolkit[sklearn]'"
        ) from error
    return CTRClassifier


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
