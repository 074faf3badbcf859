"""A run that takes a moment and leaves a line, so that tests can count how often it was done."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from studies.running.execute import Call, failed
from studies.running.record import Record
from studies.tasks.spec import RunSpec


def specs(count: int) -> list[RunSpec]:
    """Runs that differ in their seed alone."""
    options = (("format", "T9"), ("hidden", 4), ("layers", 1), ("post_activation", None), ("deep", False))
    training = (("epochs", 1), ("learning_rate", 0.1))
    return [
        RunSpec(task="boundary", dataset="moons", model="quadratic", options=options, training=training, seed=seed)
        for seed in range(count)
    ]


@dataclass(frozen=True)
class CountedRun:
    """Appends the seed to a file; fails, or is killed by the system, on the seeds named."""

    log: Path
    seconds: float = 0.0
    failing: tuple[int, ...] = ()
    killed: tuple[int, ...] = ()

    def __call__(self, call: Call) -> tuple[Record, ...]:
        return tuple(
            record
            for spec, attempt in zip(call.specs, call.attempts, strict=True)
            for record in self._one(Call(specs=(spec,), attempts=(attempt,)))
        )

    def _one(self, call: Call) -> tuple[Record, ...]:
        (spec,), (attempt,) = call.specs, call.attempts
        with self.log.open("a") as file:
            file.write(f"{spec.seed}\n")
        time.sleep(self.seconds)
        if spec.seed in self.killed:
            os.kill(os.getpid(), signal.SIGKILL)
        if spec.seed in self.failing:
            return failed(call, reason="ValueError: planned")
        return (Record(spec=spec, status="done", metrics={"test_auc": 0.5}, attempts=attempt),)

    def counts(self) -> dict[int, int]:
        """Seed -> how often it was run."""
        lines = self.log.read_text().split() if self.log.exists() else []
        return {int(seed): lines.count(seed) for seed in lines}
