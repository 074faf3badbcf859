"""Where a training step's time goes: self time per operation, ours beside the baseline."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

from qnn_models.bench.shapes import SHAPES
from qnn_models.bench.sides import SIDES

_SHOWN = 14


def shares(shape_name: str, *, device: str = "cpu") -> str:
    """A table of the largest shares of self time in a training step of each side."""
    made = {name: side(SHAPES[shape_name], device) for name, side in SIDES.items()}
    return "\n\n".join(f"{shape_name}, {name}\n{_profiled(work, device)}" for name, work in made.items())


def _profiled(work: Callable[[], object], device: str) -> str:
    work()
    cuda = device.startswith("cuda")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities) as recorded:
        work()
        if cuda:
            torch.cuda.synchronize()
    times = {
        event.key: float(event.self_device_time_total if cuda else event.self_cpu_time_total)
        for event in recorded.key_averages()
    }
    total = sum(times.values()) or 1.0
    largest = sorted(times.items(), key=lambda item: -item[1])[:_SHOWN]
    return "\n".join(f"{100 * time / total:5.1f} %  {name}" for name, time in largest)
