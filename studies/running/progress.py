"""How far a study is, and how long it will still take."""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from studies.running.record import Record, Store
from studies.tasks.spec import RunSpec
from studies.tasks.task import task_module

TICK_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a study stands.

    Attributes:
        total: its runs.
        done: runs with a result.
        failed: the records of runs that failed.
        in_flight: runs that a living process is at.
        seconds_left: estimate for one worker; None while nothing has been measured.
        longest_left: estimate for the longest run that is missing: with any number of workers it takes as long.
    """

    total: int
    done: int
    failed: tuple[Record, ...]
    in_flight: int
    seconds_left: float | None
    longest_left: float | None

    def time_left(self, jobs: int) -> float | None:
        """Estimate for so many workers, in seconds."""
        if self.seconds_left is None or self.longest_left is None:
            return None
        return max(self.seconds_left / jobs, self.longest_left)


def standing(specs: Sequence[RunSpec], store: Store) -> Standing:
    """Look into the store. The time left is the expected work left (a cost model knows that T1 is slow) at the pace so far.

    The pace is that on the run's own data set, where one was done there: the cost model does not know how many rows it has.
    """
    unique = {spec.id: spec for spec in specs}
    records = {id: store.read(id) for id in unique}
    weights = {id: task_module(spec.task).relative_cost(spec) for id, spec in unique.items()}
    measured = {id: record.seconds for id, record in records.items() if record is not None and record.status == "done"}
    missing = [id for id, record in records.items() if record is None]

    def pace(dataset: str) -> float:
        here = [id for id in measured if unique[id].dataset == dataset] or list(measured)
        return sum(measured[id] for id in here) / sum(weights[id] for id in here)

    left = None
    if measured or not missing:
        paces = {dataset: pace(dataset) for dataset in {unique[id].dataset for id in missing}}
        left = [weights[id] * paces[unique[id].dataset] for id in missing]
    return Standing(
        total=len(unique),
        done=len(measured),
        failed=tuple(record for record in records.values() if record is not None and record.status == "failed"),
        in_flight=sum(store.claimed(id) for id in missing),
        seconds_left=None if left is None else sum(left),
        longest_left=None if left is None else max(left, default=0.0),
    )


class Bar:
    """A progress bar over runs in which a costly run counts for more, so that the time left can be believed."""

    def __init__(self, weights: Mapping[str, float], *, done: Collection[str], shown: bool) -> None:
        from tqdm import tqdm

        self._weights = weights
        self._finished = set(done)
        self._failed = 0
        self._note = ""
        self._bar = tqdm(
            total=sum(weights.values()),
            initial=sum(weights[id] for id in self._finished),
            disable=None if shown else True,
            smoothing=0.0,
            dynamic_ncols=True,
            bar_format="{percentage:3.0f}%|{bar}| {desc} [{elapsed} gone, {remaining} left]",
        )
        self._show()

    def finished(self, record: Record) -> None:
        """Count one record; a second time is not counted."""
        id = record.spec.id
        if id in self._finished:
            return
        self._finished.add(id)
        self._note = ""
        if record.status == "failed":
            self._failed += 1
            self._bar.write(f"failed: {record.spec.label or record.spec.model} (run {id}): {record.reason}")
        self._show()
        self._bar.update(self._weights[id])

    def note(self, text: str) -> None:
        """Say what is being waited for."""
        self._note = text
        self._show()
        self.refresh()

    def refresh(self) -> None:
        """Draw it again: time has passed."""
        self._bar.refresh()

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    def _show(self) -> None:
        failed = f", {self._failed} failed" if self._failed else ""
        note = f"; {self._note}" if self._note else ""
        self._bar.set_description_str(f"{len(self._finished)}/{len(self._weights)} runs{failed}{note}", refresh=False)


@contextmanager
def progress_bar(weights: Mapping[str, float], *, done: Collection[str], shown: bool) -> Iterator[Bar]:
    """A `Bar` that is closed at the end."""
    bar = Bar(weights, done=done, shown=shown)
    stop = threading.Event()

    def tick() -> None:
        while not stop.wait(TICK_SECONDS):
            bar.refresh()

    # A run may take minutes; on a terminal the clock goes on meanwhile. In a log file each tick would be a line.
    thread = threading.Thread(target=tick, name="progress", daemon=True)
    if shown and sys.stderr.isatty():
        thread.start()
    try:
        yield bar
    finally:
        stop.set()
        if thread.is_alive():
            thread.join()
        bar.close()


def duration(seconds: float) -> str:
    """Seconds as people say them: ``45 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
