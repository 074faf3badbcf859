"""Every process that we start imports our packages, even in a folder that holds a user's own of the same names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import studies

PACKAGES = ("qnn_theory", "qnn_models", "studies", "figures")
ROOT = Path(studies.__file__).parents[1]

TRAIN = """
name = "tiny"
title = "A tiny study"
task = "train"
datasets = ["planted"]
seeds = 2
training = { max_epochs = 1 }

[[arms]]
model = "lr"
"""
SCALING = """
name = "tiny"
title = "A tiny study"
task = "scaling"
datasets = ["random"]
one_at_a_time = true

[[arms]]
model = "quadratic"
label = "processes"
options = { format = "T9", fields = 2, vocabulary = 5, data_rows = 64, processes = 2 }
"""

CASES = {
    "workers of a study (loky)": ("-m", "studies.cli", "study", "run", "train.toml", "--jobs", "2"),
    "processes of a run (spawn)": ("-m", "studies.cli", "study", "run", "scaling.toml"),
    "a module of ours": (
        "-c",
        "import subprocess\n"
        "from qnn_models.runtime.fresh_process import module_command\n"
        "subprocess.run(module_command('qnn_models.bench.encoding', '--help'), check=True)",
    ),
}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder whose packages raise when they are imported."""
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(f"raise SystemExit('{package} of the current folder')\n")
    (tmp_path / "train.toml").write_text(TRAIN)
    (tmp_path / "scaling.toml").write_text(SCALING)
    return tmp_path


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_folder_is_hostile(hostile: Path) -> None:
    assert "qnn_models of the current folder" in python(hostile, "-c", "import qnn_models").stderr


@pytest.mark.parametrize("arguments", CASES.values(), ids=CASES)
def test_our_packages_are_imported(arguments: tuple[str, ...], hostile: Path) -> None:
    ran = python(hostile, "-P", *arguments)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_no_process_of_ours_is_started_by_a_module_name() -> None:
    """``python -m`` puts the current folder first: who starts a module asks `module_command`."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            assert 'sys.executable, "-m", "qnn' not in path.read_text(encoding="utf-8"), path
