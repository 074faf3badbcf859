"""Records are whole, and a claim is held by one living process."""

from __future__ import annotations

import errno
import json
import math
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from studies.running.record import STALE_SECONDS, Record, Store, _say_once_that_records_are_old
from studies.tasks.spec import RunSpec

SPEC = RunSpec(
    task="boundary", dataset="moons", model="quadratic", options=(("format", "T9"), ("post_activation", None))
)


def record(**changes: object) -> Record:
    values = {"spec": SPEC, "status": "done", "metrics": {"test_auc": 0.1 + 0.2}, "series": {"history": [1, 2.5]}}
    return Record(**{**values, **changes})  # type: ignore[arg-type]


def test_what_is_written_is_read_bit_by_bit(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.read(SPEC.id) is None
    store.write(record())
    assert store.read(SPEC.id) == record()
    assert [path.name for path in tmp_path.iterdir()] == [f"{SPEC.id}.json"]


def test_a_number_that_is_none_is_null(tmp_path: Path) -> None:
    Store(tmp_path).write(record(metrics={"peak_mib": math.nan}))
    read = Store(tmp_path).read(SPEC.id)
    assert read is not None
    assert read.metrics == {"peak_mib": None}


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(record())
    path = store.path(SPEC.id)
    path.write_text(path.read_text()[:100])
    with pytest.raises(ValueError, match=f"{SPEC.id}.json is damaged .*delete it"):
        store.read(SPEC.id)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        b'{"format": 1}',
        b'{"format": 1, "spec": []}',
        b'{"format": 1, "spec": {"options": null}}',
    ],
)
def test_whatever_damaged_it_is_named(tmp_path: Path, content: bytes) -> None:
    store = Store(tmp_path)
    store.path(SPEC.id).write_bytes(content)
    with pytest.raises(ValueError, match=f"{SPEC.id}.json is damaged .*delete it"):
        store.read(SPEC.id)


def test_a_flipped_bit_is_found_or_changes_nothing(tmp_path: Path) -> None:
    """Every byte of the file, so every digit of every metric."""
    store = Store(tmp_path)
    whole = record(environment={"commit": "0123+", "threads": 1}, details="Traceback …\n  line")
    store.write(whole)
    path = store.path(SPEC.id)
    content = path.read_bytes()
    for position in range(len(content)):
        for bit in (0, position % 8):
            damaged = bytearray(content)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                read = store.read(SPEC.id)
            except ValueError:
                continue
            assert read == whole, f"bit {bit} of byte {position}: {damaged[position - 9 : position + 9]!r}"


def test_numbers_of_any_kind_have_one_checksum(tmp_path: Path) -> None:
    values = {
        "metrics": {"big": 1e300, "tiny": 5e-324, "zero": -0.0, "whole": 2**60},
        "series": {"by seed": {2: [1.0], 10: (2,)}},
    }
    Store(tmp_path).write(record(**values))
    read = Store(tmp_path).read(SPEC.id)
    assert read is not None
    assert read.metrics == values["metrics"]
    assert read.series == {"by seed": {"2": [1.0], "10": [2]}}


def test_a_record_without_checksum_is_read_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path)
    store.write(record())
    content = json.loads(store.path(SPEC.id).read_text())
    del content["sha256"]
    store.path(SPEC.id).write_text(json.dumps(content))
    _say_once_that_records_are_old.cache_clear()
    assert store.read(SPEC.id) == store.read(SPEC.id) == record()
    assert [entry.getMessage().partition(",")[0] for entry in caplog.records] == [
        "Some records were written before they had checksums"
    ]


def test_the_record_of_another_run_is_not_taken_for_it(tmp_path: Path) -> None:
    store, other = Store(tmp_path), replace(SPEC, seed=1)
    store.write(record(spec=other))
    store.path(other.id).rename(store.path(SPEC.id))
    with pytest.raises(ValueError, match=f"it is the record of {other.id}"):
        store.read(SPEC.id)


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("qnn_models.runtime.whole_file.os.fsync", full)
    store = Store(tmp_path)
    with pytest.raises(OSError, match="No space left on device") as caught:
        store.write(record())
    assert caught.value.filename == str(store.path(SPEC.id))
    assert not list(tmp_path.iterdir())


def test_a_claim_is_held_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "new")
    assert store.claim(SPEC.id)
    assert store.claimed(SPEC.id)
    assert not Store(tmp_path / "new").claim(SPEC.id)
    store.release(SPEC.id)
    assert not store.claimed(SPEC.id)
    assert store.claim(SPEC.id)


def test_what_is_done_is_not_claimed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(record())
    assert not store.claim(SPEC.id)


def test_a_failure_is_claimed_again_once_for_each_attempt(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(record(status="failed", attempts=1))
    assert not store.claim(SPEC.id, attempts_seen=0)
    assert store.claim(SPEC.id, attempts_seen=1)
    store.write(record(status="failed", attempts=2))
    store.release(SPEC.id)
    assert not store.claim(SPEC.id, attempts_seen=1)


def test_the_claim_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    code = f"from studies.running.record import Store; assert Store({str(tmp_path)!r}).claim({SPEC.id!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
    store = Store(tmp_path)
    assert (tmp_path / f"{SPEC.id}.claim").exists()
    assert not store.claimed(SPEC.id)
    assert store.claim(SPEC.id)


def written_claim(folder: Path, **owner: object) -> Path:
    path = folder / f"{SPEC.id}.claim"
    path.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "born": None, **owner}))
    return path


def test_a_reused_process_number_is_no_owner(tmp_path: Path) -> None:
    written_claim(tmp_path, born="long ago")
    assert Store(tmp_path).claim(SPEC.id)


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_a_damaged_claim_ends_by_its_age(tmp_path: Path, content: str) -> None:
    path = tmp_path / f"{SPEC.id}.claim"
    path.write_text(content)
    assert not Store(tmp_path).claim(SPEC.id)
    past = time.time() - STALE_SECONDS - 1
    os.utime(path, (past, past))
    assert Store(tmp_path).claim(SPEC.id)


@pytest.mark.parametrize("ahead", [2 * STALE_SECONDS, -2 * STALE_SECONDS])
def test_a_clock_that_is_wrong_makes_no_claim_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    """Two machines on one disk may differ; the disk stamps the claims of both."""
    now = time.time()
    path = written_claim(tmp_path, host="elsewhere", pid=1)
    monkeypatch.setattr("studies.running.record.time.time", lambda: now + ahead)
    assert not Store(tmp_path).claim(SPEC.id)
    os.utime(path, (now - STALE_SECONDS - 1,) * 2)
    assert Store(tmp_path).claim(SPEC.id)


def test_another_machine_keeps_its_claim_while_it_refreshes_it(tmp_path: Path) -> None:
    path = written_claim(tmp_path, host="elsewhere", pid=1)
    store = Store(tmp_path)
    assert not store.claim(SPEC.id)
    past = time.time() - STALE_SECONDS - 1
    os.utime(path, (past, past))
    assert not store.claimed(SPEC.id)
    store.refresh([SPEC.id])
    assert store.claimed(SPEC.id)
    os.utime(path, (past, past))
    assert store.claim(SPEC.id)
