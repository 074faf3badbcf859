"""The main comparison as a LaTeX table (paper table 3)."""

from figures.shared.contract import TableSpec
from figures.shared.results import Results
from figures.tables.study_table import AUC, LOGLOSS, study_table

_CAPTION = "Main comparison (paper table 3)."


def write(results: Results) -> str:
    """One row for each model and data set."""
    return study_table(results, study="main", caption=_CAPTION, measures=(AUC, LOGLOSS))


TABLE = TableSpec(name="table_main", caption=_CAPTION, write=write, studies=("main",))
