"""What the theory says of one layer of each format, as a LaTeX table."""

from __future__ import annotations

from figures.shared.contract import TableSpec
from figures.shared.names import printed
from figures.shared.results import Results
from figures.shared.theory import DIM, smoothness_text, theory_table
from figures.tables.latex_table import LatexTable
from figures.tables.study_table import NOTHING
from qnn_theory import get_format
from qnn_theory.cards.tables import latex_escape

_CAPTION = (
    f"One layer of each format at d = {DIM}: degree, monomials of the expanded feature space, largest rank of an output's "
    "quadratic form, parameters, effective dimension (rank of the map from parameters to functions), and smoothness class "
    "without and with a ReLU after it; all computed for generic parameters."
)


def write(results: Results) -> str:
    """One row for each registered format."""
    return LatexTable(
        caption=_CAPTION,
        label="theory",
        columns="llrrrrrll",
        groups=[("", 7), ("smoothness", 2)],
        header=["format", "formula", "degree", "monomials", "rank", "parameters", "dimension", "plain", "with ReLU"],
        rows=[
            [
                latex_escape(printed(row["id"])),
                f"${get_format(row['id']).latex}$",
                *(
                    NOTHING if row[name] is None else f"{row[name]}"
                    for name in ("degree", "monomials", "rank", "parameters", "dimension")
                ),
                *(latex_escape(smoothness_text(row[name])) for name in ("smooth", "smooth_relu")),
            ]
            for row in theory_table().iter_rows(named=True)
        ],
    ).text()


TABLE = TableSpec(name="table_theory", caption=_CAPTION, write=write)
