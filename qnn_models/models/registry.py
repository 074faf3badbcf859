"""Every model by name."""

from __future__ import annotations

import difflib
import inspect
from importlib import import_module
from typing import Any, cast

from qnn_models.models.network import CTRModel, Layout

__all__ = ["build", "model_class", "model_names"]

_MODELS = {
    "quadratic": "network:QuadraticNetwork",
    "qnn-alpha": "network:QNNAlphaNetwork",
    "lr": "baselines.first_order.logistic_regression:LogisticRegression",
    "fm": "baselines.first_order.factorization_machine:FactorizationMachine",
    "dnn": "baselines.perceptrons.dnn:DNN",
    "pnn": "baselines.perceptrons.pnn:PNN",
    "wide-deep": "baselines.first_order.wide_deep:WideDeep",
    "deepfm": "baselines.first_order.deepfm:DeepFM",
    "dcn": "baselines.crossing.dcn:DCN",
    "dcnv2": "baselines.crossing.dcn:DCNv2",
    "xdeepfm": "baselines.first_order.xdeepfm:XDeepFM",
    "autoint": "baselines.adaptive.autoint:AutoInt",
    "afn": "baselines.adaptive.afn:AFN",
    "edcn": "baselines.crossing.edcn:EDCN",
    "masknet": "baselines.perceptrons.masknet:MaskNet",
    "finalmlp": "baselines.perceptrons.finalmlp:FinalMLP",
    "final": "baselines.crossing.final:FINAL",
    "ecn": "baselines.crossing.dcnv3:DCNv3",
    "cl4ctr": "baselines.perceptrons.cl4ctr:CL4CTR",
    "eulernet": "baselines.adaptive.eulernet:EulerNet",
    "rfm": "baselines.adaptive.rfm:RFM",
    "qnn-alpha-mlp": "baselines.perceptrons.qnn_alpha_mlp:QNNAlphaMLP",
}
_NOT_OPTIONS = ("layout", "seed")


def model_names() -> tuple[str, ...]:
    """Names of all models."""
    return tuple(_MODELS)


def model_class(name: str) -> type[CTRModel]:
    """The class of a model; its keyword arguments but ``seed`` are the model's options.

    Raises:
        KeyError: no model has this name; names the nearest.
    """
    if name not in _MODELS:
        near = difflib.get_close_matches(name.lower(), _MODELS, n=1, cutoff=0.0)[0]
        raise KeyError(f"A model is one of {', '.join(_MODELS)}, however: {name!r}; the nearest is {near!r}.")
    module, _, attribute = _MODELS[name].partition(":")
    return cast(type[CTRModel], getattr(import_module(f"qnn_models.models.{module}"), attribute))


def build(name: str, layout: Layout, *, seed: int | None = None, **options: Any) -> CTRModel:
    """A model on the fields of a data set.

    Args:
        name: one of `model_names`.
        layout: the data set's fields.
        seed: seed of the start values; drawn from torch's global generator when left out.
        options: the model's own, such as ``embedding_dim``; what is left out has its default.

    Raises:
        KeyError: no such model.
        ValueError: the model has no such option (names the nearest), or a value does not fit.
    """
    kind = model_class(name)
    known = [option for option in inspect.signature(kind).parameters if option not in _NOT_OPTIONS]
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1, cutoff=0.0)
            remedy = f"the nearest is {near[0]!r}" if near else "leave it out"
            raise ValueError(f"{name} has the options {', '.join(known) or '(none)'}, however: {option!r}; {remedy}.")
    return kind(layout, seed=seed, **options)
