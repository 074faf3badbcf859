"""Labels beside points, placed so that they cover neither each other nor the points."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

_DIRECTIONS = tuple((math.cos(k * math.pi / 8), math.sin(k * math.pi / 8)) for k in range(16))
_DISTANCES_PT = (4.0, 7.0, 11.0, 16.0, 22.0, 29.0)


def place_labels(
    axes: Axes,
    texts: Sequence[str],
    xs: Sequence[float],
    ys: Sequence[float],
    *,
    avoid: Sequence[tuple[float, float]] = (),
    avoid_line: Sequence[tuple[float, float]] = (),
    **text_options: Any,
) -> None:
    """Write each text near its point where it fits, nearest first, with a thin leader line when it has to go far.

    Greedy and deterministic: labels are placed in the order given, so give the important ones first. Call it last, when
    limits and scales are final; the layout is fixed by drawing once.

    Args:
        axes: where the points are drawn.
        texts: one label a point.
        xs: data coordinates.
        ys: data coordinates.
        avoid: further points, in data coordinates, that no label may cover.
        avoid_line: corners of a line, in data coordinates, that no label should cross.
        text_options: passed on to the texts, for instance ``fontsize``.
    """
    figure = axes.figure
    figure.draw_without_rendering()
    pixels_per_point = figure.dpi / 72
    frame = axes.get_window_extent()
    points = axes.transData.transform([*zip(xs, ys, strict=True), *avoid])
    radius = 3.0 * pixels_per_point
    obstacles = [Bbox.from_extents(x - radius, y - radius, x + radius, y + radius) for x, y in points]
    line = _dots_along(axes.transData.transform(avoid_line) if avoid_line else [], step=2 * pixels_per_point)
    taken: list[Bbox] = []
    renderer = figure.canvas.get_renderer()
    for text, x, y, (px, py) in zip(texts, xs, ys, points, strict=False):
        probe = axes.annotate(text, (x, y), xytext=(0, 0), textcoords="offset points", **text_options)
        size = probe.get_window_extent(renderer)
        probe.remove()
        width, height = size.width, size.height
        best: tuple[float, float, float, Bbox] | None = None
        for distance in _DISTANCES_PT:
            for dx, dy in _DIRECTIONS:
                centre_x = px + dx * (distance * pixels_per_point + width / 2)
                centre_y = py + dy * (distance * pixels_per_point + height / 2)
                box = Bbox.from_bounds(centre_x - width / 2, centre_y - height / 2, width, height)
                cost = (
                    distance / 10
                    + 30 * sum(_overlap(box, other) for other in taken)
                    + 10 * sum(_overlap(box, other) for other in obstacles)
                    + 0.6 * sum(box.contains(*dot) for dot in line)
                    + 50 * _outside(box, frame)
                )
                if best is None or cost < best[0] - 1e-9:
                    best = (cost, (centre_x - px) / pixels_per_point, (centre_y - py) / pixels_per_point, box)
        assert best is not None
        _, offset_x, offset_y, box = best
        far = math.hypot(offset_x, offset_y) > 8 + width / 2 / pixels_per_point
        axes.annotate(
            text,
            (x, y),
            xytext=(offset_x, offset_y),
            textcoords="offset points",
            ha="center",
            va="center",
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "#767676", "shrinkA": 0, "shrinkB": 2}
            if far
            else None,
            **text_options,
        )
        taken.append(box)


def _dots_along(corners: Sequence[Sequence[float]], *, step: float) -> list[tuple[float, float]]:
    """Points on a line of straight pieces, about ``step`` apart."""
    dots = []
    for (x0, y0), (x1, y1) in itertools.pairwise(corners):
        pieces = max(1, math.ceil(math.hypot(x1 - x0, y1 - y0) / step))
        dots += [(x0 + (x1 - x0) * k / pieces, y0 + (y1 - y0) * k / pieces) for k in range(pieces + 1)]
    return dots


def _overlap(a: Bbox, b: Bbox) -> float:
    """Shared area as a share of the smaller box; touching boxes share nothing."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min(a.width * a.height, b.width * b.height)


def _outside(box: Bbox, frame: Bbox) -> float:
    """How much of the box lies outside the frame, as a share of the box."""
    width = max(0.0, min(box.x1, frame.x1) - max(box.x0, frame.x0))
    height = max(0.0, min(box.y1, frame.y1) - max(box.y0, frame.y0))
    return 1.0 - width * height / (box.width * box.height)
