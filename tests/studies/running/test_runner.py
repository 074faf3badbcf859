"""Runs are done once: after a restart, beside another runner, and when a process is killed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from studies.declaring.config import Arm, StudyConfig
from studies.declaring.plan import plan
from studies.running.execute import Call
from studies.running.progress import duration, standing
from studies.running.record import Record, Store
from studies.running.runner import run_specs
from tests.studies.fakes import CountedRun, specs


def test_each_run_is_done_once(tmp_path: Path) -> None:
    store, execute = Store(tmp_path / "store"), CountedRun(tmp_path / "log")
    first = run_specs(specs(3), store, execute=execute, progress=False)
    assert (first.done, first.failed, first.ran) == (3, 0, 3)
    again = run_specs([*specs(5), *specs(2)], store, execute=execute, progress=False)
    assert (again.done, again.failed, again.ran) == (5, 0, 2)
    assert execute.counts() == dict.fromkeys(range(5), 1)


def test_a_failure_is_a_record_and_tried_again_when_asked(tmp_path: Path) -> None:
    store, execute = Store(tmp_path / "store"), CountedRun(tmp_path / "log", failing=(1,))
    assert run_specs(specs(3), store, execute=execute, progress=False).failed == 1
    assert run_specs(specs(3), store, execute=execute, progress=False).ran == 0
    record = store.read(specs(3)[1].id)
    assert record is not None
    assert (record.status, record.reason, record.attempts) == ("failed", "ValueError: planned", 1)
    mended = CountedRun(tmp_path / "log")
    summary = run_specs(specs(3), store, execute=mended, progress=False, retry_failed=True)
    assert (summary.done, summary.failed, summary.ran) == (3, 0, 1)
    assert mended.counts() == {0: 1, 1: 2, 2: 1}


def test_an_error_in_a_run_does_not_stop_the_study(tmp_path: Path) -> None:
    """The real `execute`: a data set that does not exist fails its own run only."""
    from dataclasses import replace

    good, bad = specs(2)
    summary = run_specs([good, replace(bad, dataset="mars")], Store(tmp_path), progress=False)
    assert (summary.done, summary.failed) == (1, 1)
    record = Store(tmp_path).read(replace(bad, dataset="mars").id)
    assert record is not None
    assert "ValueError: Points are one of moons, circles" in record.reason
    assert "Traceback" in record.details


def test_two_runners_share_a_store(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from studies.running.record import Record, Store\n"
        "from studies.running.runner import run_specs\n"
        "from tests.studies.fakes import CountedRun, specs\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "execute = CountedRun(folder / 'log', seconds=0.05)\n"
        "summary = run_specs(specs(24), Store(folder / 'store'), execute=execute, progress=False, poll_seconds=0.05)\n"
        "print(summary.ran, summary.done)\n"
    )
    runners = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [runner.communicate(timeout=60)[0].split() for runner in runners]
    assert all(runner.returncode == 0 for runner in runners)
    assert CountedRun(tmp_path / "log").counts() == dict.fromkeys(range(24), 1)
    assert sum(int(ran) for ran, _ in outputs) == 24
    assert [done for _, done in outputs] == ["24", "24"]
    assert sorted(path.suffix for path in (tmp_path / "store").iterdir()) == [""] + [".json"] * 24


def test_processes_and_a_run_that_kills_its_own(tmp_path: Path) -> None:
    store, execute = Store(tmp_path / "store"), CountedRun(tmp_path / "log", killed=(2,))
    summary = run_specs(specs(4), store, jobs=2, execute=execute, progress=False)
    assert (summary.done, summary.failed) == (3, 1)
    record = store.read(specs(4)[2].id)
    assert record is not None
    assert "killed by the system" in record.reason
    assert not list((tmp_path / "store").glob("*.claim"))


def test_runs_of_one_arm_are_done_together(tmp_path: Path) -> None:
    sizes: list[int] = []
    counted = CountedRun(tmp_path / "log")

    def noting(call: Call) -> tuple[Record, ...]:
        sizes.append(len(call.specs))
        return counted(call)

    config = StudyConfig(
        name="c", title="c", task="train", datasets=("planted",), seeds=(0, 1, 2, 3, 4),
        arms=(Arm(model="quadratic", options={"format": ("T9", "T19")}), Arm(model="lr")),
    )  # fmt: skip
    summary = run_specs(plan(config), Store(tmp_path / "store"), execute=noting, together=3, progress=False)
    assert (summary.done, summary.failed) == (15, 0)
    assert sorted(sizes) == [1] * 5 + [2, 2, 3, 3]


def test_interrupted_runs_are_free_again(tmp_path: Path) -> None:
    def interrupted(call: object) -> object:
        raise KeyboardInterrupt

    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_specs(specs(2), store, execute=interrupted, progress=False)  # type: ignore[arg-type]
    assert not any(store.claimed(spec.id) for spec in specs(2))
    assert standing(specs(2), store).done == 0


def test_standing_counts_and_estimates(tmp_path: Path) -> None:
    store, execute = Store(tmp_path / "store"), CountedRun(tmp_path / "log", failing=(0,))
    assert standing(specs(4), store).seconds_left is None
    run_specs(specs(2), store, execute=execute, progress=False)
    assert store.claim(specs(4)[3].id)
    now = standing(specs(4), store)
    assert (now.total, now.done, len(now.failed), now.in_flight) == (4, 1, 1, 1)
    assert now.seconds_left == pytest.approx(0.0)


def test_one_at_a_time_a_repetition_is_a_block(tmp_path: Path) -> None:
    """Times are compared in pairs of one seed, so what slows the machine down for a while must not meet one arm alone."""
    execute = CountedRun(tmp_path / "log")
    arms = [replace(spec, model=model) for model in ("a", "b") for spec in specs(3)]
    run_specs(arms, Store(tmp_path / "store"), execute=execute, progress=False)
    assert (tmp_path / "log").read_text().split() == ["0", "0", "1", "1", "2", "2"]


def test_the_time_left_knows_data_sets_and_the_longest_run(tmp_path: Path) -> None:
    store, moons = Store(tmp_path), specs(2)
    circles = [replace(spec, dataset="circles") for spec in specs(3)]
    for spec, seconds in ((moons[0], 1.0), (circles[0], 100.0)):
        store.write(Record(spec=spec, status="done", seconds=seconds))
    now = standing([*moons, *circles], store)
    assert now.seconds_left == pytest.approx(1 + 100 + 100)
    assert now.time_left(1) == pytest.approx(201)
    assert now.time_left(2) == pytest.approx(100.5)
    assert now.time_left(8) == pytest.approx(100), "no number of workers makes one run shorter"


@pytest.mark.parametrize("name", ["jobs", "together"])
def test_runs_that_are_timed_stay_alone_whatever_is_asked(tmp_path: Path, name: str) -> None:
    timed = [replace(spec, alone=True) for spec in specs(2)]
    with pytest.raises(ValueError, match=f"have the machine to themselves, however: {name}=2"):
        run_specs(timed, Store(tmp_path), progress=False, **{name: 2})  # type: ignore[arg-type]


def test_jobs_and_threads_are_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="however: jobs=0"):
        run_specs(specs(1), Store(tmp_path), jobs=0)


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (600, "10 min"), (7500, "2 h 05 min")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
