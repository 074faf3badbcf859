"""Whether what a command will write can be written: asked before the work, not after it."""

from __future__ import annotations

import tempfile
from pathlib import Path

__all__ = ["output_file", "output_folder"]

_PROBE = b"\0" * 4096


def output_file(path: Path, *, option: str = "--out") -> Path:
    """The path itself, after a look at whether a file can appear there.

    Args:
        path: a file, there or not.
        option: what names another place.

    Raises:
        ValueError: it is a folder, or its folder cannot be made or written.
    """
    if path.is_dir():
        raise ValueError(f"Output goes to a file, however: {path} is a folder; name a file by {option}.")
    _check_folder(path.parent, option)
    return path


def output_folder(path: Path, *, option: str = "--out") -> Path:
    """The path itself, after a look at whether files can appear in a folder there.

    Args:
        path: a folder, there or not.
        option: what names another place.

    Raises:
        ValueError: it is a file, or cannot be made or written.
    """
    _check_folder(path, option)
    return path


def _check_folder(folder: Path, option: str) -> None:
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists() or place.is_symlink())
    if not nearest.is_dir():
        raise ValueError(
            f"Output goes into a folder, however: {nearest} is "
            f"{'a link to nowhere' if not nearest.exists() else 'a file'}; name another place by {option}."
        )
    try:
        # Tried, as permissions do not tell of a disk that is full or can only be read.
        with tempfile.TemporaryFile(dir=nearest) as probe:
            probe.write(_PROBE)
    except OSError as error:
        raise ValueError(
            f"Output goes into a folder that can be written, however: {nearest}: {error.strerror}; "
            f"name another place by {option}."
        ) from None
