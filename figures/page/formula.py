"""A formula as a small SVG of outlines, for a page that loads nothing from elsewhere."""

from __future__ import annotations

import html
from functools import cache

from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from figures.shared.style import paper_style

_SIZE = 16.0
_COMMANDS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}


@cache
def formula_svg(latex: str) -> str:
    """One line of mathematics as an ``<svg>`` element as high as the text around it; the LaTeX stays readable to programs.

    Args:
        latex: what stands between dollar signs.

    Raises:
        ValueError: matplotlib's mathtext cannot read it.
    """
    # mathtext has no small fraction.
    with paper_style():
        outline = TextPath(
            (0, 0), f"${latex.replace(chr(92) + 'tfrac', chr(92) + 'frac')}$", size=_SIZE, prop=FontProperties()
        )
    box = outline.get_extents()
    data = []
    for points, code in outline.iter_segments(curves=True, simplify=False):
        if code == Path.CLOSEPOLY:
            data.append("Z")
        else:
            # SVG's second axis points down.
            numbers = (f"{value if index % 2 == 0 else -value:.2f}" for index, value in enumerate(points))
            data.append(_COMMANDS[code] + " ".join(numbers))
    label = html.escape(latex, quote=True)
    return (
        f'<svg class="formula" role="img" aria-label="{label}" '
        f'viewBox="{box.x0:.2f} {-box.y1:.2f} {box.width:.2f} {box.height:.2f}" '
        f'style="width:{box.width / _SIZE:.3f}em;height:{box.height / _SIZE:.3f}em;vertical-align:{box.y0 / _SIZE:.3f}em">'
        f'<path d="{"".join(data)}"/></svg>'
    )
