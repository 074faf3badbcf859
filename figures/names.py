"""How models and data sets are called in print. Names that are missing here are printed as they are."""

from __future__ import annotations

_PRINTED = {
    "MLP without activation": "MLP, no activation",
    "CrossNetv2": "CrossNetV2",
    "DCNv2=MLP+CNv2": "DCNv2",
    "circle": "circles",
    "circles": "circles",
    "bce": "one pass",
    "cosine": "cosine",
    "ensemble": "no tie",
    "gelu": "GELU",
    "huber": "Huber",
    "kl": "KL",
    "ml-100k": "ML-100K",
    "ml-1m": "ML-1M",
    "mse": "MSE",
    "self_ensemble": "self-ensemble",
    "moon": "two moons",
    "moons": "two moons",
    "relu": "ReLU",
    "relu6": "ReLU6",
    "sigmoid": "Sigmoid",
    "mish": "Mish",
    "silu": "SiLU",
    "tanh": "tanh",
}


def printed(name: str) -> str:
    """The name as a reader of the paper knows it."""
    return _PRINTED.get(name, name).replace("QNN-alpha", "QNN-α")
