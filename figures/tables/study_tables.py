"""The tables that show a whole study: each is one entry here, and `study_table` writes them all."""

from __future__ import annotations

from figures.tables.study_table import AUC, LOGLOSS, Measure, StudyTable, study_table_spec

STUDY_TABLES = (
    StudyTable(study="ablation", caption="Ablation of QNN-α (paper table 4)."),
    StudyTable(
        study="compatibility",
        caption="Other models with the self-ensemble loss, and with QNN-α in place of their MLP (paper table 5).",
    ),
    StudyTable(
        study="cost",
        caption="Cost of training (paper table 7): memory and seconds for each epoch; the published ones on a GPU.",
        measures=(
            AUC,
            LOGLOSS,
            Measure(
                title="memory (MiB)",
                metric="peak_mib",
                published="gpu_memory_mib",
                digits=0,
                published_title="GPU memory (MiB)",
            ),
            Measure(title="s / epoch", metric="epoch_seconds", published="seconds_per_epoch"),
        ),
    ),
    StudyTable(
        study="heads",
        caption=(
            "QNN-α by number and layout of heads, with parameters and latency (paper table 6). The published numbers were "
            "measured with the released layout and stand there alone; with one head both layouts are the same function."
        ),
        measures=(
            AUC,
            LOGLOSS,
            Measure(title="parameters", metric="parameters", digits=0),
            Measure(
                title="ms / 100 samples", metric="latency_100_us", published="latency_ms_per_100_samples", scale=1e-3
            ),
        ),
        settings={"heads": "heads", "head_layout": "layout"},
    ),
    StudyTable(study="main", caption="Main comparison (paper table 3)."),
)

TABLES = tuple(map(study_table_spec, STUDY_TABLES))
