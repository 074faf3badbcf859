"""The files that a data set is made of: found in a folder, and told from files that have changed since."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qnn_models.data.schema import Schema, Source
from qnn_models.runtime.checksums import sha256_of

_RACE_NS = 2 * 10**9
"""Clocks of file systems tick at most so slowly: a file may change again within a tick, and its times stay."""


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What a file was when it was read.

    Attributes:
        size: in bytes.
        times: of the last change of content and of status, in ns; none where it had changed so shortly before that a further
            change might not show.
        sha256: of the content.
    """

    size: int
    times: tuple[int, ...]
    sha256: str


Fingerprint = Mapping[str, FileStamp]
"""File name -> its stamp."""


def find_source(schema: Schema, folder: Path) -> Source:
    """The schema's first source whose files are all in `folder`, each readable.

    Raises:
        ValueError: the folder is none, there is no such source (lists what each needs), or a file is a folder or unreadable.
    """
    name = schema.name
    if not folder.is_dir():
        raise ValueError(
            f"the source of {name} is a folder that can be read, however: {folder} is "
            f"{'a file; name its folder' if folder.exists() else 'not there'}"
        )
    for source in schema.sources:
        by_role = role_files(source, folder)
        if all(by_role.values()) and all(_is_there(folder / file) for file in all_files(source, folder)):
            for file in all_files(source, folder):
                check_readable(folder / file)
            return source
    needs = "; or ".join(", ".join(source.files) for source in schema.sources)
    raise ValueError(f"{name} is read from these files: {needs}; however: {folder} has no such set of them")


def role_files(source: Source, folder: Path) -> dict[str, tuple[str, ...]]:
    """The files of each role: one, or those in order of name that a pattern such as `day-*.csv.gz` stands for."""
    return {role: _matching(name, folder) for role, name in source.parts.items()}


def all_files(source: Source, folder: Path) -> tuple[str, ...]:
    """Every file that is read."""
    by_role = role_files(source, folder)
    return tuple(dict.fromkeys((*(name for names in by_role.values() for name in names), *source.extra)))


def is_pattern(name: str) -> bool:
    """Whether a name may stand for several files."""
    return any(mark in name for mark in "*?[")


def _matching(name: str, folder: Path) -> tuple[str, ...]:
    if _is_there(folder / name) or not is_pattern(name):
        return (name,)
    return tuple(sorted(path for path in glob.glob(name, root_dir=folder, recursive=True) if (folder / path).is_file()))


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)  # not `exists`, which raises for a name too long


def file_states(source: Source, folder: Path) -> dict[str, tuple[int, ...]]:
    """Size and times of a source's files, to see whether one changes meanwhile."""
    return {name: _state(folder / name) for name in all_files(source, folder)}


def fingerprint(source: Source, folder: Path) -> dict[str, FileStamp]:
    """What the files of a source are now; reads all of them."""
    return {name: _stamp(folder / name) for name in all_files(source, folder)}


def unchanged(stored: Fingerprint, source: Source, folder: Path) -> bool:
    """Whether the files of a source hold what they held when the fingerprint was taken.

    Size and times of the files decide at once where they are as before. Where only times differ, as after a copy, the content
    does: about a second for a gigabyte.
    """
    if set(stored) != set(all_files(source, folder)):
        return False
    states = file_states(source, folder)
    if any(state[0] != stored[name].size for name, state in states.items()):
        return False
    return all(
        stored[name].times == state[1:] or stored[name].sha256 == sha256_of(folder / name)
        for name, state in states.items()
    )


def check_readable(path: Path) -> None:
    """Check that rows can be read from a file.

    Raises:
        ValueError: it is not there, is a folder, or cannot be read.
    """
    if not path.is_file():
        raise ValueError(f"rows are read from a file, however: {path} is {'a folder' if path.is_dir() else 'none'}")
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise ValueError(
            f"rows are read from a file, however: {path} cannot be read ({error.strerror or error}); change its permissions"
        ) from error


def _state(path: Path) -> tuple[int, ...]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _stamp(path: Path) -> FileStamp:
    size, *times = _state(path)
    settled = max(times) < time.time_ns() - _RACE_NS
    return FileStamp(size, tuple(times) if settled else (), sha256_of(path))
