"""A smoothness result as plain data, witness included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qnn_theory.cards.formulas import class_data
from qnn_theory.grammar.readings.text import to_text
from qnn_theory.smoothness_classes.one_sided import Witness
from qnn_theory.smoothness_classes.smoothness import Smoothness


def smoothness_data(found: Smoothness) -> dict[str, Any]:
    """A smoothness result as plain data."""
    return {
        "order": class_data(found.order),
        "exact": found.exact,
        "kinks": [
            {
                "layer": kink.layer,
                "surface": kink.surface,
                "order": kink.order,
                "jump": None if kink.jump is None else str(kink.jump),
            }
            for kink in found.kinks
        ],
        "witness": None if found.witness is None else _witness_data(found.witness),
    }


def _witness_data(witness: Witness) -> dict[str, Any]:
    """All that is needed to see the jump with pen and paper; numbers as text, so that fractions stay exact."""
    return {
        "layer": witness.layer,
        "activation": to_text(witness.node),
        "threshold": witness.threshold,
        "parameters": [_as_text(parameters) for parameters in witness.parameters],
        "point": _as_text(witness.point),
        "direction": _as_text(witness.direction),
        "derivative": witness.derivative,
        "right_minus_left": _as_text(witness.jump),
        "exact": witness.exact,
    }


def _as_text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _as_text(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_text(inner) for inner in value]
    return str(value)
