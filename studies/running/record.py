"""The store of results: one JSON file per run, written whole or not at all, and the claims that keep two runners apart.

A store is a folder::

    3f2a….json    the record of the run with this id, done or failed
    3f2a….claim   some process is at this run right now (JSON: pid, host, when it started)
    .guard        held (``flock``) for the moment that a claim is looked at or taken; the system frees it when a process dies

Killing a runner at any point leaves whole records, and claims whose process is gone; such a claim is taken over. A record holds
the checksum of its content, which is compared whenever it is read: a number that a failing disk has changed is an error.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import logging
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from qnn_models.runtime.whole_file import appearing
from studies.tasks.spec import RunSpec

FORMAT = 1
STALE_SECONDS = 600.0
"""A claim of another machine counts as abandoned when it was not refreshed for this long."""

GUARD = ".guard"

_CHECKSUM = "sha256"
_log = logging.getLogger(__name__)

Status: TypeAlias = Literal["done", "failed"]


_VALUES = ("status", "metrics", "series", "environment", "reason", "details", "attempts", "started", "seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one run gave.

    Attributes:
        spec: the run.
        status: ``done``, or ``failed`` with a reason.
        metrics: name -> number; the units are in the names.
        series: name -> list of numbers (loss by epoch, a probability grid).
        environment: versions, processor, threads and commit that produced it.
        reason: why it failed, in one line; empty when done.
        details: the traceback of a failure.
        attempts: how often the run was started until this record.
        started: when, in seconds since the epoch.
        seconds: how long it took.
    """

    spec: RunSpec
    status: Status
    metrics: Mapping[str, float] = field(default_factory=dict)
    series: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    details: str = ""
    attempts: int = 1
    started: float = 0.0
    seconds: float = 0.0

    def to_json(self) -> str:
        """The record as text; numbers that JSON has no word for (NaN) are written as null."""
        content = {
            "format": FORMAT,
            "id": self.spec.id,
            "status": self.status,
            "reason": self.reason,
            "spec": self.spec.content(),
            "metrics": dict(self.metrics),
            "environment": dict(self.environment),
            "attempts": self.attempts,
            "started": self.started,
            "seconds": self.seconds,
            "details": self.details,
            "series": dict(self.series),
        }
        content = json.loads(json.dumps(_finite(content), allow_nan=False))  # as it will be read
        content[_CHECKSUM] = _checksum(content)
        return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Record:
        """The record that `to_json` wrote.

        Raises:
            ValueError: the text is no record of this format, or was changed since it was written.
        """
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"A record has the format {FORMAT}, however: {text[:60]!r}.")
        if content.keys() - {_CHECKSUM} != {"format", "id", "spec", *_VALUES}:
            raise ValueError(f"A record has the keys that it was written with, however: {', '.join(content)}.")
        checksum = content.pop(_CHECKSUM, None)
        if checksum is None:
            _say_once_that_records_are_old()
        elif _checksum(content) != checksum:
            raise ValueError("A record is what its checksum was made of, however: a value of it has changed.")
        return cls(spec=RunSpec.from_content(content["spec"]), **{key: content[key] for key in _VALUES})


class Store:
    """A folder of records. Any number of processes may use one at the same time."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def path(self, run_id: str) -> Path:
        """Where the record of this run is, or will be."""
        return self.folder / f"{run_id}.json"

    def read(self, run_id: str) -> Record | None:
        """The record of this run; None when there is none yet.

        Raises:
            ValueError: the file is damaged or is the record of another run, which no runner does.
        """
        path = self.path(run_id)
        try:
            record = Record.from_json(path.read_text(encoding="utf-8"))
            if record.spec.id != run_id:
                raise ValueError(f"it is the record of {record.spec.id}")
            return record
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"A record is a JSON file that a run wrote whole, however: {path} is damaged ({error}); "
                f"delete it and the run is done again."
            ) from error

    def write(self, record: Record) -> None:
        """Store a record: all of it or nothing, and it stays after a power cut."""
        write_whole(self.path(record.spec.id), record.to_json())

    def claim(self, run_id: str, *, attempts_seen: int = 0) -> bool:
        """Take a run, so that no other process takes it.

        Args:
            run_id: the run.
            attempts_seen: attempts of the failed record that is to be replaced; 0 when there was no record.

        Returns:
            Whether it is ours: False when another living process has it, or when it has been done since.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._claim_path(run_id)
        with guarded(self.folder / GUARD):
            if path.exists() and not self._abandoned(path):
                return False
            # In this order: a runner writes the record before it frees the claim.
            record = self.read(run_id)
            if record is not None and record.attempts > attempts_seen:
                return False
            write_whole(path, json.dumps(_whoami()))
            return True

    def release(self, run_id: str) -> None:
        """Free a run that `claim` gave us."""
        self._claim_path(run_id).unlink(missing_ok=True)

    def refresh(self, run_ids: Iterable[str]) -> None:
        """Show that we are still at these runs, to runners on other machines."""
        for run_id in run_ids:
            with contextlib.suppress(OSError):  # freed since, or the disk is away for a moment
                os.utime(self._claim_path(run_id))

    def claimed(self, run_id: str) -> bool:
        """Whether a living process is at this run."""
        path = self._claim_path(run_id)
        return path.exists() and not self._abandoned(path)

    def _abandoned(self, path: Path) -> bool:
        try:
            touched, content = path.stat().st_mtime, path.read_bytes()
        except FileNotFoundError:
            return True
        try:
            owner = json.loads(content)
        except ValueError:
            owner = None  # damaged, so nobody knows whose it was; its owner, if there is one, refreshes it
        if isinstance(owner, dict) and owner.get("host") == socket.gethostname():
            return _born(owner["pid"]) != owner["born"]
        return self._now() - touched > STALE_SECONDS

    def _now(self) -> float:
        """The time by the clock that stamps the files of this folder: on a shared disk its server's, which may not be ours."""
        guard = self.folder / GUARD
        try:
            guard.touch()
            return guard.stat().st_mtime
        except OSError:  # a folder that we may read only
            return time.time()

    def _claim_path(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.claim"


@contextlib.contextmanager
def guarded(path: Path) -> Iterator[None]:
    """While the block runs, no other process is in such a block of this file; the system frees it when a process dies."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_whole(path: Path, text: str) -> None:
    """Write a text so that every reader, now and after a crash, sees the old file or all of the new one.

    Raises:
        OSError: it cannot be written, as on a full disk; names the file.
    """
    with appearing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 of JSON values, however they are spaced and in whatever order their keys stand."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@functools.cache
def _say_once_that_records_are_old() -> None:
    _log.warning(
        "Some records were written before they had checksums, so nobody can tell whether a number in them has changed."
    )


def _whoami() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": socket.gethostname(), "born": _born(os.getpid())}


def _born(pid: int) -> str | None:
    """A mark of the process with this number (its start time where /proc tells it); None when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    else:
        # The name, in parentheses, may hold spaces; state and start time are fields 3 and 22.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "alive"


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
