from __future__ import annotations

from pathlib import Path

import pytest

from figures.build import build, discover
from figures.shared.contract import FigureSpec, TableSpec
from tests.figures.synthetic import write_all

# Relating all pairs of formats takes a while: the containment diagram has tests of its own.
QUICK_FIGURES = [spec for spec in discover() if isinstance(spec, FigureSpec) and spec.name != "containment"]
TABLES = [spec for spec in discover() if isinstance(spec, TableSpec)]


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
