"""The compatibility as a LaTeX table (paper table 5)."""

from figures.shared.contract import TableSpec
from figures.shared.results import Results
from figures.tables.study_table import AUC, LOGLOSS, study_table

_CAPTION = "Other models with the self-ensemble loss, and with QNN-α in place of their MLP (paper table 5)."


def write(results: Results) -> str:
    """One row for each model and data set."""
    return study_table(results, study="compatibility", caption=_CAPTION, measures=(AUC, LOGLOSS))


TABLE = TableSpec(name="table_compatibility", caption=_CAPTION, write=write, studies=("compatibility",))
