"""Labels beside points keep off what is drawn."""

from __future__ import annotations

from figures.drawing.labels import place_labels
from figures.shared.style import new_figure, paper_style


def test_labels_keep_off_lines() -> None:
    with paper_style():
        figure = new_figure(height_in=3)
        axes = figure.subplots()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        interval = [(0.5, 0.2), (0.5, 0.8)]
        place_labels(axes, ["a label"], [0.5], [0.5], avoid_lines=[[(0.1, 0.1), (0.2, 0.1)], interval])
        (label,) = axes.texts
        box = label.get_window_extent()
        x, _ = axes.transData.transform((0.5, 0.5))
    assert not box.x0 <= x <= box.x1
