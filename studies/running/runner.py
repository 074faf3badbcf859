"""Run what a plan lists and a store lacks. Resumable, and safe beside other runners on the same store."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from studies.running.backends import Backend, records
from studies.running.execute import Call, Execute, execute
from studies.running.progress import progress_bar
from studies.running.record import Store
from studies.tasks.spec import RunSpec
from studies.tasks.task import task_module

REFRESH_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a study stands after a runner went through it.

    Attributes:
        done: runs with a result.
        failed: runs that failed.
        ran: runs that this runner did.
    """

    done: int
    failed: int
    ran: int


def run_specs(
    specs: Sequence[RunSpec],
    store: Store,
    *,
    jobs: int = 1,
    threads: int = 1,
    together: int = 1,
    backend: Backend = "local",
    retry_failed: bool = False,
    progress: bool = True,
    execute: Execute = execute,
    poll_seconds: float = 1.0,
) -> Summary:
    """Do every run that the store has no record of, and wait for those that another runner is at.

    Args:
        specs: the runs; one at a time they are done repetition by repetition, else the costly ones are started first.
        store: where the records are.
        jobs: runs at a time.
        threads: threads per run.
        together: how many runs of one network, which differ in their seed or L2 weight, are trained as one stack where the task
            can; pays on a GPU.
        backend: ``local`` or ``ray``.
        retry_failed: whether runs that failed before are tried again.
        progress: whether to show a progress bar with the time left.
        execute: carries one run out.
        poll_seconds: how often to look whether another runner has finished.

    Raises:
        ValueError: jobs or threads below 1, more than 1 at a time of runs that must be alone, or a damaged record.
        KeyboardInterrupt: passed on after the claims were freed; the records so far stay.
    """
    for name, value in (("jobs", jobs), ("threads", threads), ("together", together)):
        if value < 1:
            raise ValueError(f"A runner needs at least 1 of {name}, however: {name}={value}.")
        if name != "threads" and value > 1 and any(spec.alone for spec in specs):
            raise ValueError(
                f"Runs whose time is measured have the machine to themselves, however: {name}={value}; leave {name} out."
            )
    unique = {spec.id: spec for spec in specs}
    known = {id: store.read(id) for id in unique}
    attempts = {id: record.attempts if record else 0 for id, record in known.items()}
    waiting = [
        spec
        for id, spec in unique.items()
        if (record := known[id]) is None or (retry_failed and record.status == "failed")
    ]
    weights = {id: task_module(spec.task).relative_cost(spec) for id, spec in unique.items()}
    if jobs == 1:
        # A repetition is a block: what slows the machine down for a while slows all arms of it, and pairs stay pairs.
        waiting.sort(key=lambda spec: spec.seed)
    else:
        waiting.sort(key=lambda spec: -weights[spec.id])
    ours: set[str] = set()
    ran = 0

    def claimed() -> Iterator[Call]:
        for group in _groups(waiting, together):
            specs = tuple(spec for spec in group if store.claim(spec.id, attempts_seen=attempts[spec.id]))
            if specs:
                ours.update(spec.id for spec in specs)
                yield Call(specs=specs, attempts=tuple(attempts[spec.id] + 1 for spec in specs), threads=threads)

    def settled(spec: RunSpec) -> bool:
        record = store.read(spec.id)
        if record is None or record.attempts <= attempts[spec.id]:
            return False
        bar.finished(record)
        return True

    _prepare(waiting)
    left = {spec.id for spec in waiting}
    with progress_bar(weights, done=set(unique) - left, shown=progress) as bar, _refreshing(store, ours):
        try:
            while waiting:
                for record in records(claimed(), execute=execute, backend=backend, jobs=jobs):
                    store.write(record)
                    store.release(record.spec.id)
                    ours.discard(record.spec.id)
                    bar.finished(record)
                    ran += 1
                waiting = [spec for spec in waiting if not settled(spec)]
                if waiting and all(store.claimed(spec.id) for spec in waiting):
                    bar.note(f"waiting for {len(waiting)} runs of another runner")
                    time.sleep(poll_seconds)
        finally:
            for id in tuple(ours):
                store.release(id)
    final = [store.read(id) for id in unique]
    failures = sum(record is not None and record.status == "failed" for record in final)
    return Summary(done=len(final) - failures, failed=failures, ran=ran)


def _groups(specs: Sequence[RunSpec], together: int) -> Iterator[list[RunSpec]]:
    """The runs in their order; those that can be trained together in groups of at most so many."""
    open_groups: dict[str, list[RunSpec]] = {}
    groups: list[list[RunSpec]] = []
    for spec in specs:
        key = task_module(spec.task).together_key(spec) if together > 1 else None
        group = open_groups.get(key) if key is not None else None
        if group is None or len(group) == together:
            group = []
            groups.append(group)
            if key is not None:
                open_groups[key] = group
        group.append(spec)
    yield from groups


def _prepare(specs: Sequence[RunSpec]) -> None:
    """Fetch and encode each data set once, before workers start that would all do it."""
    for spec in {(spec.task, spec.dataset, spec.split_seed): spec for spec in specs}.values():
        task_module(spec.task).prepare(spec)


@contextmanager
def _refreshing(store: Store, ours: set[str]) -> Iterator[None]:
    """Keep our claims fresh, so that runners on other machines see that we are alive."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(REFRESH_SECONDS):
            store.refresh(set(ours))

    thread = threading.Thread(target=beat, name="refresh-claims", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
