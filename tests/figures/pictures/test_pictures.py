"""Every picture is drawn in the paper's sizes, with fonts embedded, twice the same, and shows what it says."""

from __future__ import annotations

import itertools
from pathlib import Path

import polars as pl
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from figures.build import drawn
from figures.shared.contract import FigureSpec
from figures.shared.results import MissingResultsError, Results
from figures.shared.style import OURS, PNG_DPI, PUBLISHED, TWO_COLUMNS_IN, paper_style, save
from tests.figures.conftest import QUICK_FIGURES


@pytest.mark.parametrize("spec", QUICK_FIGURES, ids=lambda spec: spec.name)
def test_figure_files(spec: FigureSpec, built: Path) -> None:
    with Image.open(built / f"{spec.name}.png") as picture:
        width_in = picture.width / PNG_DPI
        assert abs(width_in - TWO_COLUMNS_IN) < 0.01
        assert picture.height / PNG_DPI < 9.3  # the height of an ACM page's text
        assert picture.convert("L").getextrema() != (255, 255)
    pdf = (built / f"{spec.name}.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"/CreationDate" not in pdf


@pytest.mark.parametrize("spec", QUICK_FIGURES, ids=lambda spec: spec.name)
def test_panels_hold_data_texts_stay_on_the_page_and_bytes_repeat(
    spec: FigureSpec, results_folder: Path, built: Path, tmp_path: Path
) -> None:
    with paper_style():
        figure = drawn(spec, Results(results_folder))
    visible = [axes for axes in figure.axes if axes.get_visible()]
    assert visible
    assert all(axes.has_data() or axes.texts or axes.images for axes in visible)
    with paper_style():
        box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert box.x0 > -0.01
    assert box.y0 > -0.01
    assert box.x1 < width + 0.01
    assert box.y1 < height + 0.01
    save(figure, tmp_path / "again.pdf")
    assert (tmp_path / "again.pdf").read_bytes() == (built / f"{spec.name}.pdf").read_bytes()


def _drawn(name: str, folder: Path) -> Figure:
    (spec,) = (spec for spec in QUICK_FIGURES if spec.name == name)
    with paper_style():
        return drawn(spec, Results(folder))


def test_fits_have_not_the_colour_of_published_numbers(results_folder: Path) -> None:
    lines = [line for axes in _drawn("scalability", results_folder).axes for line in axes.lines]
    assert PUBLISHED not in {to_hex(line.get_color()).upper() for line in lines}


@pytest.mark.parametrize("name", ["formats", "pareto"])
def test_post_activations_have_not_the_colours_of_ours_and_published(name: str, results_folder: Path) -> None:
    figure = _drawn(name, results_folder)
    colours = {to_hex(line.get_color()).upper() for axes in figure.axes for line in axes.lines}
    assert len(colours) >= 3
    assert not colours & {OURS, PUBLISHED}


def test_models_that_hold_their_own_activations_are_not_drawn_as_formats_without_one(results_folder: Path) -> None:
    ours, *_ = _drawn("formats", results_folder).axes
    heights = {
        label.get_text(): float(tick) for tick, label in zip(ours.get_yticks(), ours.get_yticklabels(), strict=True)
    }
    marks = {
        (line.get_marker(), round(float(line.get_ydata()[0]))) for line in ours.lines if line.get_marker() in "osD"
    }
    assert {marker for marker, y in marks if y == heights["DNN"]} == {"s"}
    assert {marker for marker, y in marks if y == heights["T9"]} == {"o", "D"}


def test_both_rankings_are_drawn_where_a_study_has_them(results_folder: Path, tmp_path: Path) -> None:
    rankings = pl.read_csv(results_folder / "regularisation_rankings.csv")
    small, *others = _drawn("regularisation", results_folder).axes
    assert len(others) == 2  # formats and main, on the one data set where they choose
    assert small.get_title() == "regularisation, NYC flights\n3 seeds"
    names = [label.get_text() for label in sorted(small.get_yticklabels(), key=lambda label: -label.get_position()[1])]
    assert names == [
        f"{row['label']} ({row['fixed_rank']})".replace("QNN-alpha", "QNN-α")
        for row in rankings.sort("tuned_rank").iter_rows(named=True)
    ]
    with pytest.raises(MissingResultsError, match="qnn study run regularisation"):
        _drawn("regularisation", tmp_path)


def test_panels_of_redundancy_share_their_scale(results_folder: Path) -> None:
    one, two = _drawn("redundancy", results_folder).axes
    assert one.get_xlim() == two.get_xlim()


def test_boundaries_say_how_many_seeds_and_set_minus_signs(results_folder: Path, tmp_path: Path) -> None:
    for path in results_folder.glob("boundaries*.csv"):
        (tmp_path / path.name).write_text(path.read_text().replace(",0.97,", ",-0.03,"))
    panels = _drawn("boundaries", tmp_path).axes
    assert {axes.get_ylabel() for axes in panels} == {"two moons\n3 seeds", "circles\n3 seeds", ""}
    assert all("gradient order −0.03" in axes.get_xlabel() for axes in panels)


def test_column_titles_of_the_overview_stand_apart(results_folder: Path) -> None:
    (axes,) = _drawn("overview", results_folder).axes
    boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    assert "3 seeds" in axes.get_xticklabels()[-3].get_text()
