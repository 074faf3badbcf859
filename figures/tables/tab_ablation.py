"""The ablation as a LaTeX table (paper table 4)."""

from figures.shared.contract import TableSpec
from figures.shared.results import Results
from figures.tables.study_table import AUC, LOGLOSS, study_table

_CAPTION = "Ablation of QNN-α (paper table 4)."


def write(results: Results) -> str:
    """One row for each model and data set."""
    return study_table(results, study="ablation", caption=_CAPTION, measures=(AUC, LOGLOSS))


TABLE = TableSpec(name="table_ablation", caption=_CAPTION, write=write, studies=("ablation",))
