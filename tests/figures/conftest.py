from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from figures.build import discover
from figures.contract import FigureSpec, TableSpec
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
    """Everything, built in a process whose hashes, clock and time zone differ from ours."""
    out = tmp_path_factory.mktemp("figures")
    names = [spec.name for spec in (*QUICK_FIGURES, *TABLES)]
    code = (
        "import sys; from pathlib import Path; from figures.build import build; "
        "done = build(sys.argv[3:], results=Path(sys.argv[1]), out=Path(sys.argv[2])); "
        "print([item.missing for item in done if item.missing])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(results_folder), str(out), *names],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "4321", "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "1"},
    )
    assert done.stdout == "[]\n"
    return out
