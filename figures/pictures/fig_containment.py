"""The containment order of the formats as a Hasse diagram, with the AUC of each class of equal formats on it."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path

from figures.drawing.layered import Placed, place
from figures.shared.contract import FigureSpec
from figures.shared.format_scores import format_runs, measured_formats, of_first_dataset, published_formats
from figures.shared.names import printed
from figures.shared.outliers import floor_of
from figures.shared.results import Results
from figures.shared.seeds import ours_title
from figures.shared.style import GREY, SEQUENTIAL, TWO_COLUMNS_IN, new_figure, text_on
from qnn_theory.relations.relation import containment_order

_LETTER_IN = 0.052
_LINE_IN = 0.115
_PAD_IN = 0.04
_GAPS_IN = (0.14, 0.1, 0.07, 0.04, 0.02)
_LAYER_IN = 0.72
_BOX_IN = 0.45
_MARGIN_IN = 0.06
_HEAD_IN = 0.95
_FOOT_IN = 0.8
_LINE_LETTERS = 14
_NAMED_PAIRS = 4


@dataclass(frozen=True, slots=True)
class _Node:
    """A class of equivalent formats.

    Attributes:
        lines: what is written on it.
        value: what it is coloured by, our AUC or else the published one; None for neither.
    """

    lines: tuple[str, ...]
    value: float | None

    @property
    def width_in(self) -> float:
        """Width of its box."""
        return max(map(len, self.lines)) * _LETTER_IN + 2 * _PAD_IN

    @property
    def height_in(self) -> float:
        """Height of its box."""
        return _box_height(len(self.lines))


@dataclass(frozen=True, slots=True)
class _Colours:
    """What values look like; with ``darkest_is_open`` the darkest colour also stands for everything below the scale."""

    scale: ScalarMappable
    darkest_is_open: bool

    def of(self, value: float) -> tuple[float, float, float]:
        """Red, green and blue."""
        red, green, blue, _ = self.scale.to_rgba(np.array([value]))[0]
        return float(red), float(green), float(blue)


def _box_height(lines: int) -> float:
    return lines * _LINE_IN + 2 * _PAD_IN


def draw(results: Results) -> Figure:
    """Formats joined by a line are contained, the lower in the upper; formats in one box express the same functions."""
    order = containment_order()
    ours, source = _ours(results)
    paper = _plain(published_formats())
    nodes = [_node(members, ours, paper) for members in order.classes]
    joined = sorted({node for edge in order.edges for node in edge})
    alone = [nodes[node] for node in range(len(nodes)) if node not in joined]
    number = {node: index for index, node in enumerate(joined)}
    edges = [(number[lower], number[upper]) for lower, upper in order.edges]
    placed = _fitted([nodes[node].width_in for node in joined], edges)
    bottom = _MARGIN_IN + (_FOOT_IN if alone else 0)
    height = bottom + _LAYER_IN * max(placed.layers) + _HEAD_IN
    figure = new_figure(height_in=height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, TWO_COLUMNS_IN), ylim=(0, height))
    colours = _colours([node.value for node in nodes if node.value is not None])
    _draw_order(axes, [nodes[node] for node in joined], edges, placed, colours, lowest=bottom + _BOX_IN / 2)
    _draw_alone(axes, alone, colours)
    if colours is not None:
        box = axes.inset_axes((0.76, 1 - 0.2 / height, 0.22, 0.09 / height))
        extend = "min" if colours.darkest_is_open else "neither"
        figure.colorbar(colours.scale, cax=box, orientation="horizontal", extend=extend)
        box.set_xlabel(f"test AUC (%), {'ours' if ours else 'published'}", labelpad=1)
    axes.text(
        _MARGIN_IN,
        height - _MARGIN_IN,
        f"A line: the lower format's functions are all functions of the upper.\nNumbers: test AUC (%), {source}."
        + _undecided(order.open),
        va="top",
        fontsize=7,
    )
    return figure


def _undecided(pairs: Sequence[tuple[str, str]]) -> str:
    """A line about pairs without a line that might have one; there are none among the paper's formats."""
    if not pairs:
        return ""
    named = ", ".join(f"{printed(lower)} in {printed(upper)}" for lower, upper in pairs[:_NAMED_PAIRS])
    more = f" and {len(pairs) - _NAMED_PAIRS} more" if len(pairs) > _NAMED_PAIRS else ""
    return f"\nNot decided: {named}{more}."


def _fitted(widths: Sequence[float], edges: Sequence[tuple[int, int]]) -> Placed:
    """The drawing with the widest gaps that fit the page."""
    for gap in _GAPS_IN:
        placed = place(widths, edges, gap=gap)
        reach = max(abs(x) + width / 2 for x, width in zip(placed.xs, widths, strict=True))
        if reach <= TWO_COLUMNS_IN / 2 - _MARGIN_IN:
            break
    return placed


def _colours(values: Sequence[float]) -> _Colours | None:
    """Colours for these values; ones far below the rest share the darkest, so that the rest can be told apart."""
    if not values:
        return None
    floor = floor_of(values)
    scale = ScalarMappable(Normalize(floor, max(values)), matplotlib.colormaps[SEQUENTIAL])
    return _Colours(scale=scale, darkest_is_open=min(values) < floor)


def _ours(results: Results) -> tuple[Mapping[str, float], str]:
    """Our AUC by format without post-activation, and what the numbers in a box are."""
    if not results.has("formats"):
        return {}, "published (Criteo)"
    runs = of_first_dataset(format_runs(results))
    measured = measured_formats(runs)
    source = ours_title(runs, measured["n"].to_list(), intervals=False)
    return _plain(measured), f"{source} (published, Criteo, one run each)"


def _plain(scores: pl.DataFrame) -> dict[str, float]:
    plain = scores.filter(pl.col("post_activation") == "none")
    return dict(zip(plain["label"], plain["mean"], strict=True))


def _node(members: Sequence[str], ours: Mapping[str, float], paper: Mapping[str, float]) -> _Node:
    means = []
    for source in (ours, paper) if ours else (paper,):
        known = [source[member] for member in members if member in source]
        means.append(sum(known) / len(known) if known else None)
    names = textwrap.wrap(
        " = ".join(printed(member).replace(" ", "\u00a0") for member in members), _LINE_LETTERS, break_on_hyphens=False
    )
    patterns = ("{:.2f}", "({:.2f})") if ours else ("{:.2f}",)
    numbers = [pattern.format(mean) for pattern, mean in zip(patterns, means, strict=True) if mean is not None]
    return _Node(lines=(*names, *numbers), value=means[0])


def _draw_order(
    axes: Axes,
    nodes: Sequence[_Node],
    edges: Sequence[tuple[int, int]],
    placed: Placed,
    colours: _Colours | None,
    *,
    lowest: float,
) -> None:
    def point(x: float, layer: float) -> tuple[float, float]:
        return TWO_COLUMNS_IN / 2 + x, lowest + _LAYER_IN * layer

    for (lower, upper), path in zip(edges, placed.paths, strict=True):
        (x0, y0), *between, (x1, y1) = (point(*step) for step in path)
        # Lines run slantwise between the layers only, and straight up past the boxes of a layer that they skip.
        passing = [(x, y + side * _box_height(2) / 2) for x, y in between for side in (-1, 1)]
        corners = [(x0, y0 + nodes[lower].height_in / 2), *passing, (x1, y1 - nodes[upper].height_in / 2)]
        axes.add_patch(PathPatch(_curve(corners), facecolor="none", edgecolor=GREY, linewidth=0.7, zorder=1))
    for node, x, layer in zip(nodes, placed.xs, placed.layers, strict=True):
        _draw_node(axes, node, point(x, layer), colours)


def _curve(corners: Sequence[tuple[float, float]]) -> Path:
    """A smooth line through the corners that is upright at each of them."""
    points, codes = [corners[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in itertools.pairwise(corners):
        middle = (y0 + y1) / 2
        points += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Path.CURVE4] * 3
    return Path(points, codes)


def _draw_alone(axes: Axes, nodes: Sequence[_Node], colours: _Colours | None) -> None:
    if not nodes:
        return
    axes.text(_MARGIN_IN, _FOOT_IN - 0.17, "Neither contained in another format nor containing one:", fontsize=7)
    left = _MARGIN_IN
    for node in nodes:
        _draw_node(axes, node, (left + node.width_in / 2, _MARGIN_IN + _BOX_IN / 2), colours)
        left += node.width_in + _GAPS_IN[0]


def _draw_node(axes: Axes, node: _Node, centre: tuple[float, float], colours: _Colours | None) -> None:
    fill = (1.0, 1.0, 1.0) if node.value is None or colours is None else colours.of(node.value)
    axes.add_patch(
        FancyBboxPatch(
            (centre[0] - node.width_in / 2, centre[1] - node.height_in / 2),
            node.width_in,
            node.height_in,
            boxstyle="round,pad=0,rounding_size=0.04",
            facecolor=fill,
            edgecolor=GREY,
            linewidth=0.6,
            zorder=2,
        )
    )
    axes.text(
        *centre,
        "\n".join(node.lines),
        ha="center",
        va="center",
        fontsize=6.5,
        linespacing=1.1,
        color=text_on(fill),
        zorder=3,
    )


FIGURE = FigureSpec(
    name="containment",
    caption=(
        "Containment of the function classes of one layer, every pair proved by a parameter map or a separation unless it is "
        "named as not decided. Formats in one box express the same functions. Colour and numbers: test AUC without "
        "post-activation, ours and published, averaged over the formats of a box; QNN-α's is that of the whole model, which was "
        "trained with the self-ensemble loss."
    ),
    draw=draw,
)
