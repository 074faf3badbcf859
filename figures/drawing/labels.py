"""Labels beside points, placed so that they cover neither each other nor the points."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from figures.shared.style import GREY

Array = NDArray[np.float64]

_ANGLES = np.arange(16) * np.pi / 8
_DIRECTIONS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_DISTANCES_PT = np.array([4.0, 7.0, 11.0, 16.0, 22.0, 29.0])
_POINT_RADIUS_PT = 3.0
_LEADER_FROM_PT = 8.0


def place_labels(
    axes: Axes,
    texts: Sequence[str],
    xs: Sequence[float],
    ys: Sequence[float],
    *,
    avoid: Sequence[tuple[float, float]] = (),
    avoid_lines: Sequence[Sequence[tuple[float, float]]] = (),
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
        avoid_lines: corners of lines, in data coordinates, that no label should cross.
        text_options: passed on to the texts, for instance ``fontsize``.
    """
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("Labels are placed on axes of a figure, however: these were removed from theirs.")
    figure.draw_without_rendering()
    pixels = figure.dpi / 72
    frame = np.array(axes.get_window_extent().extents)
    points = axes.transData.transform([*zip(xs, ys, strict=True), *avoid])
    obstacles = _boxes(points, np.full(2, 2 * _POINT_RADIUS_PT * pixels))
    lines = [_dots_along(axes.transData.transform(line), step=2 * pixels) for line in avoid_lines if line]
    dots = np.vstack(lines) if lines else np.empty((0, 2))
    taken = np.empty((0, 4))
    for text, x, y, point in zip(texts, xs, ys, points, strict=False):
        label = axes.annotate(
            text, (x, y), xytext=(0, 0), textcoords="offset points", ha="center", va="center", **text_options
        )
        extent = label.get_window_extent()
        size = np.array([extent.width, extent.height])
        offsets = (_DIRECTIONS[None] * (_DISTANCES_PT[:, None, None] * pixels + size / 2)).reshape(-1, 2)
        boxes = _boxes(point + offsets, size)
        cost = (
            np.repeat(_DISTANCES_PT, len(_DIRECTIONS)) / 10
            + 30 * _overlaps(boxes, taken).sum(axis=1)
            + 10 * _overlaps(boxes, obstacles).sum(axis=1)
            + 0.6 * _holds(boxes, dots).sum(axis=1)
            + 50 * (1 - _overlaps(boxes, frame[None])[:, 0])
        )
        best = int(np.argmin(np.round(cost, 6)))
        taken = np.vstack([taken, boxes[best]])
        label.remove()
        far = math.hypot(*offsets[best]) > _LEADER_FROM_PT * pixels + size[0] / 2
        leader = {"arrowstyle": "-", "linewidth": 0.4, "color": GREY, "shrinkA": 0, "shrinkB": 2}
        axes.annotate(
            text,
            (x, y),
            xytext=tuple(offsets[best] / pixels),
            textcoords="offset points",
            ha="center",
            va="center",
            arrowprops=leader if far else None,
            **text_options,
        )


def _boxes(centres: Array, size: Array) -> Array:
    """Boxes of one size around centres, ``(n, 4)``: left, lower, right, upper."""
    return np.hstack([centres - size / 2, centres + size / 2])


def _overlaps(boxes: Array, others: Array) -> Array:
    """Shared area as a share of the smaller of two boxes, ``(boxes, others)``; touching boxes share nothing."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    return shared / np.minimum(_areas(boxes)[:, None], _areas(others)[None, :])


def _areas(boxes: Array) -> Array:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _holds(boxes: Array, dots: Array) -> Array:
    """Whether a box holds a dot, ``(boxes, dots)``."""
    return np.all((boxes[:, None, :2] <= dots[None]) & (dots[None] <= boxes[:, None, 2:]), axis=2)


def _dots_along(corners: Sequence[Sequence[float]] | Array, *, step: float) -> Array:
    """Points on a line of straight pieces, about ``step`` apart, ``(n, 2)``."""
    pieces = [
        np.linspace(start, end, 1 + max(1, math.ceil(math.dist(start, end) / step)))
        for start, end in itertools.pairwise(corners)
    ]
    return np.vstack(pieces) if pieces else np.empty((0, 2))
