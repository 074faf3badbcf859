"""How the expanded feature space grows with depth: monomials and degree of one to three layers, exact."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import cache, partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from figures.shared.contract import FigureSpec
from figures.shared.names import joined
from figures.shared.results import Results
from figures.shared.style import LINES, MARKERS, PALETTE, new_figure
from qnn_theory import formats
from qnn_theory.feature_spaces.feature_space import FeatureSpace, feature_space
from qnn_theory.grammar.format import Format
from studies.declaring.theory_columns import LARGEST_DEGREE, where_defined

_DIM = 8
_DEPTHS = (1, 2, 3)
_LABEL_GAP = 0.058


def draw(results: Results) -> Figure:
    """Left: monomials; right: degree. Formats with the same numbers share a line, named at its end."""
    monomials, degrees, others = _growth()
    classes = sorted(set(degrees.values()), key=lambda numbers: numbers[::-1], reverse=True)
    colours = {id: classes.index(numbers) for id, numbers in degrees.items()}
    figure = new_figure(height_in=3.5)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    _lines(left, monomials, colours)
    left.set_ylabel(f"monomials of the outputs, d = {_DIM}")
    left.yaxis.set_major_locator(LogLocator(numticks=12))
    _lines(right, degrees, colours)
    right.set_ylabel("degree")
    right.set_yticks([2**k for k in range(7)], [str(2**k) for k in range(7)])
    if others:
        figure.supxlabel(
            f"Not shown, a polynomial nowhere or of a degree above {LARGEST_DEGREE}: {', '.join(others)}", fontsize=7
        )
    return figure


@cache
def _growth() -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]], tuple[str, ...]]:
    """Monomials and degrees by depth for every format, and the ids of those without.

    The printed forms that the code did not run are left out.
    """
    stacks = {format.id: _stacks(format) for format in formats() if not format.id.endswith("-paper")}
    counted = {id: spaces for id, spaces in stacks.items() if spaces}
    return (
        {id: tuple(space.dimension for space in spaces) for id, spaces in counted.items()},
        {id: tuple(space.degree for space in spaces) for id, spaces in counted.items()},
        tuple(id for id in stacks if id not in counted),
    )


def _stacks(format: Format) -> list[FeatureSpace]:
    """One for each depth; none for a format that is a polynomial nowhere, or whose monomials take minutes to count."""
    spaces: list[FeatureSpace] = []
    for depth in _DEPTHS:
        if spaces and spaces[-1].degree * spaces[0].degree > LARGEST_DEGREE:
            return []
        space = where_defined(partial(feature_space, format, dim=_DIM, depth=depth))
        if space is None:
            return []
        spaces.append(space)
    return spaces


def _lines(axes: Axes, values: dict[str, tuple[int, ...]], colours: dict[str, int]) -> None:
    """One line for each set of equal numbers; formats of equal degree have the same colour in both panels."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for id, numbers in values.items():
        groups.setdefault(numbers, []).append(id)
    ordered = sorted(groups, key=lambda numbers: numbers[::-1])
    axes.set_yscale("log")
    seen: Counter[int] = Counter()
    for numbers in ordered:
        colour = colours[groups[numbers][0]]
        axes.plot(
            _DEPTHS,
            numbers,
            color=PALETTE[colour % len(PALETTE)],
            linestyle=LINES[seen[colour] % len(LINES)],
            marker=MARKERS[colour % len(MARKERS)],
            markersize=3.5,
        )
        seen[colour] += 1
    axes.set_xlim(0.85, 3.1)
    axes.set_xticks(_DEPTHS)
    axes.set_xlabel("layers")
    axes.yaxis.set_minor_locator(NullLocator())
    texts = [joined(groups[numbers], width=26) for numbers in ordered]
    heights = _spread(
        [
            float(axes.transAxes.inverted().transform(axes.transData.transform((3, numbers[-1])))[1])
            for numbers in ordered
        ],
        [_LABEL_GAP * (text.count("\n") + 1) for text in texts],
    )
    for numbers, text, height in zip(ordered, texts, heights, strict=True):
        axes.annotate(
            text,
            xy=(3, numbers[-1]),
            xytext=(1.06, height),
            textcoords="axes fraction",
            fontsize=6.5,
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "linewidth": 0.5,
                "color": PALETTE[colours[groups[numbers][0]] % len(PALETTE)],
                "shrinkB": 3,
                "shrinkA": 1,
                "relpos": (0, 0.5),
            },
        )


def _spread(centres: list[float], sizes: list[float]) -> list[float]:
    """Move ascending centres as little as a sweep up and a sweep down can, so that intervals of these sizes do not overlap."""
    gaps = [(below + above) / 2 for below, above in itertools.pairwise(sizes)]
    placed = list(centres)
    for index, gap in enumerate(gaps, start=1):
        placed[index] = max(placed[index], placed[index - 1] + gap)
    excess = placed[-1] + sizes[-1] / 2 - 1.03
    if excess > 0:
        placed[-1] -= excess
        for index in range(len(gaps), 0, -1):
            placed[index - 1] = min(placed[index - 1], placed[index] - gaps[index - 1])
    return placed


FIGURE = FigureSpec(
    name="support_growth",
    caption=(
        f"Size and degree of the expanded feature space of one to three layers at d = {_DIM}, exact, for generic parameters; "
        "where a format has an activation, on the region where every gate is active. Formats with equal numbers share a line."
    ),
    draw=draw,
)
