from __future__ import annotations

from pathlib import Path

import pytest

from tests.figures.synthetic import write_all


@pytest.fixture(scope="session")
def results_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_all(folder)
    return folder
