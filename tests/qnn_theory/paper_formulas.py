"""The formulas of the paper and of its released code, written out a second time with numpy: one function a format.

``x`` has shape (d,), ``p`` holds the parameters as arrays. Nothing here is shared with the package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Parameters = dict[str, Any]


def relu(u: Any) -> Any:
    return np.where(u > 0, u, 0)


def a(x: Any, p: Parameters) -> Any:
    return p["W_a"] @ x + p["b_a"]


def b(x: Any, p: Parameters) -> Any:
    return p["W_b"] @ x + p["b_b"]


def c(x: Any, p: Parameters) -> Any:
    return p["W_c"] @ x + p["b_c"]


def form(x: Any, p: Parameters) -> Any:
    return np.array([x @ p["A"][k] @ x for k in range(len(p["A"]))]) + p["b_A"]


def join(*parts: Any) -> Any:
    return np.concatenate(parts)


def head_major(x: Any) -> Any:
    """Embeddings of 2 coordinates: first the first half of every embedding, then the second."""
    return np.concatenate([x[0::2], x[1::2]])


def rows(x: Any, p: Parameters) -> Any:
    return sum(relu(p["W"][m] @ x + p["b"][m]) for m in range(len(p["W"])))


FORMULAS: dict[str, Callable[[Any, Parameters], Any]] = {
    "T1": lambda x, p: form(x, p) + b(x, p),
    "T2": form,
    "T3": lambda x, p: a(x * x, p),
    "T4": lambda x, p: a(x, p) ** 2,
    "T5": lambda x, p: a(x, p) * b(x, p),
    "T6": lambda x, p: form(x, p) + b(x * x, p),
    "T7": lambda x, p: a(x, p) * b(x, p) + c(x * x, p),
    "T8": lambda x, p: a(x, p) * b(x, p) + c(x, p),
    "T9": lambda x, p: x * a(x, p) + x,
    "T10": lambda x, p: x * a(x, p) + b(x, p),
    "T11": lambda x, p: join(a(x, p), b(x, p) ** 2),
    "T12": lambda x, p: join(a(x, p) * b(x, p), c(x * x, p)),
    "T13": lambda x, p: join(a(x, p) * b(x, p), c(x, p)),
    "T14": lambda x, p: join(a(x, p) * b(x, p), b(x, p)),
    "T15": lambda x, p: join(a(x, p) ** 2, a(x, p)),
    "T16": lambda x, p: x * a(x, p) * b(x, p) + x,
    "T17": lambda x, p: x * a(x, p) + b(x, p) + x,
    "T18": lambda x, p: p["W_b"] @ join(x * a(x, p), x) + p["b_b"],
    "T19": lambda x, p: x * relu(a(x, p)) + x,
    "T20": lambda x, p: x * a(x, p) + a(x, p) + x,
    "T21": lambda x, p: (x * a(x, p)) ** 2 + x,
    "T22": lambda x, p: x * a(x, p) + p["alpha"] * x,
    "T23": lambda x, p: a(x, p) * b(x, p) + x,
    "T24": lambda x, p: a(x, p) * relu(b(x, p)) + x,
    "T25": lambda x, p: x * (p["W_a"] @ relu(b(x, p)) + p["b_a"]) + x,
    "T26": lambda x, p: x * (relu(a(x, p)) + relu(b(x, p))) / 2 + x,
    "T27": lambda x, p: x * x * (relu(a(x, p)) + relu(b(x, p))) / 2 + x,
    "T28": lambda x, p: x * (relu(a(x, p)) ** 2 + relu(b(x, p)) ** 2) / 2 + x,
    "T29": lambda x, p: x * (relu(a(x, p)) + relu(b(x, p)) ** 2) / 2 + x,
    "T30": lambda x, p: (x * relu(a(x, p)) + x * x * relu(b(x, p))) / 2 + x,
    "Linear": a,
    "CrossNetV2": lambda x, p: x * a(x, p) + x,
    "QNN-alpha": lambda x, p: x * rows(x, p) + x,
    "QNN-alpha-released": lambda x, p: head_major(x) * rows(x, p) + x,
    "T17-paper": lambda x, p: x * (a(x, p) + b(x, p)) + x,
    "T18-paper": lambda x, p: join(x * a(x, p), x),
}

HALVES = {"T11": "ab", "T12": "abc", "T13": "abc", "T14": "ab", "T15": "a"}


def shapes(id: str, d: int) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter at width d, by hand."""
    if id in HALVES:
        return {name: shape for k in HALVES[id] for name, shape in ((f"W_{k}", (d // 2, d)), (f"b_{k}", (d // 2,)))}
    if id in ("T1", "T2", "T6"):
        own = {"A": (d, d, d), "b_A": (d,)}
        return own if id == "T2" else own | {"W_b": (d, d), "b_b": (d,)}
    if id.startswith("QNN-alpha"):
        return {"W": (4, d, d), "b": (4, d)}
    if id == "T18":
        return {"W_a": (d, d), "b_a": (d,), "W_b": (d, 2 * d), "b_b": (d,)}
    if id == "T25":
        return {"W_b": (d // 2, d), "b_b": (d // 2,), "W_a": (d, d // 2), "b_a": (d,)}
    if id == "T22":
        return {"W_a": (d, d), "b_a": (d,), "alpha": (d,)}
    three = ("T7", "T8")
    two = ("T5", "T10", "T16", "T17", "T23", "T24", "T26", "T27", "T28", "T29", "T30", "T17-paper")
    letters = "abc" if id in three else "ab" if id in two else "a"
    return {name: shape for k in letters for name, shape in ((f"W_{k}", (d, d)), (f"b_{k}", (d,)))}
