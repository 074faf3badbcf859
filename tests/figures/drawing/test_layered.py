"""Orders in layers: lines go up, neighbours keep apart, and a tree has no crossings."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from figures.drawing.layered import place


@st.composite
def orders(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    count = draw(st.integers(2, 9))
    pairs = list(itertools.combinations(range(count), 2))
    return count, sorted(draw(st.sets(st.sampled_from(pairs), min_size=1, max_size=14)))


@given(orders())
def test_edges_point_up_and_neighbours_keep_apart(order: tuple[int, list[tuple[int, int]]]) -> None:
    count, edges = order
    placed = place([1.0] * count, edges, gap=0.25)
    for (lower, upper), path in zip(edges, placed.paths, strict=True):
        assert placed.layers[lower] < placed.layers[upper]
        assert [layer for _, layer in path] == list(range(placed.layers[lower], placed.layers[upper] + 1))
        assert (path[0][0], path[-1][0]) == (placed.xs[lower], placed.xs[upper])
    for a, b in itertools.combinations(range(count), 2):
        if placed.layers[a] == placed.layers[b]:
            assert abs(placed.xs[a] - placed.xs[b]) >= 1.25 - 1e-9
    assert place([1.0] * count, edges, gap=0.25) == placed


def test_a_tree_has_no_crossings() -> None:
    # The leaves come in an order that crosses; the drawing must undo it.
    edges = [(0, 5), (1, 4), (2, 5), (3, 4), (4, 6), (5, 6)]
    placed = place([1.0] * 7, edges, gap=0.2)
    order = sorted(range(4), key=lambda leaf: placed.xs[leaf])
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset({0, 2}), frozenset({1, 3})}


def test_a_circle_is_no_order() -> None:
    with pytest.raises(ValueError, match="no circle, however"):
        place([1.0, 1.0], [(0, 1), (1, 0)], gap=0.1)
