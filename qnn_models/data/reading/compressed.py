"""Text files as streams of bytes, decompressed on the way where their first bytes say that they are compressed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from qnn_models.data.reading.text import shortened

_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"
SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes of compressed text; what a file is, its first bytes tell."""


class TextStream:
    """A text file that is open for reading.

    Attributes:
        text: its bytes, decompressed.
    """

    def __init__(self, text: io.BufferedReader, raw: IO[bytes]) -> None:
        self.text, self._raw = text, raw
        self._told = 0

    def progress(self) -> int:
        """Bytes of the file, as it is on disk, that were read since this was asked last."""
        now = self._raw.tell()
        done, self._told = now - self._told, now
        return done


@contextmanager
def opened_text(file: Path) -> Iterator[TextStream]:
    """Open a text file, compressed by gzip, bzip2, xz or zstd or not at all.

    Raises:
        ValueError: what it was compressed to is damaged or cut off.
    """
    with file.open("rb") as raw:
        start = raw.peek(8)
        try:
            with _text(raw, start) as text:
                yield TextStream(text, raw)
        except (EOFError, zlib.error, lzma.LZMAError, pa.ArrowException) as error:
            raise _damaged(file, error) from error
        except OSError as error:
            if isinstance(error, gzip.BadGzipFile) or error.errno is None:  # bz2 and pyarrow raise plain ones
                raise _damaged(file, error) from error
            raise


def _text(raw: io.BufferedReader, start: bytes) -> io.BufferedReader:
    if start.startswith(_GZIP):
        return io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw)))
    if start.startswith(_BZIP2):
        return io.BufferedReader(cast(io.RawIOBase, bz2.BZ2File(raw)))
    if start.startswith(_XZ):
        return io.BufferedReader(cast(io.RawIOBase, lzma.LZMAFile(raw)))
    if start.startswith(_ZSTD):
        return io.BufferedReader(cast(io.RawIOBase, pa.CompressedInputStream(pa.PythonFile(raw), "zstd")))
    return raw


def _damaged(file: Path, error: Exception) -> ValueError:
    return ValueError(
        f"{file} must be sound compressed text, however: {shortened(str(error)) or type(error).__name__}; write it again"
    )
