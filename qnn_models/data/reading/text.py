"""Text that a file should hold: told from what is not text before it is parsed."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path

_HEADER_BYTES = 2**20
_MOST_SHOWN = 300

_OTHER_THAN_TEXT = {
    b"\xff\xfe\0\0": ("UTF-32", "iconv -f UTF-32 -t UTF-8"),
    b"\xff\xfe": ("UTF-16", "iconv -f UTF-16 -t UTF-8"),
    b"\xfe\xff": ("UTF-16", "iconv -f UTF-16 -t UTF-8"),
    b"PK\x03\x04": ("zip (or a spreadsheet)", "unzip, or save the sheet as CSV"),
    b"PAR1": ("Parquet", 'or say format = "parquet"'),
    b"\x89HDF": ("HDF5", 'or say format = "hdf5"'),
}
"""First bytes of files that come under a text's name -> what they are, and how to get the text."""


def shortened(text: str) -> str:
    """A text of a file or a library as a part of a message: one line, of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= _MOST_SHOWN else f"{line[:_MOST_SHOWN]}..."


def check_text(start: bytes, *, file: Path) -> None:
    """Check that a file does not begin as something else than UTF-8 text does.

    Raises:
        ValueError: it does; says what it is and how to convert it.
    """
    for first, (what, remedy) in _OTHER_THAN_TEXT.items():
        if start.startswith(first):
            raise ValueError(f"{file}: text must be UTF-8, however: it begins as {what} does; convert it ({remedy})")


def check_no_nul(block: bytes, *, file: Path, first_line: int) -> None:
    """Check that a block of text holds no NUL byte.

    Raises:
        ValueError: it does, with file and line.
    """
    position = block.find(b"\0")
    if position >= 0:
        line = first_line + block.count(b"\n", 0, position)
        raise ValueError(
            f"{file}:{line}: text must be UTF-8, however: this line holds a NUL byte; convert the file, if it is UTF-16 or "
            "binary, or mend the line"
        )


def bad_utf8_line(block: bytes) -> int | None:
    """The number of line ends before the first byte that is not UTF-8, or None."""
    try:
        block.decode()
    except UnicodeDecodeError as error:
        return block.count(b"\n", 0, error.start)
    return None


def read_header(stream: BufferedReader, *, file: Path, separator: str, quoted: bool) -> Sequence[str]:
    """The column names of a file's first line.

    Raises:
        ValueError: there is no such line, or it is not text.
    """
    line = stream.readline(_HEADER_BYTES)
    if not line:
        raise ValueError(f"{file}: the first line names the columns, however: the file is empty; write it again")
    if len(line) == _HEADER_BYTES:
        raise ValueError(
            f"{file}:1: the first line names the columns, however: no line ends in its first MiB; is it CSV?"
        )
    check_no_nul(line, file=file, first_line=1)
    try:
        text = line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file}:1: text must be UTF-8, however: byte {error.start} is none of it; convert the file"
        ) from None
    if "\r" in text:
        raise ValueError(
            f"{file}:1: lines must end in \\n or \\r\\n, however: they end in \\r alone; convert the file (mac2unix)"
        )
    try:
        rows = csv.reader(
            [text], delimiter=separator, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE, strict=True
        )
        names = tuple(next(rows, []))
    except csv.Error as error:
        raise ValueError(f"{file}:1: the first line names the columns, however: {error}; mend it") from None
    if not names:
        raise ValueError(f"{file}:1: the first line names the columns, however: it is empty; write it again")
    return names
