"""What a file of rows is and which columns it has, told by its suffix and its first lines."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from qnn_models.data.reading.compressed import SUFFIXES, opened_text
from qnn_models.data.reading.text import check_text, read_header, shortened

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".tab": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
"""Suffix of a file, without that of a compression -> format of its rows."""

_HEAD_LINES = 50


def format_of(file: Path) -> str:
    """The format that a file's suffix says.

    Raises:
        ValueError: it says none.
    """
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in SUFFIXES:
        suffixes.pop()
    if not suffixes or suffixes[-1] not in FORMATS:
        raise ValueError(
            f"a file's suffix says what it is ({', '.join(FORMATS)}; text may be compressed: {', '.join(SUFFIXES)}), however: "
            f"{file.name}; rename it"
        )
    return FORMATS[suffixes[-1]]


def first_lines(file: Path) -> list[str]:
    """The first lines of a text file, as far as they are UTF-8."""
    with opened_text(file) as opened:
        check_text(opened.text.peek(8), file=file)
        return [line.decode("utf-8-sig", "replace") for line in islice(opened.text, _HEAD_LINES)]


def separator_of(file: Path, lines: Sequence[str]) -> str:
    """The separator of delimited text: that which cuts all lines into the same number of columns, the most of those."""
    default = "\t" if {".tsv", ".tab"} & {suffix.lower() for suffix in file.suffixes} else ","
    widths: dict[str, int] = {}
    for separator in dict.fromkeys((default, ",", "\t", ";", "|")):
        try:
            found = {len(row) for row in csv.reader(lines, delimiter=separator) if row}
        except csv.Error:
            continue
        if len(found) == 1 and (width := found.pop()) > 1:
            widths[separator] = width
    return max(widths, key=lambda separator: widths[separator]) if widths else default


def column_names(file: Path, *, separator: str = ",") -> list[str]:
    """The columns of a file: the first line's, the stored ones, or the keys of the first JSON lines.

    Raises:
        ValueError: the file is not what its suffix says.
    """
    match format_of(file):
        case "csv":
            with opened_text(file) as opened:
                check_text(opened.text.peek(8), file=file)
                return list(read_header(opened.text, file=file, separator=separator, quoted=True))
        case "jsonl":
            head = "\n".join(line for line in first_lines(file) if line.strip())
            try:
                return pl.read_ndjson(head.encode(), infer_schema_length=None).columns
            except pl.exceptions.PolarsError as error:
                raise ValueError(
                    f"{file}:1: a line must be a JSON object, however: {shortened(str(error))}; mend it"
                ) from None
        case _:
            try:
                return list(pq.read_schema(file).names)
            except (OSError, pa.ArrowException) as error:
                raise ValueError(
                    f"{file} must be a sound Parquet file, however: {shortened(str(error))}; write it again"
                ) from error
