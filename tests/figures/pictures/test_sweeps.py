"""Sweeps: every declared one fits its study and the published numbers, and one entry is all that a new one takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from matplotlib.figure import Figure

from figures.drawing.sweep_panels import AUC, LOGLOSS, PublishedSweep, Sweep, published_sweep, sweep_figure
from figures.pictures.sweeps import SWEEPS
from figures.shared.results import Results, published
from figures.shared.style import paper_style
from studies.declaring.load import load_config
from studies.declaring.plan import plan
from studies.tasks.spec import as_text

BY_STUDY = {sweep.study: sweep for sweep in SWEEPS}


def _draw(sweep: Sweep, results: Path) -> Figure:
    with paper_style():
        figure = sweep_figure(sweep).draw(Results(results))
        figure.draw_without_rendering()
    return figure


def _ticks(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda sweep: sweep.study)
def test_a_declared_sweep_fits_its_study_and_the_paper(sweep: Sweep) -> None:
    runs = [
        {**dict(spec.options), **{f"training_{key}": value for key, value in spec.training}}
        for spec in plan(load_config(sweep.study))
    ]
    values = {
        as_text(run[sweep.setting]) for run in runs if {sweep.setting, sweep.group or sweep.setting} <= run.keys()
    }
    assert len(values) > 1
    assert values <= set(sweep.order) if sweep.order else all(value.isdigit() for value in values)
    assert sweep.published is not None
    paper = published_sweep(sweep)
    assert paper["value"].n_unique() > 2
    assert {as_text(value) for value in paper["value"]} <= values
    assert all(metric.published in set(paper["metric"]) for metric in sweep.metrics)


@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda sweep: sweep.study)
def test_every_published_row_of_the_setting_is_in_the_sweep(sweep: Sweep) -> None:
    assert sweep.published is not None
    rows = published(sweep.published.source).filter(pl.col("model").str.starts_with("QNN-alpha"))
    assert len(published_sweep(sweep)) == len(rows)


@pytest.mark.parametrize("study", ["depth", "mid_activations", "heads"])
def test_a_sweep_that_the_paper_has_not_shows_ours_alone(study: str, results_folder: Path) -> None:
    whole = _draw(BY_STUDY[study], results_folder)
    alone = _draw(replace(BY_STUDY[study], published=None), results_folder)
    titles = [axes.get_title() for axes in alone.axes]
    assert len(alone.axes) < len(whole.axes)
    assert any("ours" in title for title in titles)
    assert not any("published" in title for title in titles)


def test_a_value_that_no_order_names_is_drawn_below_the_known_ones(results_folder: Path, tmp_path: Path) -> None:
    text = (results_folder / "mid_activations.csv").read_text()
    assert ",silu," in text
    (tmp_path / "mid_activations.csv").write_text(text.replace(",silu,", ",elu,"))
    figure = _draw(BY_STUDY["mid_activations"], tmp_path)
    assert _ticks(figure) == ["ReLU", "Mish", "GELU", "ReLU6", "Sigmoid", "SiLU", "tanh", "elu"]
    assert sum(bool(line.get_ydata()[0] == 1) for line in figure.axes[0].lines if line.get_marker() == "o") == 1


def test_truth_values_have_an_order_too(results_folder: Path, tmp_path: Path) -> None:
    frame = pl.read_csv(results_folder / "depth.csv").with_columns(batch_norm=pl.col("layers") > 2)
    frame.write_csv(tmp_path / "norm.csv")
    sweep = Sweep(
        study="norm", setting="batch_norm", title="batch norm", caption="Batch norm.", order=("true", "false")
    )
    figure = _draw(sweep, tmp_path)
    assert _ticks(figure) == ["true", "false"]
    assert len(figure.axes) == len((AUC, LOGLOSS))
    assert all(sum(line.get_marker() == "o" for line in axes.lines) == 2 for axes in figure.axes)


def test_a_source_that_the_paper_has_not_is_an_error(results_folder: Path) -> None:
    sweep = replace(BY_STUDY["depth"], published=PublishedSweep(source="figure9", value="(.*)"))
    with pytest.raises(KeyError, match="figure9"):
        _draw(sweep, results_folder)
