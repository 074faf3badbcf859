"""Heads, their layout and their latency as a LaTeX table (paper table 6)."""

from figures.shared.contract import TableSpec
from figures.shared.results import Results
from figures.tables.study_table import AUC, LOGLOSS, Measure, study_table

_CAPTION = (
    "QNN-α by number and layout of heads, with parameters and latency (paper table 6). The published numbers were measured with "
    "the released layout and stand there alone; with one head both layouts are the same function."
)
_PARAMETERS = Measure(title="parameters", metric="parameters", digits=0)
_LATENCY = Measure(
    title="ms / 100 samples",
    metric="latency_100_us",
    published="latency_ms_per_100_samples",
    scale=1e-3,
    digits=2,
)


def write(results: Results) -> str:
    """One row for each number of heads and layout."""
    return study_table(
        results,
        study="heads",
        caption=_CAPTION,
        measures=(AUC, LOGLOSS, _PARAMETERS, _LATENCY),
        settings={"heads": "heads", "head_layout": "layout"},
    )


TABLE = TableSpec(name="table_heads", caption=_CAPTION, write=write, studies=("heads",))
