"""Carry out one run, whatever comes of it, and give its record back. This is what a worker process calls."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from studies.environment import environment
from studies.record import Record
from studies.spec import RunSpec
from studies.tasks import task_module


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One run as it is handed to a worker.

    Attributes:
        spec: the run.
        threads: threads that torch computes with.
        attempt: which try this is, from 1.
        runner_pid: process of the runner that waits for it, when it is the worker's parent; the worker ends with it.
    """

    spec: RunSpec
    threads: int = 1
    attempt: int = 1
    runner_pid: int | None = None


Execute: TypeAlias = Callable[[Call], Record]


def execute(call: Call) -> Record:
    """Carry out one run. An error becomes a failed record with its reason; it does not stop the study."""
    _end_with_runner(call.runner_pid)
    import torch

    torch.set_num_threads(call.threads)
    started = time.time()
    clock = time.perf_counter()
    try:
        measured = task_module(call.spec.task).run(call.spec)
    except Exception as error:
        return failed(call, reason=_reason(error), details=traceback.format_exc(), started=started)
    return Record(
        spec=call.spec,
        status="done",
        metrics=measured.metrics,
        series=measured.series,
        environment=environment(threads=call.threads),
        attempts=call.attempt,
        started=started,
        seconds=time.perf_counter() - clock,
    )


def failed(call: Call, *, reason: str, details: str = "", started: float | None = None) -> Record:
    """The record of a run that gave no result."""
    now = time.time()
    begun = now if started is None else started
    return Record(
        spec=call.spec,
        status="failed",
        environment=environment(threads=call.threads),
        reason=reason,
        details=details,
        attempts=call.attempt,
        started=begun,
        seconds=now - begun,
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
