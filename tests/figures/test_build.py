"""Figures and tables: every one is drawn, in the paper's sizes, with fonts embedded, twice the same; missing input is said."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from figures.build import build, discover, drawn, select
from figures.commands.figures_command import figures as figures_command
from figures.pictures.sweeps import SWEEPS
from figures.shared.contract import FigureSpec, TableSpec
from figures.shared.labels import place_labels
from figures.shared.results import Results, published
from figures.shared.style import ONE_COLUMN_IN, OURS, PNG_DPI, PUBLISHED, TWO_COLUMNS_IN, new_figure, paper_style, save
from figures.tables.study_tables import STUDY_TABLES
from tests.figures.conftest import QUICK_FIGURES, TABLES

FIGURES = [spec for spec in discover() if isinstance(spec, FigureSpec)]


def test_every_figure_file_and_table_file_is_found() -> None:
    folder = Path(sys.modules["figures"].__file__ or "").parent
    assert len(FIGURES) == len(list(folder.glob("pictures/fig_*.py"))) + len(SWEEPS)
    assert len(TABLES) == len(list(folder.glob("tables/tab_*.py"))) + len(STUDY_TABLES)
    assert {path.stem[4:] for path in folder.glob("pictures/fig_*.py")} < {spec.name for spec in FIGURES}
    assert {f"table_{path.stem[4:]}" for path in folder.glob("tables/tab_*.py")} < {spec.name for spec in TABLES}
    names = [spec.name for spec in discover()]
    assert len(set(names)) == len(names)
    assert all(spec.caption.endswith(".") for spec in discover())


@pytest.mark.parametrize("spec", QUICK_FIGURES, ids=lambda spec: spec.name)
def test_figure_files(spec: FigureSpec, built: Path) -> None:
    with Image.open(built / f"{spec.name}.png") as picture:
        width_in = picture.width / PNG_DPI
        assert min(abs(width_in - ONE_COLUMN_IN), abs(width_in - TWO_COLUMNS_IN)) < 0.01
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


def test_bytes_repeat_in_another_process(results_folder: Path, built: Path, tmp_path: Path) -> None:
    """With other hashes, another clock and another time zone."""
    code = (
        "import sys; from pathlib import Path; from figures.build import build; "
        "build(sys.argv[3:], results=Path(sys.argv[1]), out=Path(sys.argv[2]))"
    )
    names = ["boundaries", "formats", "depth", "pareto", "table_main"]
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(results_folder), str(tmp_path), *names],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "4321", "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "1"},
    )
    again = sorted(tmp_path.iterdir())
    assert len(again) == 9
    assert [path.name for path in again if path.read_bytes() != (built / path.name).read_bytes()] == []


def test_another_input_gives_other_bytes(results_folder: Path, built: Path, tmp_path: Path) -> None:
    changed = tmp_path / "results"
    changed.mkdir()
    text = (results_folder / "depth.csv").read_text()
    (changed / "depth.csv").write_text(text.replace(",0.86", ",0.87"))
    build(["depth"], results=changed, out=tmp_path / "out")
    assert (tmp_path / "out" / "depth.pdf").read_bytes() != (built / "depth.pdf").read_bytes()


def _drawn(name: str, folder: Path) -> Figure:
    (spec,) = (spec for spec in FIGURES if spec.name == name)
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
    ours, _ = _drawn("formats", results_folder).axes
    heights = {
        label.get_text(): float(tick) for tick, label in zip(ours.get_yticks(), ours.get_yticklabels(), strict=True)
    }
    marks = {
        (line.get_marker(), round(float(line.get_ydata()[0]))) for line in ours.lines if line.get_marker() in "osD"
    }
    assert {marker for marker, y in marks if y == heights["DNN"]} == {"s"}
    assert {marker for marker, y in marks if y == heights["T9"]} == {"o", "D"}


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


def test_labels_keep_off_lines() -> None:
    with paper_style():
        figure = new_figure(height_in=3)
        axes = figure.subplots()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        interval = [(0.5, 0.2), (0.5, 0.8)]
        place_labels(axes, ["a label"], [0.5], [0.5], avoid_lines=[[(0.1, 0.1), (0.2, 0.1)], interval])
        (label,) = axes.texts
        box = label.get_window_extent()
        x, _ = axes.transData.transform((0.5, 0.5))
    assert not box.x0 <= x <= box.x1


@pytest.mark.parametrize("spec", TABLES, ids=lambda spec: spec.name)
def test_table_is_whole_latex(spec: TableSpec, built: Path) -> None:
    lines = (built / f"{spec.name}.tex").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(r"\begin{table")
    assert lines[-1].startswith(r"\end{table")
    rules = [line for line in lines if line in (r"\toprule", r"\midrule", r"\bottomrule")]
    assert (rules[0], rules[-1]) == (r"\toprule", r"\bottomrule")
    columns = re.search(r"@\{\}([lr]+)@\{\}", "\n".join(lines))
    assert columns is not None
    cells = [line for line in lines if line.endswith(r"\\") and r"\multicolumn" not in line]
    assert len(cells) > 3
    assert {len(re.split(r"(?<!\\)&", line)) for line in cells} == {len(columns.group(1))}


def test_published_heads_stand_beside_the_released_layout_alone(built: Path) -> None:
    lines = (built / "table_heads.tex").read_text(encoding="utf-8").splitlines()
    rows = [
        [cell.strip() for cell in line.removesuffix(r" \\").split("&")] for line in lines if line.startswith("ML-100K")
    ]
    published = {(heads, layout): cells[-4:] for _, _, heads, layout, *cells in rows}
    assert [published[heads, "released"] for heads in ("1", "2", "4")] == [
        ["ML-1M", "90.82", "0.2965", "0.27"],
        ["ML-1M", "90.87", "0.2960", "0.26"],
        ["ML-1M", "90.88", "0.2960", "0.24"],
    ]
    assert [published[heads, "aligned"] for heads in ("1", "2", "4")] == [["--"] * 4] * 3


def test_missing_study_is_named_and_the_others_are_drawn(results_folder: Path, tmp_path: Path) -> None:
    partial = tmp_path / "results"
    partial.mkdir()
    (partial / "depth.csv").write_bytes((results_folder / "depth.csv").read_bytes())
    done = {item.name: item for item in build(["formats", "depth"], results=partial, out=tmp_path / "out")}
    assert done["depth"].missing is None
    assert "`qnn study run formats`" in (done["formats"].missing or "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["depth.pdf", "depth.png"]


def test_study_without_a_finished_run_is_missing_too(tmp_path: Path) -> None:
    (tmp_path / "depth.csv").write_text("status,dataset,layers,seed,test_auc\nfailed,ml-100k,1,0,\n")
    (item,) = build(["depth"], results=tmp_path, out=tmp_path / "out")
    assert "no run that ended well" in (item.missing or "")


def test_unknown_name_is_an_error_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="the nearest is 'pareto'"):
        build(["parreto"], results=tmp_path, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_command(results_folder: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    done = runner.invoke(figures_command, ["depth", "--results", str(results_folder), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "depth.pdf").stat().st_size > 1000
    assert runner.invoke(figures_command, ["depth", "--results", str(tmp_path / "none")]).exit_code == 1
    listing = runner.invoke(figures_command, ["--list"])
    assert all(spec.name in listing.output for spec in discover())


def test_nothing_is_left_behind_when_saving_fails(tmp_path: Path) -> None:
    figure = Figure()

    def broken(*arguments: object, **options: object) -> None:
        Path(str(arguments[0])).write_bytes(b"half")
        raise OSError("disk full")

    figure.savefig = broken  # type: ignore[method-assign]
    with pytest.raises(OSError, match="disk full"):
        save(figure, tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match=r"\.pdf, \.png or \.svg, however: x\.jpg"):
        save(figure, tmp_path / "x.jpg")


def test_published_source_must_exist() -> None:
    with pytest.raises(KeyError, match="table9"):
        published("table9")


def test_select_keeps_the_order_given() -> None:
    assert [spec.name for spec in select(["rows", "depth"])] == ["rows", "depth"]
