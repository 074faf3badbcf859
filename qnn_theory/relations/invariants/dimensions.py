"""Separation by effective dimension."""

from __future__ import annotations

from qnn_theory.grammar.expr import uses_activation
from qnn_theory.relations.invariants.pair import Pair, Separation


def by_dimension(pair: Pair) -> Separation | None:
    """More effective dimensions than the target has."""
    if uses_activation(pair.a) or uses_activation(pair.b):
        return None
    from qnn_theory.dimension.effective_dimension import effective_dimension

    dims = pair.dims(4, 6)
    sizes = [
        (effective_dimension(pair.source, dim=dim).dimension, effective_dimension(pair.target, dim=dim).dimension)
        for dim in dims
    ]
    if not all(ours > theirs for ours, theirs in sizes):
        return None
    (ours, theirs), dim = sizes[0], dims[0]
    rule = f"the functions of {pair.target.id} form a set of dimension {theirs} (d = {dim})"
    finding = f"those of {pair.source.id} form one of dimension {ours}, so most of them are none of {pair.target.id}"
    return pair.separation(
        "dimension", rule, finding, None, dims, data={"rule": "dimension", "dim": dim, "source": ours, "target": theirs}
    )
