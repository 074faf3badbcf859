"""What training costs, as a LaTeX table (paper table 7)."""

from figures.shared.contract import TableSpec
from figures.shared.results import Results
from figures.tables.study_table import AUC, LOGLOSS, Measure, study_table

_CAPTION = "Cost of training (paper table 7): memory and seconds for each epoch; the published ones on a GPU."
_MEMORY = Measure(
    title="memory (MiB)", metric="peak_mib", published="gpu_memory_mib", digits=0, published_title="GPU memory (MiB)"
)
_SECONDS = Measure(title="s / epoch", metric="epoch_seconds", published="seconds_per_epoch")


def write(results: Results) -> str:
    """One row for each model and data set."""
    return study_table(results, study="cost", caption=_CAPTION, measures=(AUC, LOGLOSS, _MEMORY, _SECONDS))


TABLE = TableSpec(name="table_cost", caption=_CAPTION, write=write, studies=("cost",))
