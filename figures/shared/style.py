"""The one style of every figure: sizes, colours, fonts, and files that come out the same byte for byte.

Widths are those of a two-column ACM page. Fonts are the ones that come with matplotlib, so that a picture does not
depend on the machine; PDFs embed them as TrueType. Colours are the palette of Okabe and Ito (okabe2008color), which
stays distinct for colour-blind readers; no figure says anything by colour alone.
"""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from qnn_models.runtime.whole_file import appearing

TWO_COLUMNS_IN = 7.0
PNG_DPI = 300

BLACK = "#000000"
WHITE = "#FFFFFF"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#767676"
LIGHT_GREY = "#C8C8C8"

PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK, YELLOW)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (7, 2, 1, 2)))

OURS = BLUE
PUBLISHED = VERMILION

SEQUENTIAL = "cividis"

_RC: dict[str, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "figure.titlesize": 8.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 4.0,
    "errorbar.capsize": 1.5,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.2,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.045,
    "figure.dpi": 100,
    "savefig.dpi": PNG_DPI,
    "savefig.bbox": None,
    "pdf.fonttype": 42,
    "pdf.compression": 6,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
}

_METADATA: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


def paper_style() -> AbstractContextManager[None]:
    """Draw inside this: matplotlib's own defaults plus the paper's, whatever the user's configuration says."""
    return matplotlib.style.context(["default", _RC])


def new_figure(*, height_in: float) -> Figure:
    """An empty figure as wide as a page's two columns; it belongs to no global state and needs no closing."""
    figure = Figure(figsize=(TWO_COLUMNS_IN, height_in))
    FigureCanvasAgg(figure)
    return figure


def text_on(fill: tuple[float, float, float]) -> str:
    """Black or white, whichever is read better on this colour (relative luminance of the WCAG)."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in fill)
    return BLACK if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else WHITE


def save(figure: Figure, path: Path) -> None:
    """Write one picture whole or not at all; the format follows from the suffix, and no date or program name is stored.

    Args:
        figure: the drawn figure.
        path: target ending in ``.pdf`` or ``.png``.

    Raises:
        ValueError: another suffix.
    """
    kind = path.suffix.removeprefix(".")
    if kind not in _METADATA:
        raise ValueError(f"A figure is saved as .pdf or .png, however: {path.name}.")
    drawn = io.BytesIO()  # matplotlib hides a disk that is full behind errors of its own
    with paper_style():
        figure.savefig(drawn, format=kind, metadata=_METADATA[kind])
    with appearing(path) as temporary:
        temporary.write_bytes(drawn.getvalue())
