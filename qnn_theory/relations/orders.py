"""Orders of formats: classes of equivalent ones and the covering edges between them, from the verdicts of all ordered pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainmentOrder:
    """The containment order of a set of formats, as a Hasse diagram.

    Attributes:
        classes: the sets of equivalent formats, in registry order.
        edges: the covering pairs (smaller, larger), as positions in `classes`.
        open: ordered pairs (a, b) of formats for which F_a ⊆ F_b is undecided.
    """

    classes: tuple[tuple[str, ...], ...]
    edges: tuple[tuple[int, int], ...]
    open: tuple[tuple[str, str], ...]


def order_of(ids: Sequence[str], verdicts: Mapping[tuple[str, str], str]) -> ContainmentOrder:
    """The order that verdicts make.

    Args:
        ids: the formats.
        verdicts: for every ordered pair ``contained``, ``not contained`` or ``open``.
    """
    below = {pair for pair, verdict in verdicts.items() if verdict == "contained"}
    classes: list[list[str]] = []
    for id in ids:
        own = next((c for c in classes if (id, c[0]) in below and (c[0], id) in below), None)
        if own is None:
            classes.append([id])
        else:
            own.append(id)
    smaller = {(i, j) for i, a in enumerate(classes) for j, b in enumerate(classes) if i != j and (a[0], b[0]) in below}
    covering = sorted(
        (i, j) for i, j in smaller if not any((i, k) in smaller and (k, j) in smaller for k in range(len(classes)))
    )
    return ContainmentOrder(
        classes=tuple(map(tuple, classes)),
        edges=tuple(covering),
        open=tuple(pair for pair, verdict in verdicts.items() if verdict == "open"),
    )


def closed_under_transitivity(verdicts: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """The verdicts with what follows from them: a ⊆ m ⊆ b gives a ⊆ b, and a ⊇ s ⊄ t ⊇ b gives a ⊄ b."""
    ids = list(dict.fromkeys(id for pair in verdicts for id in pair))
    result = dict(verdicts)
    inside = {(id, id) for id in ids} | {pair for pair, verdict in verdicts.items() if verdict == "contained"}
    for middle in ids:
        inside |= {(a, b) for a in ids for b in ids if (a, middle) in inside and (middle, b) in inside}
    below = {id: [other for other in ids if (other, id) in inside] for id in ids}
    above = {id: [other for other in ids if (id, other) in inside] for id in ids}
    apart = {pair for pair, verdict in verdicts.items() if verdict == "not contained"}
    for pair, verdict in verdicts.items():
        if verdict == "open" and pair in inside:
            result[pair] = "contained"
        elif verdict == "open" and any((s, t) in apart for s in below[pair[0]] for t in above[pair[1]]):
            result[pair] = "not contained"
    return result
