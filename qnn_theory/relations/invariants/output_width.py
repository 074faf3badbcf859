"""Separation by the number of outputs."""

from __future__ import annotations

from fractions import Fraction

from qnn_theory.grammar.widths import width
from qnn_theory.relations.invariants.pair import Pair, Separation


def by_width(pair: Pair) -> Separation | None:
    """Functions into spaces of different dimension."""
    ours, theirs = width(pair.a), width(pair.b)
    if ours == theirs:
        return None
    rule = f"functions of {pair.target.id} have {_times(theirs)} outputs"
    finding = f"those of {pair.source.id} have {_times(ours)}"
    data = {"rule": "output width", "source": str(ours), "target": str(theirs)}
    return pair.separation("output width", rule, finding, None, pair.dims(1), data=data)


def _times(factor: Fraction) -> str:
    return "d" if factor == 1 else f"{factor}d"
