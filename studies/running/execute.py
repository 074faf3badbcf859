"""Carry out runs, whatever comes of them, and give their records back. This is what a worker process calls."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from studies.running.environment import environment
from studies.running.record import Record
from studies.tasks.spec import RunSpec
from studies.tasks.task import Measured, task_module


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is handed to a worker: one run, or several of one arm that are trained together.

    Attributes:
        specs: the runs.
        attempts: which try each of them is, from 1.
        threads: threads that torch computes with.
        runner_pid: process of the runner that waits for it, when it is the worker's parent; the worker ends with it.
    """

    specs: tuple[RunSpec, ...]
    attempts: tuple[int, ...]
    threads: int = 1
    runner_pid: int | None = None

    @property
    def key(self) -> str:
        """Id of the first run; no two calls of a study share a run."""
        return self.specs[0].id


Execute: TypeAlias = Callable[[Call], tuple[Record, ...]]


def execute(call: Call) -> tuple[Record, ...]:
    """Carry out the runs of a call. An error becomes a failed record with its reason; it does not stop the study."""
    _end_with_runner(call.runner_pid)
    import torch

    torch.set_num_threads(call.threads)
    started = time.time()
    clock = time.perf_counter()
    try:
        outcomes = _outcomes(call.specs)
    except Exception as error:
        return failed(call, reason=_reason(error), details=traceback.format_exc(), started=started)
    common = {
        "environment": {**environment(threads=call.threads), "together": len(call.specs)},
        "started": started,
        "seconds": (time.perf_counter() - clock) / len(call.specs),
    }
    return tuple(
        Record(spec=spec, status="failed", reason=_reason(outcome), attempts=attempt, **common)  # type: ignore[arg-type]
        if isinstance(outcome, Exception)
        else Record(
            spec=spec,
            status="done",
            metrics=outcome.metrics,
            series=outcome.series,
            attempts=attempt,
            **common,  # type: ignore[arg-type]
        )
        for spec, attempt, outcome in zip(call.specs, call.attempts, outcomes, strict=True)
    )


def _outcomes(specs: tuple[RunSpec, ...]) -> Sequence[Measured | Exception]:
    module = task_module(specs[0].task)
    return [module.run(specs[0])] if len(specs) == 1 else module.run_together(specs)


def failed(call: Call, *, reason: str, details: str = "", started: float | None = None) -> tuple[Record, ...]:
    """The records of a call that gave no result."""
    now = time.time()
    begun = now if started is None else started
    return tuple(
        Record(
            spec=spec,
            status="failed",
            environment=environment(threads=call.threads),
            reason=reason,
            details=details,
            attempts=attempt,
            started=begun,
            seconds=now - begun,
        )
        for spec, attempt in zip(call.specs, call.attempts, strict=True)
    )


def _reason(error: Exception) -> str:
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return f"{type(error).__name__}: {text}".splitlines()[0]


_watched: set[int] = set()


def _end_with_runner(runner_pid: int | None) -> None:
    """In a worker process: leave Ctrl-C to the runner, and end when the runner was killed, so that no run goes on unseen."""
    if runner_pid is None or runner_pid == os.getpid() or runner_pid in _watched:
        return
    _watched.add(runner_pid)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == runner_pid:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-runner", daemon=True).start()
