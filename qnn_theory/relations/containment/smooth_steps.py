"""Smooth activations by one step function each, so that the identities between them hold by themselves.

    sigmoid(u) = σ(u)    tanh(u) = 2 σ(2u) - 1    silu(u) = u σ(u)    gelu(u) = u Φ(u)

A step rises from 0 to 1 with s(-u) = 1 - s(u), so s(0) = 1/2: tanh is odd, silu(u) - silu(-u) = u, and so on. Beyond that the
value of a step is an unknown of its own, hence what holds for all values of the unknowns holds for the functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from qnn_theory.grammar.expr import ActivationKind

Step: TypeAlias = Literal["σ", "Φ"]


def by_step(kind: ActivationKind, value: Any, step: Callable[[Step, Any], Any], *, minus_one: Any) -> Any | None:
    """The value of an activation over any ring, or None for an activation that no step makes.

    Args:
        kind: the activation.
        value: its argument.
        step: the value of a step at an argument; knows that s(-u) = 1 - s(u).
        minus_one: -1 as a scalar.
    """
    match kind:
        case "sigmoid":
            return step("σ", value)
        case "tanh":
            return 2 * step("σ", 2 * value) + minus_one
        case "silu":
            return value * step("σ", value)
        case "gelu":
            return value * step("Φ", value)
        case _:
            return None
