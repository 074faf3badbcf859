"""Where runs are computed: in local processes, or on a Ray cluster. Both take calls lazily and give records as they come.

A call is taken from the iterator only when a worker is free for it, because taking it claims the run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, TypeAlias, assert_never

from studies.running.execute import Call, Execute, failed
from studies.running.record import Record

Backend: TypeAlias = Literal["local", "ray"]

_KILLED = "its process was killed by the system, most likely for memory; fewer --jobs or a smaller batch need less"


def records(calls: Iterator[Call], *, execute: Execute, backend: Backend, jobs: int) -> Iterator[Record]:
    """Carry out calls, `jobs` at a time, and give each record as soon as it is there.

    Args:
        calls: what to do; taken one by one as workers are free.
        execute: carries one call out.
        backend: ``local`` processes (joblib), or a ``ray`` cluster: the one that ``RAY_ADDRESS`` names, else a local one.
        jobs: how many at a time; 1 on ``local`` is this very process.
    """
    match backend:
        case "local":
            return _local(calls, execute, jobs) if jobs > 1 else (record for call in calls for record in execute(call))
        case "ray":
            return _on_ray(calls, execute, jobs)
        case _:
            assert_never(backend)


def _local(calls: Iterator[Call], execute: Execute, jobs: int) -> Iterator[Record]:
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    started: dict[str, Call] = {}

    def feed() -> Iterator[Call]:
        for call in calls:
            call = replace(call, runner_pid=os.getpid())
            started[call.key] = call
            yield call

    while True:
        try:
            for records in _processes(feed(), execute, jobs):
                started.pop(records[0].spec.id, None)
                yield from records
            return
        except TerminatedWorkerError:
            # The system killed a worker, and with it the pool. Try what was in flight one by one, to find the guilty run.
            for call in list(started.values()):
                try:
                    for records in _processes(iter([call]), execute, jobs):
                        yield from records
                except TerminatedWorkerError:
                    yield from failed(call, reason=_KILLED)
            started.clear()


def _processes(calls: Iterator[Call], execute: Execute, jobs: int) -> Iterator[tuple[Record, ...]]:
    from joblib import Parallel, delayed

    pool = Parallel(n_jobs=jobs, backend="loky", batch_size=1, pre_dispatch=jobs, return_as="generator_unordered")
    return pool(delayed(execute)(call) for call in calls)


def _on_ray(calls: Iterator[Call], execute: Execute, jobs: int) -> Iterator[Record]:
    try:
        import ray
    except ModuleNotFoundError:
        raise ValueError(
            "--backend ray needs Ray, however it is not installed: pip install 'qnn-toolkit[cluster]'."
        ) from None
    if not ray.is_initialized():
        ray.init(address=os.environ.get("RAY_ADDRESS"), log_to_driver=False)

    def carry_out(call: Call) -> tuple[Record, ...]:
        return execute(call)

    # Ray itself starts a run again whose process or node is lost.
    remote = ray.remote(carry_out)
    flying: dict[object, Call] = {}
    exhausted = False
    while flying or not exhausted:
        while not exhausted and len(flying) < jobs:
            call = next(calls, None)
            if call is None:
                exhausted = True
            else:
                flying[remote.options(num_cpus=call.threads).remote(call)] = call
        if not flying:
            return
        ready, _ = ray.wait(list(flying), num_returns=1)
        call = flying.pop(ready[0])
        try:
            yield from ray.get(ready[0])
        except (
            ray.exceptions.RaySystemError,
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.OutOfMemoryError,
        ) as error:
            yield from failed(call, reason=f"{_KILLED} ({type(error).__name__})")
