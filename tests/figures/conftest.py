from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import qnn_theory as qt
from figures.build import build, discover
from figures.pictures.orders import fig_gain, fig_spectra
from figures.shared.contract import FigureSpec, TableSpec
from tests.figures.synthetic import write_all

# Relating all pairs of formats takes a while: the containment diagram has tests of its own.
QUICK_FIGURES = [spec for spec in discover() if isinstance(spec, FigureSpec) and spec.name != "containment"]
TABLES = [spec for spec in discover() if isinstance(spec, TableSpec)]


@pytest.fixture(scope="session", autouse=True)
def few_kernels() -> Iterator[None]:
    """The kernels of all formats take half a minute, so pictures of them are drawn of a few."""
    few = tuple(map(qt.get_format, ("Linear", "T5", "T9", "T19", "QNN-alpha")))
    with pytest.MonkeyPatch.context() as patch:
        for module in (fig_gain, fig_spectra):
            patch.setattr(module, "formats", lambda: few)
        yield


@pytest.fixture(scope="session")
def results_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_all(folder)
    return folder


@pytest.fixture(scope="session")
def built(results_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every table and figure that is drawn quickly."""
    out = tmp_path_factory.mktemp("figures")
    done = build([spec.name for spec in (*QUICK_FIGURES, *TABLES)], results=results_folder, out=out)
    assert [item.missing for item in done if item.missing] == []
    return out
