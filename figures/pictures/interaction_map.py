"""The interactions that a trained model has learned: a heat map of all pairs of fields, with single fields beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from figures.shared.style import OURS, SEQUENTIAL, new_figure

_LARGEST_IN = 9.0


def draw(names: Sequence[str], strengths: Mapping[tuple[int, ...], float]) -> Figure:
    """A square for each pair of fields and a bar for each field, in units of the logit; drawn inside the paper's style.

    Args:
        names: names of the fields.
        strengths: strength of every single field and every pair, by ascending positions.
    """
    fields = len(names)
    picture = np.full((fields, fields), np.nan)
    for pair in (chosen for chosen in strengths if len(chosen) == 2):
        picture[pair], picture[pair[::-1]] = strengths[pair], strengths[pair]
    figure = new_figure(height_in=min(_LARGEST_IN, 1.4 + 0.16 * max(fields, 8)))
    pairs, single = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    drawn = pairs.imshow(picture, cmap=SEQUENTIAL, vmin=0, interpolation="none", aspect="auto")
    pairs.set_xticks(range(fields), names, rotation=90)
    pairs.set_yticks(range(fields), names)
    pairs.tick_params(length=0)
    pairs.grid(visible=False)
    pairs.set_title("pairs of fields")
    figure.colorbar(drawn, ax=pairs, label="strength (logit)", pad=0.01)
    single.barh(range(fields), [strengths[(field,)] for field in range(fields)], height=0.7, color=OURS)
    single.set_title("single fields")
    single.set_xlabel("strength (logit)")
    single.grid(visible=False, axis="y")
    single.tick_params(axis="y", length=0)
    return figure
