"""The progress bar: on a terminal its clock goes on while a run takes long; in a file it does not fill the log."""

from __future__ import annotations

import io
import time

import pytest

from studies.running import progress
from studies.running.progress import progress_bar


class Terminal(io.StringIO):
    """A stream that says whether it is a terminal."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_the_clock_goes_on_while_a_run_takes_long(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal(terminal=terminal)
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(progress, "TICK_SECONDS", 0.01)
    with progress_bar({"a": 1.0, "b": 2.0}, done=["a"], shown=True):
        at_start = stream.getvalue().count("1/2 runs")
        deadline = time.monotonic() + (10 if terminal else 0.2)
        while time.monotonic() < deadline and stream.getvalue().count("1/2 runs") < at_start + 3:
            time.sleep(0.01)
        drawn = stream.getvalue().count("1/2 runs")
    assert (drawn >= at_start + 3) == terminal


def test_a_hidden_bar_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal(terminal=True)
    monkeypatch.setattr("sys.stderr", stream)
    with progress_bar({"a": 1.0}, done=[], shown=False):
        pass
    assert stream.getvalue() == ""
