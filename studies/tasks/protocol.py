"""Settings that a training takes when the user names none: those of the published runs, by data set and model (li2025qnn-code).

Batch sizes and the weight of the embeddings' L2 term are the released logs'; ML-100K, which the paper does not use, takes
those of ML-1M. Models without interactions or with plain products only are crushed by that weight (their AUC falls from the
first epoch on), so LR and FM go without it. QNN-α is trained with its self-ensemble loss.
"""

from __future__ import annotations

from collections.abc import Mapping

from qnn_models.data.registry import dataset_names
from studies.tasks.spec import Scalar

__all__ = ["default_options", "default_training", "protocol_name"]

_DATASETS: Mapping[str, Mapping[str, Scalar]] = {
    "ml-100k": {"batch_size": 4096, "embedding_l2": 0.01},
    "ml-1m": {"batch_size": 4096, "embedding_l2": 0.01},
    "frappe": {"batch_size": 4096, "embedding_l2": 0.1},
    "ipinyou": {"batch_size": 4096},
    "criteo": {"batch_size": 10_000, "embedding_l2": 1e-5},
    "tenrec": {"batch_size": 10_000, "embedding_l2": 1e-5},
    "kkbox": {"batch_size": 10_000},
}

_OPTIONS: Mapping[str, Mapping[str, Scalar]] = {
    "criteo": {"batch_norm": False},
    "kkbox": {"embedding_dim": 128},
}

_SAME_DATA: Mapping[str, str] = {
    "criteo-h5": "criteo",
    "kkbox-h5": "kkbox",
    "ipinyou-published": "ipinyou",
    "nycflights-time": "nycflights",
}

_OWN_DATA: Mapping[str, Scalar] = {"batch_size": None, "monitor": "auc-logloss", "prior_bias": True, "patience": 3}
"""For data sets of the user's own, which no protocol is for: probabilities count beside the order, and steps suit the rows."""

_MODELS: Mapping[str, Mapping[str, Scalar]] = {
    "qnn-alpha": {"loss": "self_ensemble"},
    "qnn-alpha-mlp": {"loss": "self_ensemble"},
    "lr": {"embedding_l2": 0.0},
    "fm": {"embedding_l2": 0.0},
}


def protocol_name(dataset: str) -> str:
    """The name that the protocol knows a data set by: the same rows, encoded or split by others, are trained on alike."""
    return _SAME_DATA.get(dataset, dataset)


def default_training(dataset: str, model: str) -> dict[str, Scalar]:
    """Training settings of a model on a data set that differ from `TrainConfig`'s own defaults."""
    by_data = _DATASETS.get(protocol_name(dataset), {}) if dataset in dataset_names() else _OWN_DATA
    return {**by_data, **_MODELS.get(model, {})}


def default_options(dataset: str) -> dict[str, Scalar]:
    """Model options that a data set asks for: KKBox has wider embeddings, and Criteo's runs had no BatchNorm."""
    return dict(_OPTIONS.get(protocol_name(dataset), {}))
