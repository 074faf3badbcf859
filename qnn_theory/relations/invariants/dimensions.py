"""Separation by effective dimension."""

from __future__ import annotations

from qnn_theory.grammar.expr import uses_activation
from qnn_theory.grammar.stacking import parameter_count
from qnn_theory.relations.invariants.pair import Pair, Separation

_PARAMETERS = 1_200


def by_dimension(pair: Pair) -> Separation | None:
    """More effective dimensions than the target has."""
    return _at(pair, pair.dims(4, 6))


def by_dimension_later(pair: Pair) -> Separation | None:
    """The same at larger d: a set that grows like d³ may be the smaller one at first."""
    dims = pair.dims(7, 8)
    ours, theirs = (parameter_count(expr, (dims[-1], dims[-1])) for expr in (pair.a, pair.b))
    return _at(pair, dims) if theirs < ours <= _PARAMETERS else None


def _at(pair: Pair, dims: tuple[int, ...]) -> Separation | None:
    if uses_activation(pair.a) or uses_activation(pair.b):
        return None
    from qnn_theory.dimension.effective_dimension import effective_dimension

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
