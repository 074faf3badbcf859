"""The marks of formats and whole models, the same in every picture that shows post-activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.lines import Line2D

from figures.shared.style import BLACK, GREEN, PURPLE, WHITE


@dataclass(frozen=True, slots=True)
class Mark:
    """How one kind of model is marked.

    Attributes:
        marker: matplotlib's marker.
        colour: colour of its edge, and of the interval on it.
        face: colour of its face.
    """

    marker: str
    colour: str
    face: str

    def look(self) -> dict[str, Any]:
        """As keyword arguments of matplotlib's lines and error bars."""
        return {"marker": self.marker, "color": self.colour, "markerfacecolor": self.face}

    def key(self, label: str) -> Line2D:
        """Its entry in a legend."""
        return Line2D([], [], linestyle="", label=label, **self.look())


# Panels of ours and of published numbers both have these, so they have the colours of neither.
PLAIN = Mark("o", BLACK, BLACK)
POST_ACTIVATED = Mark("D", PURPLE, WHITE)
WHOLE_MODEL = Mark("s", GREEN, GREEN)
