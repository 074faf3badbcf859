"""Draw docs/architecture.svg from the import-linter contracts in pyproject.toml: rooms as floors, an import only points down.

``python docs/draw_architecture.py`` writes the picture; tests/test_architecture.py fails when it is older than the contracts.
"""

from __future__ import annotations

import ast
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "architecture.svg"
PACKAGES = ("qnn_theory", "qnn_models", "studies", "figures")
_COLOURS = {"qnn_theory": "#0072b2", "qnn_models": "#009e73", "studies": "#d55e00", "figures": "#7b3f8c"}
_FLOOR, _GAP, _COLUMN, _TOP = 46, 6, 290, 74


def floors(package: str) -> list[list[str]]:
    """The rooms of a package from the top floor down, those that may not import one another side by side."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(c["layers"] for c in contracts if c.get("containers") == [package])
    return [[room.strip() for room in floor.split("|")] for floor in layers]


def purpose(package: str, room: str) -> str:
    """What a room is for: the first words of its docstring."""
    folder = ROOT / package / room
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    first = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n")[0]
    return first.rstrip(".")


def svg() -> str:
    """The whole picture as text."""
    height = _TOP + max(len(floors(package)) for package in PACKAGES) * (_FLOOR + _GAP) + 16
    width = _COLUMN * len(PACKAGES) + 16
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        '<text x="16" y="26" font-size="15" fill="#333333">An import points left between packages, '
        "and down between the rooms of one. Rooms side by side do not know each other.</text>",
    ]
    for column, package in enumerate(PACKAGES):
        left = 16 + column * _COLUMN
        lines.append(
            f'<text x="{left}" y="{_TOP - 14}" font-size="19" font-weight="bold" fill="{_COLOURS[package]}">{package}</text>'
        )
        for number, rooms in enumerate(floors(package)):
            top = _TOP + number * (_FLOOR + _GAP)
            wide = (_COLUMN - 16 - (len(rooms) - 1) * _GAP) / len(rooms)
            for place, room in enumerate(rooms):
                x = left + place * (wide + _GAP)
                size = min(15, round(1.6 * wide / len(room), 1))
                lines += [
                    f"<g><title>{escape(purpose(package, room))}</title>",
                    f'<rect x="{x:g}" y="{top}" width="{wide:g}" height="{_FLOOR}" rx="5" fill="{_COLOURS[package]}" '
                    f'fill-opacity="0.12" stroke="{_COLOURS[package]}"/>',
                    f'<text x="{x + wide / 2:g}" y="{top + _FLOOR / 2 + 5:g}" font-size="{size:g}" text-anchor="middle" '
                    f'fill="#222222">{escape(room)}</text></g>',
                ]
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(svg(), encoding="utf-8")
