"""Start values that neither kill nor blow up a signal: the maps' size at which a stack's gain is 1, from the theory.

The gain of a stack is the mean square of its output over that of its input, for embeddings of a given standard deviation
(`qnn_theory.kernels`). A format of products alone has a gain that falls or grows with every layer: at an embedding of 0.1 three
layers of T5 have a gain of 1e-14. Here all maps of all layers, biases included, are multiplied by one number such that the gain
is 1. Where a path passes the maps by, as the x of ``x ⊙ W x + x`` does, no size of the maps takes the gain below that path's:
there the maps are only made smaller, where the gain is not yet within `SLACK` of it.

The gain is a mean over draws. Where draws differ by orders of magnitude (`qt.signal(...).log_gain_std`: formats of products
alone, deep or narrow), most draws lie below it, and a few far above.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Literal, TypeAlias, get_args

from qnn_theory.grammar.expr import Affine, Bilinear, HeadMajor, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.rewrite import scale_maps
from qnn_theory.kernels.covariance import covariance, signal

__all__ = ["OPERATING_STD", "SLACK", "Init", "check_init", "unit_gain_scale"]

Init: TypeAlias = Literal["paper", "unit-gain"]
"""Start values of the maps: as in the released runs, or scaled such that the gain is 1."""

OPERATING_STD = 0.1
"""Standard deviation of embeddings that are in use, an order of magnitude: they start smaller and grow."""

SLACK = 0.05
"""How far from 1 a gain may be that the maps cannot bring to 1."""

_SMALLEST, _LARGEST, _PRECISION, _STEPS = 1e-5, 1e5, 1e-4, 60


def check_init(init: str, *, norms: bool) -> None:
    """Reject an unknown kind of start, and a size of maps that BatchNorm undoes.

    Raises:
        ValueError: says which.
    """
    if init not in get_args(Init):
        raise ValueError(f"init is one of {', '.join(get_args(Init))}, however: {init!r}.")
    if init == "unit-gain" and norms:
        raise ValueError(
            "BatchNorm undoes the size of the maps before it, so unit-gain stands without it, however: both are asked for; "
            "switch BatchNorm off, or take init='paper'."
        )


@lru_cache(maxsize=256)
def unit_gain_scale(format: Format, *, dim: int, layers: int = 1, operating_std: float = OPERATING_STD) -> float:
    """The number that all maps of a stack are multiplied with.

    Args:
        format: of every layer, post-activation included.
        dim: input width d.
        layers: number of layers.
        operating_std: standard deviation of the embeddings at which the gain is to be 1.

    Raises:
        ValueError: no size of the maps gives the format this gain, or the theory has no rule for it.
    """
    names = [node.name for node in walk(format.expr) if isinstance(node, Affine | Bilinear)]
    if not names:
        raise ValueError(f"unit-gain scales the maps of a format, however: {format.id} has none; take init='paper'.")
    permuted = any(isinstance(node, HeadMajor) for node in walk(format.expr))

    def gain(scale: float) -> float:
        scaled = Format(format.id, scale_maps(format.expr, dict.fromkeys(names, scale)))
        kernel = covariance(
            scaled, fields=1, embedding_dim=dim, depth=layers, embedding_std=operating_std, width_correction=False
        )
        wide = kernel.leading[-1]
        # The 1/d term takes minutes where a permutation has long cycles, and its squares leave the range of floats.
        if permuted or not 1e-60 < wide < 1e60:
            return wide / operating_std**2
        found = signal(scaled, fields=dim, embedding_dim=1, depth=layers, embedding_std=operating_std)
        # Layers multiply, so what the width adds to each compounds: its logarithm is what is nearly linear in 1/d. A term as
        # large as the limit itself is that of rare draws, and no guide to the others.
        excess = min(found.second_moment[-1] / wide - 1, 1.0)
        return wide * math.exp(excess) / operating_std**2

    floor, start = gain(_SMALLEST), gain(1.0)
    goal = 1.0
    if floor > 1 - SLACK:
        if abs(floor - 1) > SLACK:
            raise ValueError(
                f"The gain of {layers} layers of {format.id} is at least {floor:.3g} at operating_std={operating_std:g}, "
                "whatever the size of the maps, however: unit-gain is asked for; take init='paper' or another operating_std."
            )
        if abs(start - 1) <= SLACK:
            return 1.0
        goal = 1 + math.copysign(SLACK, start - 1)
    return _solve(gain, floor, goal, start, format.id)


def _solve(gain: Callable[[float], float], floor: float, goal: float, start: float, id: str) -> float:
    """The scale at which a gain is `goal`: a secant on the logarithms, where a gain is nearly a power of the scale."""

    def height(value: float) -> float:
        above = (value - floor) / (goal - floor)
        return math.log(above) if above > 0 else -math.inf

    low, high = math.log(_SMALLEST), math.log(_LARGEST)
    at, value = 0.0, height(start)
    before, was = 0.1, height(gain(math.exp(0.1)))
    for _ in range(_STEPS):
        if abs(value) < _PRECISION:
            return math.exp(at)
        low, high = (at, high) if value < 0 else (low, at)
        slope = (value - was) / (at - before) if math.isfinite(value - was) and at != before else 0.0
        step = at - value / slope if slope > 0 else math.inf
        before, was = at, value
        at = step if low < step < high else (low + high) / 2
        value = height(gain(math.exp(at)))
    raise ValueError(
        f"The gain of {id} is {goal:g} at some size of its maps from {_SMALLEST:g} to {_LARGEST:g} times their start's, however: "
        "none was found; take init='paper'."
    )
