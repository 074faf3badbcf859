"""How many of a format's parameters are redundant, and by which symmetry: one layer and a stack of two."""

from __future__ import annotations

from collections import Counter
from functools import cache

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from figures.shared.contract import FigureSpec
from figures.shared.names import printed
from figures.shared.results import Results
from figures.shared.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, YELLOW, new_figure
from figures.shared.theory import DIM
from qnn_theory import formats
from qnn_theory.dimension.effective_dimension import effective_dimension

_KINDS = {
    "antisymmetric part": (BLUE, ""),
    "scaling": (ORANGE, "////"),
    "merge": (GREEN, ""),
    "inert": (YELLOW, ""),
    "rescaling between layers": (VERMILION, "\\\\\\\\"),
    "shift between layers": (SKY, ""),
    "mixing between layers": (PURPLE, "...."),
    "no name": (GREY, ""),
}
_DEPTHS = (1, 2)


def draw(results: Results) -> Figure:
    """Shares of the parameters, a bar for each format that has any at either depth."""
    shares = {depth: {format.id: _shares(format.id, depth) for format in formats()} for depth in _DEPTHS}
    shown = [format.id for format in formats() if any(shares[depth][format.id] for depth in _DEPTHS)]
    figure = new_figure(height_in=1.0 + 0.135 * len(shown))
    panels = figure.subplots(1, len(_DEPTHS), sharex=True, sharey=True)
    for axes, depth in zip(panels, _DEPTHS, strict=True):
        _bars(axes, [shares[depth][id] for id in shown])
        axes.set_title(("one layer", "two layers")[depth - 1])
        axes.set_xlabel(f"redundant parameters (%), d = {DIM}")
    panels[0].set_yticks(range(len(shown)), [printed(id) for id in shown])
    panels[0].set_ylim(len(shown) - 0.4, -0.6)
    panels[0].set_xlim(0, 5 + 1.08 * max(sum(shares[depth][id].values()) for depth in _DEPTHS for id in shown))
    used = [kind for kind in _KINDS if any(kind in share for depth in _DEPTHS for share in shares[depth].values())]
    figure.legend(
        handles=[
            Patch(facecolor=_KINDS[kind][0], hatch=_KINDS[kind][1], edgecolor="white", label=kind) for kind in used
        ],
        loc="outside upper center",
        ncols=4,
    )
    return figure


@cache
def _shares(id: str, depth: int) -> dict[str, float]:
    """Percent of the parameters that each kind of symmetry makes redundant."""
    effective = effective_dimension(id, dim=DIM, depth=depth)
    directions = Counter({"no name": effective.unexplained})
    for symmetry in effective.symmetries:
        directions[symmetry.kind] += symmetry.directions
    return {kind: 100 * count / effective.parameters for kind, count in directions.items() if count > 0}


def _bars(axes: Axes, shares: list[dict[str, float]]) -> None:
    for y, share in enumerate(shares):
        left = 0.0
        for kind, (colour, hatch) in _KINDS.items():
            if kind in share:
                axes.barh(
                    y, share[kind], left=left, height=0.72, color=colour, hatch=hatch, edgecolor="white", linewidth=0.3
                )
                left += share[kind]
        axes.annotate(
            f"{left:.0f}", (left, y), xytext=(2, 0), textcoords="offset points", va="center", fontsize=6, color=GREY
        )
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


FIGURE = FigureSpec(
    name="redundancy",
    caption=(
        f"Share of the parameters that are redundant at d = {DIM} (parameters minus the rank of the map from parameters to "
        "functions), by the symmetry that makes them so. Formats without redundancy at either depth are left out."
    ),
    draw=draw,
)
