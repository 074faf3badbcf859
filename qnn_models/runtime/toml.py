"""TOML files of a user's own: read whole, or refused by an error that says what the file is instead."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

__all__ = ["MAX_BYTES", "read_toml"]

MAX_BYTES = 4 * 2**20
"""A declaration is written by hand; a file beyond this is something else."""


def read_toml(path: Path) -> dict[str, Any]:
    """The document in a file.

    Raises:
        ValueError: the file is no TOML in UTF-8, or nested or long beyond sense; names the file.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(
            f"{path}: not TOML: it holds more than {MAX_BYTES // 2**20} MiB; a declaration is a small file."
        )
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{path}: not TOML: it is text in UTF-16; save it as UTF-8.")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not TOML: byte {error.start} is not UTF-8; save it as text in UTF-8.") from None
    except RecursionError:
        raise ValueError(f"{path}: not TOML that can be read: it is nested too deeply.") from None
    except ValueError as error:
        raise ValueError(f"{path}: not TOML: {str(error).rstrip('.')}.") from None
