"""How a format's signal grows or dies with depth: the gain of a stack at its start, by the theory's leading order."""

from __future__ import annotations

from functools import cache

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures.shared.contract import FigureSpec
from figures.shared.names import printed
from figures.shared.results import Results
from figures.shared.style import BLUE, GREY, VERMILION, WHITE, new_figure
from qnn_theory import covariance, formats

FIELDS, EMBEDDING_DIM = 10, 16
DEPTHS = (1, 2, 3)
STDS = (0.1, 0.3, 1.0)
_TINY_STD, _VANISHING = 1e-4, 1e-3
"""A format without a linear path has a gain below `_VANISHING` for embeddings as small as they start."""
_LEFT_OUT = ("T1", "T2", "T6")
_LOWEST, _HIGHEST = 1e-9, 1e9
_MARKERS = dict(zip(DEPTHS, ("o", "s", "D"), strict=True))


def draw(results: Results) -> Figure:
    """One column for each size of the embeddings, one row for each format, a mark for each depth."""
    gains = {std: _gains(std) for std in STDS}
    vanishing = {id for id, values in _gains(_TINY_STD).items() if values[0] < _VANISHING}
    middle = gains[STDS[1]]
    names = sorted(middle, key=lambda id: middle[id][-1])
    figure = new_figure(height_in=0.8 + 0.155 * len(names))
    panels = figure.subplots(1, len(STDS), sharey=True)
    for axes, std in zip(panels, STDS, strict=True):
        for y, id in enumerate(names):
            colour = VERMILION if id in vanishing else BLUE
            values = [min(max(value, _LOWEST), _HIGHEST) for value in gains[std][id]]
            axes.plot(values, [y] * len(values), color=colour, linewidth=0.6)
            for depth, value in zip(DEPTHS, values, strict=True):
                face = colour if depth == DEPTHS[-1] else WHITE
                axes.plot(value, y, marker=_MARKERS[depth], color=colour, markerfacecolor=face, markersize=3)
        axes.axvline(1, color=GREY, linewidth=0.6, linestyle=":")
        axes.set_xscale("log")
        axes.set_xlim(_LOWEST / 3, _HIGHEST * 3)
        axes.set_xticks([10.0**power for power in (-9, -6, -3, 0, 3, 6, 9)])
        axes.minorticks_off()
        axes.set_title(f"embeddings of deviation {std:g}")
        axes.set_xlabel("gain")
    panels[0].set_yticks(range(len(names)), [printed(id) for id in names])
    panels[0].set_ylim(-0.7, len(names) - 0.3)
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=GREY, markerfacecolor=WHITE if depth < DEPTHS[-1] else GREY,
               label=f"{depth} layer{'s' if depth > 1 else ''}")
        for depth, marker in _MARKERS.items()
    ]  # fmt: skip
    handles += [
        Line2D([], [], color=BLUE, label="with a linear path"),
        Line2D([], [], color=VERMILION, label="without: the gain vanishes with the embeddings"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


@cache
def _gains(std: float) -> dict[str, tuple[float, ...]]:
    """Format -> its gain at each depth; full bilinear maps, which grow with the width, are left out."""
    found = {}
    for format in formats():
        if format.id not in _LEFT_OUT and not format.id.endswith("-paper"):
            moments = [
                covariance(
                    format,
                    fields=FIELDS,
                    embedding_dim=EMBEDDING_DIM,
                    depth=depth,
                    embedding_std=std,
                    width_correction=False,
                ).values[-1]
                for depth in DEPTHS
            ]
            found[format.id] = tuple(moment / std**2 for moment in moments)
    return found


FIGURE = FigureSpec(
    name="gain",
    caption=(
        "How the signal of a stack grows with its depth at the start: its gain, the second moment of an output over that of the "
        f"embeddings, by the theory's leading order, {FIELDS} fields of width {EMBEDDING_DIM}. Values beyond the axis stand at "
        "its edge. Full bilinear maps (T1, T2, T6) grow with the width besides and are not shown."
    ),
    draw=draw,
)
