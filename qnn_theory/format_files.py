"""Formats of one's own from a file: TOML with formulas, or a Python file that makes `Format` objects."""

from __future__ import annotations

import runpy
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qnn_theory.grammar.format import Format
from qnn_theory.grammar.readings.formula import parse

_KEYS = ("formula", "source", "note")
_EXAMPLE = """'[formats]' and below it 'mine = "x * affine(\\"W\\") + x"'"""


def load_formats(path: str | Path) -> tuple[Format, ...]:
    """The formats that a file defines, in its order; `registry.add_formats` makes them known by name.

    A TOML file holds a table ``[formats]`` of ``name = "formula"`` or ``name = {formula = "...", source = "...", note = "..."}``.
    A Python file is run, as it is the user's own code, and its module-level `Format` objects are taken.

    Args:
        path: a ``.toml`` or ``.py`` file.

    Raises:
        ValueError: the file is missing, of another kind, holds no format, or a formula cannot be read; names file and format.
    """
    path = Path(path)
    if path.suffix not in (".toml", ".py"):
        raise ValueError(f"Formats are read from a .toml or .py file, however: {str(path)!r}.")
    if not path.is_file():
        raise ValueError(f"Formats are read from a file, however there is none at {str(path)!r}.")
    found = _from_toml(path) if path.suffix == ".toml" else _from_python(path)
    if not found:
        remedy = _EXAMPLE if path.suffix == ".toml" else '\'MINE = Format("mine", x * affine("W") + x)\''
        raise ValueError(f"{path}: a file of formats defines at least one, however: none; write {remedy}.")
    ids = [format.id for format in found]
    for id in ids:
        if ids.count(id) > 1:
            raise ValueError(
                f"{path}: each format has a name of its own, however: {id!r} is there {ids.count(id)} times."
            )
    return found


def _from_toml(path: Path) -> tuple[Format, ...]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:  # also no UTF-8, and integers of thousands of digits
        raise ValueError(f"{path}: not TOML: {str(error).rstrip('.')}.") from None
    table = content.get("formats")
    if not isinstance(table, Mapping) or set(content) != {"formats"}:
        raise ValueError(
            f"{path}: a file of formats holds one table, {_EXAMPLE}, however: {', '.join(content) or 'nothing'}."
        )
    return tuple(_entry(path, id, entry) for id, entry in table.items())


def _entry(path: Path, id: str, entry: Any) -> Format:
    given = {"formula": entry} if isinstance(entry, str) else entry
    where = f"{path}: formats.{id}"
    if not isinstance(given, Mapping) or "formula" not in given or set(given) - set(_KEYS):
        raise ValueError(
            f"{where}: a format is a formula or a table with the keys {', '.join(_KEYS)}, however: {entry!r}."
        )
    if not all(isinstance(value, str) for value in given.values()):
        raise ValueError(f"{where}: {', '.join(_KEYS)} are texts, however: {dict(given)!r}.")
    try:
        return Format(id, parse(given["formula"]), source=given.get("source", ""), note=given.get("note", ""))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _from_python(path: Path) -> tuple[Format, ...]:
    names = runpy.run_path(str(path), run_name=path.stem)
    found: dict[int, Format] = {}
    for value in names.values():
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, Format):
                found.setdefault(id(item), item)
    return tuple(found.values())
