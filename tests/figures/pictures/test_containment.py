"""The Hasse diagram: lines go up, boxes do not overlap, and a small order is drawn as it is."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.patches import FancyBboxPatch

from figures.pictures import fig_containment
from figures.pictures.layered import place
from figures.shared.results import Results
from figures.shared.style import TWO_COLUMNS_IN, paper_style
from qnn_theory.relations.relation import ContainmentOrder, containment_order

FORMATS = ("T1", "T5", "T8", "T9", "T22", "T19", "T21", "Linear")


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


@pytest.fixture
def small_order(monkeypatch: pytest.MonkeyPatch) -> ContainmentOrder:
    order = containment_order(FORMATS)
    monkeypatch.setattr(fig_containment, "containment_order", lambda: order)
    return order


@pytest.mark.parametrize("measured", [True, False])
def test_boxes_name_every_class_and_stay_apart(
    small_order: ContainmentOrder, measured: bool, results_folder: Path, tmp_path: Path
) -> None:
    with paper_style():
        figure = fig_containment.draw(Results(results_folder if measured else tmp_path))
        figure.draw_without_rendering()
        axes = figure.axes[0]
        notes = [
            text.get_window_extent() for text in axes.texts if "line" in text.get_text() or "Neither" in text.get_text()
        ]
        boxes = [patch.get_window_extent() for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    assert len(boxes) == len(small_order.classes)
    written = " ".join(text.get_text() for text in axes.texts)
    assert all(format in written for format in FORMATS)
    assert "T9 = T22" in written
    assert len(notes) == 2
    assert not any(a.overlaps(b) for a, b in itertools.combinations([*boxes, *notes], 2))
    page = figure.bbox
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in boxes)
    assert ("ours" in written) == measured
    # A box has room for a mean and none for an interval.
    assert ("mean of 3 seeds" in written) == measured
    assert "intervals" not in written


@pytest.mark.slow
def test_the_whole_registry_fits_the_page(results_folder: Path) -> None:
    with paper_style():
        figure = fig_containment.draw(Results(results_folder))
        figure.draw_without_rendering()
        drawn = figure.get_tightbbox()
    assert drawn.x0 >= 0
    assert drawn.x1 <= TWO_COLUMNS_IN


@pytest.mark.parametrize(
    ("count", "said"), [(0, ""), (2, "Not decided: T1 in T8, T2 in T8."), (6, "T4 in T8 and 2 more.")]
)
def test_pairs_that_are_not_decided_are_named(
    small_order: ContainmentOrder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, count: int, said: str
) -> None:
    order = replace(small_order, open=tuple((f"T{number + 1}", "T8") for number in range(count)))
    monkeypatch.setattr(fig_containment, "containment_order", lambda: order)
    with paper_style():
        texts = [text.get_text() for text in fig_containment.draw(Results(tmp_path)).axes[0].texts]
    assert any(said in text for text in texts)
    assert any("Not decided" in text for text in texts) == bool(count)
