"""The builder finds every figure and table, builds what it can, says what is missing, and gives the same bytes anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from figures.build import build, discover, select
from figures.pictures.sweeps import SWEEPS
from figures.shared.contract import FigureSpec
from figures.tables.study_tables import STUDY_TABLES
from tests.figures.conftest import TABLES

FIGURES = [spec for spec in discover() if isinstance(spec, FigureSpec)]


def test_every_figure_file_and_table_file_is_found() -> None:
    folder = Path(sys.modules["figures"].__file__ or "").parent
    assert len(FIGURES) == len(list(folder.glob("pictures/**/fig_*.py"))) + len(SWEEPS)
    assert len(TABLES) == len(list(folder.glob("tables/tab_*.py"))) + len(STUDY_TABLES)
    assert {path.stem[4:] for path in folder.glob("pictures/**/fig_*.py")} < {spec.name for spec in FIGURES}
    assert {f"table_{path.stem[4:]}" for path in folder.glob("tables/tab_*.py")} < {spec.name for spec in TABLES}
    names = [spec.name for spec in discover()]
    assert len(set(names)) == len(names)
    assert all(spec.caption.endswith(".") for spec in discover())


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


def test_select_keeps_the_order_given() -> None:
    assert [spec.name for spec in select(["rows", "depth"])] == ["rows", "depth"]
