"""Which interactions a format prefers: its variance at the start by interaction order, theory beside Monte-Carlo."""

from __future__ import annotations

from functools import cache
from math import comb
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import nnls

from figures.shared.contract import FigureSpec
from figures.shared.names import printed
from figures.shared.results import Results
from figures.shared.style import SEQUENTIAL, new_figure, text_on
from qnn_models.evaluation.measured_kernels import Measured, measured_covariance
from qnn_theory import formats, interaction_spectrum

FIELDS, EMBEDDING_DIM, DEPTH, STD = 8, 16, 3, 0.5
_DRAWS = 100
_NOT_DRAWN = ("T1", "T2", "T6")
"""Full bilinear maps, whose draws take minutes."""


def draw(results: Results) -> Figure:
    """Formats by rows, orders by columns: shares of the theory, the same measured, and those of the tangent kernel."""
    theory, tangent, measured = _shares()
    names = sorted(theory, key=lambda id: _mean_order(theory[id]))
    figure = new_figure(height_in=0.9 + 0.165 * len(names))
    panels = figure.subplots(1, 3, sharey=True)
    _heat(panels[0], [theory[id] for id in names])
    _heat(panels[1], [measured.get(id, np.full(FIELDS, np.nan)) for id in names])
    _heat(panels[2], [tangent[id] for id in names])
    titles = ("at the start, theory", f"at the start, {_DRAWS} draws of the modules", "tangent kernel, theory")
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title)
        axes.set_xlabel("interaction order")
    panels[0].set_yticks(range(len(names)), [printed(id) for id in names])
    return figure


@cache
def _shares() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Shares of the orders 1, 2, ...: by the covariance, by the tangent kernel, and measured where the layers are small."""
    setting: dict[str, Any] = {"fields": FIELDS, "embedding_dim": EMBEDDING_DIM, "depth": DEPTH, "embedding_std": STD}
    theory, tangent, measured = {}, {}, {}
    for format in formats():
        theory[format.id] = np.array(interaction_spectrum(format, **setting).shares[1:])
        tangent[format.id] = np.array(interaction_spectrum(format, **setting, kernel="tangent").shares[1:])
        if format.id not in _NOT_DRAWN:
            measured[format.id] = _fitted(measured_covariance(format, **setting, draws=_DRAWS))
    return theory, tangent, measured


def _fitted(kernel: Measured) -> np.ndarray:
    """Shares of the orders from 1 on of a kernel that was measured, with noise, for every number of agreeing fields.

    ``K(s) = Σ_k C(s, k) v_k`` with v_k that are no less than 0, by least squares in units of the standard errors: differences of
    the values would multiply their noise.
    """
    errors = np.maximum(kernel.errors, 1e-3 * max(kernel.values))
    binomials = np.array([[comb(s, k) / comb(FIELDS, k) for k in range(FIELDS + 1)] for s in range(FIELDS + 1)])
    variance, _ = nnls(binomials / errors[:, None], np.array(kernel.values) / errors)
    return np.asarray(variance[1:] / variance[1:].sum())


def _mean_order(shares: np.ndarray) -> float:
    return float(shares @ np.arange(1, len(shares) + 1))


def _heat(axes: Axes, rows: list[np.ndarray]) -> None:
    table = np.stack(rows)
    image = axes.imshow(table, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(FIELDS), [str(k) for k in range(1, FIELDS + 1)])
    axes.grid(visible=False)
    for y, row in enumerate(table):
        for x, value in enumerate(row):
            if value >= 0.095:
                red, green, blue, _ = (float(part) for part in image.to_rgba(np.array([value]))[0])
                axes.text(
                    x,
                    y,
                    f"{100 * value:.0f}",
                    ha="center",
                    va="center",
                    fontsize=5,
                    color=text_on((red, green, blue)),
                )


FIGURE = FigureSpec(
    name="spectra",
    caption=(
        "Which interactions a format prefers: the share of each order in the variance between rows, in per cent, of a stack of "
        f"{DEPTH} layers, {FIELDS} fields of width {EMBEDDING_DIM}, embeddings of deviation {STD}. Left: leading order of the "
        f"theory. Middle: {_DRAWS} draws of the torch modules, the best fit with no share below 0, whose noise moves shares "
        "between neighbouring orders; empty for full bilinear maps. Right: the tangent kernel, which says how fast gradient flow "
        "learns each order."
    ),
    draw=draw,
)
