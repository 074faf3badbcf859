"""JSON lines: one object a line; a key that a line lacks is a missing value, a list is a sequence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from qnn_models.data.reading.columns import LIST_SEPARATOR, column_of_series
from qnn_models.data.reading.compressed import opened_text
from qnn_models.data.reading.readers import Chunk, Columns, find_columns, text_blocks
from qnn_models.data.reading.text import check_text, shortened
from qnn_models.data.schema import Source


def read_json_lines(source: Source, folder: Path, name: str, columns: Columns) -> Iterator[Chunk]:
    """JSON lines, in blocks. The columns must be among the keys of the first block's lines.

    Raises:
        ValueError: a line is no object, or a value is an object, with file and line.
    """
    file = folder / name
    found: dict[str, str] = {}
    with opened_text(file) as opened:
        check_text(opened.text.peek(8), file=file)
        for first_line, block in text_blocks(opened.text, b"", file=file, first_line=1):
            rows = [_object(line, f"{file}:{first_line + n}") for n, line in enumerate(block.splitlines())]
            found = found or find_columns(list({key: None for row in rows for key in row}), columns, file=file)
            made = {}
            for key, wanted in found.items():
                texts = [_text(row.get(key), key, f"{file}:{first_line + n}") for n, row in enumerate(rows)]
                made[wanted] = column_of_series(pl.Series(wanted, texts, dtype=pl.String))
            yield Chunk(made, file, first_line, opened.progress())


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise ValueError(f"{where}: a line must be a JSON object, however: {shortened(str(error))}; mend it") from None
    if not isinstance(value, dict):
        raise ValueError(f"{where}: a line must be a JSON object, however: {shortened(str(value))}; mend it")
    return value


def _text(value: Any, key: str, where: str) -> str | None:
    if isinstance(value, list):
        return LIST_SEPARATOR.join(_text(item, key, where) or "" for item in value)
    if isinstance(value, dict):
        raise ValueError(
            f"{where}: a value is a text, a number, true, false, null or a list, however: {key} holds an object; write its parts "
            "as keys of their own"
        )
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)
