"""Tables of whole studies: every declared one fits its study, and one entry is all that a new one takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from figures.shared.results import Results
from figures.tables.study_table import Measure, StudyTable, study_table_spec
from figures.tables.study_tables import STUDY_TABLES
from studies.declaring.load import load_config
from studies.declaring.plan import plan
from studies.declaring.published import published_metrics
from studies.tasks.metrics import METRICS


@pytest.mark.parametrize("table", STUDY_TABLES, ids=lambda table: table.study)
def test_a_declared_table_fits_its_study_and_the_paper(table: StudyTable) -> None:
    config = load_config(table.study)
    assert {measure.metric for measure in table.measures} <= set(METRICS[config.task])
    assert config.published is not None
    paper = {measure.published for measure in table.measures} - {""}
    assert paper <= set(published_metrics(config.published.source))
    settings = {name for spec in plan(config) for name, _ in spec.options}
    assert set(table.settings) <= settings


def _written(table: StudyTable, results: Path) -> list[str]:
    spec = study_table_spec(table)
    assert (spec.name, spec.studies) == (f"table_{table.study}", (table.study,))
    return spec.write(Results(results)).splitlines()


@pytest.mark.parametrize(
    ("table", "header", "first_cells"),
    [
        (StudyTable(study="rows", caption="Rows."), r"data & model & $n$ & AUC (\%) & log loss & data &", 8),
        (
            StudyTable(
                study="depth",
                caption="Depth & more_or_less.",
                measures=(Measure(title="ms_1", metric="latency_us", scale=1e-3, digits=3),),
                settings={"layers": "L_1", "no_such_setting": "gone"},
            ),
            r"data & model & L\_1 & $n$ & ms\_1 \\",
            5,
        ),
        (
            StudyTable(study="depth", caption="Depth.", measures=(Measure(title="x", metric="no_such_metric"),)),
            r"data & model & $n$ \\",
            3,
        ),
    ],
    ids=["as the others", "own measures and settings", "a metric that was not collected"],
)
def test_a_new_table_is_one_entry(table: StudyTable, header: str, first_cells: int, results_folder: Path) -> None:
    lines = _written(table, results_folder)
    assert any(line.startswith(header) for line in lines)
    rows = [line for line in lines if line.startswith("ML-100K")]
    assert len(rows) >= 3
    assert {line.count(" & ") + 1 for line in rows} == {first_cells}
    assert rf"\label{{tab:{table.study}}}" in lines
    assert not any("more_or" in line for line in lines)
