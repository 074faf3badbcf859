"""The containment order of the registered formats, worked out by hand, row by row.

With l, l', l'' for affine forms, s for a combination of squares x_j^2, q for a quadratic form and c for a constant, row i of a
layer is: T1 q + l | T2, T6 q + c | T3 s + c | T4 l² | T5 l l' | T7 l l' + s + c | T8 l l' + l'' | T9, T22 x_i l |
T10, T17 x_i l + l' | T11 l, then l² | T12 l l', then s + c | T13 l l', then l'' | T14 l l', then l' | T15 l², then l |
T16 x_i l l' + x_i | T19 x_i relu(l) + x_i | T20 (x_i + 1) l - 1 | T21 x_i² l² + x_i | T23 l l' + x_i | T24 l relu(l') + x_i |
T26 x_i (relu(l) + relu(l')) + x_i | QNN-alpha the same with four rows.
"""

from __future__ import annotations

from collections.abc import Sequence

EQUIVALENT = (("T2", "T6"), ("T9", "T22", "CrossNetV2", "T17-paper"), ("T10", "T17"))

COVERS = {
    "T2": ("T1",),
    "T3": ("T2", "T7", "T18"),
    "T4": ("T5",),
    "T5": ("T7", "T8"),
    "T7": ("T1",),
    "T8": ("T1",),
    "T9": ("T5", "T10", "T16", "T23"),
    "T10": ("T8", "T18"),
    "T11": ("T5",),
    "T12": ("T7",),
    "T13": ("T5",),
    "T14": ("T13",),
    "T15": ("T14",),
    "T18": ("T1",),
    "T19": ("T24", "T26", "T29", "T30"),
    "T20": ("T7", "T10", "T23"),
    "T23": ("T8",),
    "T26": ("QNN-alpha",),
    "Linear": ("T10", "T13", "T23", "T24"),
}
"""Smaller format -> the next larger ones; one member for each class of equivalent formats."""


def contained_in(ids: Sequence[str]) -> dict[str, set[str]]:
    """For each id the other ids whose formats contain it."""
    representative = {id: group[0] for group in EQUIVALENT for id in group}

    def above(id: str) -> set[str]:
        found = {id}
        for larger in COVERS.get(id, ()):
            found |= above(larger)
        return found

    return {
        id: {
            other
            for other in ids
            if other != id and representative.get(other, other) in above(representative.get(id, id))
        }
        for id in ids
    }
