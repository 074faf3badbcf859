"""The files of ``qnn explain``: a table of all sets of fields, and a heat map of the pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from figures.pictures import interaction_map
from figures.shared.style import paper_style, save
from studies.running.record import write_whole

TABLE_FILE = "interactions.csv"
FIGURE_STEM = "interactions"


def write(
    table: pl.DataFrame, names: Sequence[str], strengths: Mapping[tuple[int, ...], float], *, folder: Path
) -> list[str]:
    """Write the table and, where there are pairs, the heat map as PDF and PNG; each whole or not at all.

    Args:
        table: a row for each set.
        names: names of the fields.
        strengths: strength of every set, by ascending positions.
        folder: where the files go.

    Returns:
        Their paths.
    """
    path = folder / TABLE_FILE
    write_whole(path, table.write_csv())
    if not any(len(fields) == 2 for fields in strengths):
        return [str(path)]
    with paper_style():
        figure = interaction_map.draw(names, strengths)
    pictures = [folder / f"{FIGURE_STEM}.{kind}" for kind in ("pdf", "png")]
    for picture in pictures:
        save(figure, picture)
    return [str(path), *map(str, pictures)]
