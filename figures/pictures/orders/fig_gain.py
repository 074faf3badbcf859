"""How a format's signal grows or dies with depth: the gain of a stack at its start, by the theory's leading order."""

from __future__ import annotations

from functools import cache

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures.shared.contract import FigureSpec
from figures.shared.names import joined
from figures.shared.results import Results
from figures.shared.style import BLUE, GREY, VERMILION, new_figure
from qnn_theory import formats, signal

FIELDS, EMBEDDING_DIM = 10, 16
DEPTHS = (1, 2, 3, 4)
STDS = (0.1, 0.3, 1.0)
_TINY_STD, _VANISHING = 1e-4, 1e-3
"""A format without a linear path has a gain below `_VANISHING` for embeddings as small as they start."""
_LEFT_OUT = ("T1", "T2", "T6")
_GAP = 0.045


def draw(results: Results) -> Figure:
    """One column for each size of the embeddings, one line for each format."""
    figure = new_figure(height_in=3.6)
    panels = figure.subplots(1, len(STDS))
    vanishing = _without_linear_path()
    for axes, std in zip(panels, STDS, strict=True):
        groups: dict[tuple[str, ...], list[str]] = {}
        for id, gains in _gains(std).items():
            groups.setdefault(tuple(f"{gain:.2e}" for gain in gains), []).append(id)
        for texts, ids in groups.items():
            colour = VERMILION if set(ids) <= vanishing else BLUE
            axes.plot(DEPTHS, [float(text) for text in texts], color=colour, linewidth=0.9)
        axes.axhline(1, color=GREY, linewidth=0.6, linestyle=":")
        axes.set_yscale("log")
        axes.set_ylim(1e-12, 1e12)
        axes.set_xticks(DEPTHS)
        axes.set_xlim(DEPTHS[0], DEPTHS[-1] + 2.1)
        axes.set_xlabel("layers")
        axes.set_title(f"embeddings of deviation {std:g}")
        _names(axes, groups, vanishing)
    panels[0].set_ylabel("second moment after the stack over that before it")
    figure.legend(
        handles=[
            Line2D([], [], color=BLUE, label="with a linear path"),
            Line2D([], [], color=VERMILION, label="without: the gain vanishes with the embeddings"),
        ],
        loc="outside upper center",
        ncols=2,
    )
    return figure


@cache
def _gains(std: float) -> dict[str, tuple[float, ...]]:
    """Format -> its gain at each depth; full bilinear maps, which grow with the width, are left out."""
    found = {}
    for format in formats():
        if format.id not in _LEFT_OUT and not format.id.endswith("-paper"):
            told = signal(format, fields=FIELDS, embedding_dim=EMBEDDING_DIM, depth=DEPTHS[-1], embedding_std=std)
            found[format.id] = tuple(moment / std**2 for moment in told.second_moment)
    return found


@cache
def _without_linear_path() -> set[str]:
    return {id for id, gains in _gains(_TINY_STD).items() if gains[0] < _VANISHING}


def _names(axes: Axes, groups: dict[tuple[str, ...], list[str]], vanishing: set[str]) -> None:
    """The formats at the ends of their lines, moved apart where they would run into each other."""
    low, high = (float(limit) for limit in axes.get_ylim())
    ordered = sorted(groups.items(), key=lambda group: float(group[0][-1]))
    ends = []
    for texts, _ in ordered:
        end = min(max(float(texts[-1]), low), high)
        ends.append(axes.transAxes.inverted().transform(axes.transData.transform((1.0, end)))[1])
    places = _apart(ends)
    for (_, ids), end, place in zip(ordered, ends, places, strict=True):
        colour = VERMILION if set(ids) <= vanishing else BLUE
        axes.annotate(
            joined(ids, width=200),
            (0.64, end),
            (0.68, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            fontsize=5.2,
            va="center",
            color=colour,
            arrowprops={"arrowstyle": "-", "linewidth": 0.3, "color": colour, "shrinkA": 0, "shrinkB": 0},
            annotation_clip=False,
        )


def _apart(places: list[float]) -> list[float]:
    """Increasing places with a gap between them, near to where they were, inside of 0 and 1."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + _GAP) if moved else max(place, 0.0))
    excess = moved[-1] - 1.0 if moved else 0.0
    for at in range(len(moved) - 1, -1, -1):
        limit = moved[at + 1] - _GAP if at + 1 < len(moved) else 1.0
        moved[at] = min(moved[at], limit) if excess > 0 else moved[at]
    return moved


FIGURE = FigureSpec(
    name="gain",
    caption=(
        "How the signal of a stack grows with its depth at the start: the second moment of an output over that of the "
        f"embeddings, leading order, {FIELDS} fields of width {EMBEDDING_DIM}. Formats with the same numbers share a line. "
        "Values beyond the axis stand at its edge. Full bilinear maps (T1, T2, T6) grow with the width besides and are not shown."
    ),
    draw=draw,
)
