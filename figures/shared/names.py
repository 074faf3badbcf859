"""How models and data sets are called in print. Names that are missing here are printed as they are."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

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
    "nycflights": "NYC flights",
    "nycflights-time": "NYC flights, by time",
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


def joined(ids: Sequence[str], *, width: int) -> str:
    """Ids in one text, runs of numbered formats drawn together (``T10–T13``), broken into lines of about ``width``."""
    pieces: list[str] = []
    for id in ids:
        number = int(id[1:]) if id[:1] == "T" and id[1:].isdigit() else None
        start, _, end = pieces[-1].partition("–") if pieces else ("", "", "")
        last = (end or start)[1:]
        if number is not None and last.isdigit() and int(last) == number - 1 and start[:1] == "T":
            pieces[-1] = f"{start}–{id}"
        else:
            pieces.append(printed(id))
    # A run of two reads better as two.
    pieces = [_two(piece) for piece in pieces]
    return textwrap.fill(", ".join(pieces), width, break_long_words=False, break_on_hyphens=False)


def _two(piece: str) -> str:
    start, _, end = piece.partition("–")
    return f"{start}, {end}" if end and int(end[1:]) == int(start[1:]) + 1 else piece


def short_count(value: float, *, gap: str = " ") -> str:
    """Three digits of a number, a large one in thousands, millions or billions: ``20 k``, ``3 M``.

    Args:
        value: the number.
        gap: what stands between the digits and the unit.
    """
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{gap}{name}"
    return f"{value:.3g}"


def two_digits(value: float) -> str:
    """A number with two digits after the point and a true minus sign, which a rounded zero has not."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")
