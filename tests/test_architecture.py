"""The house as documents and contracts have it: the picture is of today, every room says what it is, walks name what exists."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
_spec = importlib.util.spec_from_file_location("draw_architecture", ROOT / "docs" / "draw_architecture.py")
assert _spec is not None
assert _spec.loader is not None
drawing = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(drawing)

FOLDERS = sorted(
    folder
    for package in drawing.PACKAGES
    for folder in [ROOT / package, *(ROOT / package).rglob("*")]
    if folder.is_dir() and folder.name != "__pycache__" and any(folder.glob("*.py"))
)


def test_the_picture_is_of_the_contracts() -> None:
    assert drawing.PICTURE.read_text(encoding="utf-8") == drawing.svg(), "run `python docs/draw_architecture.py`"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_room_says_what_it_is_and_can_be_overlooked(folder: Path) -> None:
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert len([file for file in folder.glob("*.py") if file.name != "__init__.py"]) <= 14


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_only_the_four_roots_export(folder: Path) -> None:
    """No re-export chains: a room's ``__init__`` imports nothing of ours."""
    if folder.parent == ROOT:
        return
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def test_the_documents_name_files_that_exist() -> None:
    for document in ("docs/architecture.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        paths = set(re.findall(r"`((?:qnn_theory|qnn_models|studies|figures|tests|docs)/[\w/.-]*)`", text))
        assert paths, document
        missing = [path for path in paths if not (ROOT / path).exists()]
        assert not missing, f"{document} names {missing}"
