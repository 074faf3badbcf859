"""Places for the nodes of a layered drawing of an order: few crossings, short edges, no overlaps. Deterministic.

The method is that of Sugiyama, Tagawa and Toda (sugiyama1981layered): layers by longest paths, order within layers by
barycentres and swaps, coordinates by least squares with a least distance between neighbours.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_SWEEPS = 24


@dataclass(frozen=True, slots=True)
class Placed:
    """A drawing.

    Attributes:
        xs: horizontal centre of each node.
        layers: layer of each node; 0 is the lowest.
        paths: for each edge the points (x, layer) that it goes through, both ends included.
    """

    xs: tuple[float, ...]
    layers: tuple[int, ...]
    paths: tuple[tuple[tuple[float, float], ...], ...]


@dataclass(slots=True)
class _Graph:
    """The nodes and, for edges that skip layers, a thin node in every layer between."""

    widths: list[float]
    layer: list[int]
    up: list[list[int]] = field(default_factory=list)
    down: list[list[int]] = field(default_factory=list)


def place(widths: Sequence[float], edges: Sequence[tuple[int, int]], *, gap: float) -> Placed:
    """Place nodes so that every edge points up.

    Args:
        widths: width of each node.
        edges: pairs (lower, upper); they must not form a circle.
        gap: least distance between neighbours in a layer.
    """
    layers = _layers(len(widths), edges)
    graph = _Graph(widths=list(widths), layer=list(layers), up=[[] for _ in widths], down=[[] for _ in widths])
    chains = [_chain(graph, lower, upper) for lower, upper in edges]
    rows = _ordered(graph)
    xs = _coordinates(graph, rows, gap)
    return Placed(
        xs=tuple(xs[: len(widths)]),
        layers=tuple(layers),
        paths=tuple(tuple((xs[node], float(graph.layer[node])) for node in chain) for chain in chains),
    )


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Longest path from below; then each node is lifted to just under what it lies below, which shortens edges."""
    uppers = _neighbours(count, edges)
    lowers = _neighbours(count, [(upper, lower) for lower, upper in edges])
    layers = [0] * count
    order = _upwards(count, lowers)
    for node in order:
        layers[node] = max((layers[lower] + 1 for lower in lowers[node]), default=0)
    for node in reversed(order):
        if uppers[node] and not lowers[node]:
            layers[node] = min(layers[upper] for upper in uppers[node]) - 1
    return layers


def _neighbours(count: int, edges: Iterable[tuple[int, int]]) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(count)]
    for start, end in edges:
        found[start].append(end)
    return found


def _upwards(count: int, lowers: Sequence[Sequence[int]]) -> list[int]:
    """All nodes, each after those below it."""
    done: list[int] = []
    while len(done) < count:
        ready = [node for node in range(count) if node not in done and all(lower in done for lower in lowers[node])]
        if not ready:
            raise ValueError("An order has no circle, however: these edges have one.")
        done += ready
    return done


def _chain(graph: _Graph, lower: int, upper: int) -> list[int]:
    chain = [lower]
    for layer in range(graph.layer[lower] + 1, graph.layer[upper]):
        graph.widths.append(0.0)
        graph.layer.append(layer)
        graph.up.append([])
        graph.down.append([])
        chain.append(len(graph.widths) - 1)
    chain.append(upper)
    for below, above in itertools.pairwise(chain):
        graph.up[below].append(above)
        graph.down[above].append(below)
    return chain


def _ordered(graph: _Graph) -> list[list[int]]:
    """The nodes of each layer from left to right."""
    rows = [
        [node for node, layer in enumerate(graph.layer) if layer == number] for number in range(max(graph.layer) + 1)
    ]
    best, fewest = [list(row) for row in rows], _crossings(graph, rows)
    for sweep in range(_SWEEPS):
        upwards = sweep % 2 == 0
        around = graph.down if upwards else graph.up
        for number in range(1, len(rows)) if upwards else range(len(rows) - 2, -1, -1):
            position = _positions(rows)
            rows[number].sort(key=_barycentre(around, position))
        _swap(graph, rows)
        crossings = _crossings(graph, rows)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _positions(rows: Sequence[Sequence[int]]) -> dict[int, float]:
    return {node: (place + 0.5) / len(row) for row in rows for place, node in enumerate(row)}


def _barycentre(around: Sequence[Sequence[int]], position: dict[int, float]) -> Callable[[int], float]:
    def centre(node: int) -> float:
        near = around[node]
        return sum(position[other] for other in near) / len(near) if near else position[node]

    return centre


def _swap(graph: _Graph, rows: list[list[int]]) -> None:
    """Swap neighbours as long as that removes crossings."""
    improved = True
    while improved:
        improved = False
        for number, row in enumerate(rows):
            for place in range(len(row) - 1):
                before = _crossings(graph, rows, around=number)
                row[place], row[place + 1] = row[place + 1], row[place]
                if _crossings(graph, rows, around=number) < before:
                    improved = True
                else:
                    row[place], row[place + 1] = row[place + 1], row[place]


def _crossings(graph: _Graph, rows: Sequence[Sequence[int]], *, around: int | None = None) -> int:
    """Crossings of edges between adjacent layers, all of them or those that touch one layer."""
    total = 0
    for number in range(len(rows) - 1):
        if around is not None and around not in (number, number + 1):
            continue
        place = {node: index for index, node in enumerate(rows[number + 1])}
        ends = [place[upper] for node in rows[number] for upper in sorted(graph.up[node], key=place.__getitem__)]
        total += sum(a > b for a, b in itertools.combinations(ends, 2))
    return total


def _coordinates(graph: _Graph, rows: Sequence[Sequence[int]], gap: float) -> list[float]:
    xs = np.zeros(len(graph.widths))
    separations = [
        np.array([(graph.widths[a] + graph.widths[b]) / 2 + gap for a, b in itertools.pairwise(row)]) for row in rows
    ]
    for row, separation in zip(rows, separations, strict=True):
        spread = np.concatenate([[0.0], np.cumsum(separation)])
        xs[row] = spread - spread.mean()
    for sweep in range(4 * _SWEEPS):
        for number in range(len(rows)) if sweep % 2 == 0 else range(len(rows) - 1, -1, -1):
            row = rows[number]
            wanted = np.array([_wanted(graph, node, xs) for node in row])
            xs[row] = _apart(wanted, separations[number])
    return [float(x) for x in xs - xs.mean()]


def _wanted(graph: _Graph, node: int, xs: NDArray[np.float64]) -> float:
    near = [*graph.up[node], *graph.down[node]]
    return float(np.mean(xs[near])) if near else float(xs[node])


def _apart(wanted: NDArray[np.float64], separation: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points nearest to the wanted ones, in squares, that keep their order and at least these distances.

    With the distances taken off this is isotonic regression, solved by pooling adjacent violators.
    """
    offset = np.concatenate([[0.0], np.cumsum(separation)])
    blocks: list[tuple[float, int]] = []
    for value in wanted - offset:
        mean, size = float(value), 1
        while blocks and blocks[-1][0] > mean:
            other, count = blocks.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        blocks.append((mean, size))
    return np.concatenate([np.full(size, mean) for mean, size in blocks]) + offset
