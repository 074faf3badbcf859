"""The first map of `rules` that passes the proof."""

from __future__ import annotations

from qnn_theory.grammar.format import Format
from qnn_theory.grammar.numbers import LargeNumberError
from qnn_theory.relations.certificates import Containment
from qnn_theory.relations.containment.proof import can_prove, prove_map
from qnn_theory.relations.function_classes.rules import class_maps


def find_class_map(source: Format, target: Format) -> Containment | None:
    """F_source ⊆ F_target because the target realises a class that holds every function of the source, or None.

    A map that the structure suggests and that the proof rejects is no answer.
    """
    if not can_prove(source, target):
        return None
    try:
        for found in class_maps(source, target):
            try:
                proof = prove_map(source, target, found)
            except ValueError:
                continue
            return Containment(source=source.id, target=target.id, map=found, proof=proof)
    except LargeNumberError:  # multiplied out, the numbers of a format are beyond what is computed with
        pass
    return None
