"""The Hasse diagram: boxes do not overlap, and a small order is drawn as it is."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.patches import FancyBboxPatch

from figures.pictures import fig_containment
from figures.shared.results import Results
from figures.shared.style import TWO_COLUMNS_IN, paper_style
from qnn_theory.relations.relation import ContainmentOrder, containment_order

FORMATS = ("T1", "T5", "T8", "T9", "T22", "T19", "T21", "Linear")


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
