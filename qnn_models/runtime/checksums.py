"""Checksums of files: taken when they are written, asked for when they are read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["DamagedError", "seal", "sha256_of", "sha256_of_next", "unseal"]

_PIECE = 2**20


class DamagedError(ValueError):
    """A stored file is not what was written."""

    @classmethod
    def of(cls, path: Path, found: str, *, remedy: str) -> DamagedError:
        """The error that a file is found to be something else; `remedy` says how to make it again."""
        return cls(f"{path} must be as it was written, however: {found}; {remedy}")


def sha256_of(path: Path) -> str:
    """SHA-256 of a whole file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_next(stream: BinaryIO, size: int) -> str:
    """SHA-256 of the next `size` bytes of a stream, or of those that there are."""
    digest = hashlib.sha256()
    while size > 0 and (piece := stream.read(min(size, _PIECE))):
        digest.update(piece)
        size -= len(piece)
    return digest.hexdigest()


def seal(content: dict[str, Any]) -> str:
    """JSON values as text, with a checksum of them beside them."""
    return json.dumps({**content, "sha256": _json_sha256(content)}, indent=1)


def unseal(path: Path, *, remedy: str) -> dict[str, Any]:
    """Read JSON values that `seal` wrote to a file.

    Args:
        path: the file.
        remedy: how to make it again, for the error.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedError: it is not what was written.
    """
    try:
        content = json.loads(path.read_bytes())
        if content.pop("sha256") != _json_sha256(content):
            raise DamagedError.of(path, "what it says has another SHA-256", remedy=remedy)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedError.of(path, f"it cannot be read ({error.strerror or error})", remedy=remedy) from error
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        if isinstance(error, DamagedError):
            raise
        raise DamagedError.of(path, "it is not JSON with a checksum", remedy=remedy) from error
    return dict(content)


def _json_sha256(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
