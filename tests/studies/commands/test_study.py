"""``qnn study``: killed and started again it ends with the CSV of an undisturbed study."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner
from polars.testing import assert_frame_equal

from studies.cli import main
from studies.running.record import Store

STUDY = """
name = "tiny"
title = "A tiny study"
task = "train"
datasets = ["planted"]
seeds = 3

[training]
batch_size = 256
max_epochs = 3

[quick]
train_rows = 256
training = { max_epochs = 1 }

[[arms]]
model = "quadratic"
label = "{format}"
options = { format = ["T9", "T19"], layers = 1, embedding_dim = 2 }

[[arms]]
model = "lr"
label = "LR"
"""
TIMINGS = ("train_seconds", "epoch_seconds", "inference_us", "latency_us", "latency_100_us", "peak_mib")


def without_timings(path: Path) -> pl.DataFrame:
    """What a study found; the commit is left out too, as somebody may be working on the tree while the tests run."""
    return pl.read_csv(path).drop(*TIMINGS, "commit", strict=False)


def started(*arguments: str) -> subprocess.Popen[str]:
    """``qnn`` as a process with a group of its own, as a terminal starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "studies.cli", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def wait_for_records(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while len(list(folder.glob("*.json"))) < count:
        assert process.poll() is None, f"ended before {count} records: {process.communicate()[0]}"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_interrupted_then_killed_then_finished_is_as_undisturbed(tmp_path: Path) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(STUDY)
    quiet, disturbed = tmp_path / "quiet", tmp_path / "disturbed"
    undisturbed = CliRunner().invoke(main, ["study", "run", str(config), "--results", str(quiet), "--jobs", "1"])
    assert undisturbed.exit_code == 0, undisturbed.output
    assert "log loss" in undisturbed.output

    command = ("study", "run", str(config), "--results", str(disturbed), "--jobs", "2")
    interrupted = started(*command)
    wait_for_records(disturbed / "records", 1, interrupted)
    os.killpg(interrupted.pid, signal.SIGINT)
    output = interrupted.communicate(timeout=60)[0]
    assert interrupted.returncode == 130, output
    assert "Give the same command again to go on." in output
    assert "Traceback" not in output
    assert not list((disturbed / "records").glob("*.claim"))

    done = len(list((disturbed / "records").glob("*.json")))
    assert done < 9
    killed = started(*command)
    wait_for_records(disturbed / "records", done + 1, killed)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=60)  # ends when the workers, which share its output, have ended too
    before = {path: path.read_bytes() for path in (disturbed / "records").glob("*.json")}
    assert len(before) < 9
    assert not (disturbed / "tiny.csv").exists()

    finished = CliRunner().invoke(main, [*command[:-1], "1"])
    assert finished.exit_code == 0, finished.output
    assert {path: path.read_bytes() for path in before} == before, "a present record is never run again"
    assert len(list((disturbed / "records").glob("*.json"))) == 9
    for name in ("tiny.csv", "tiny_history.csv"):
        assert_frame_equal(without_timings(disturbed / name), without_timings(quiet / name), check_exact=True)


def test_sigterm_ends_the_runner_and_its_workers_and_keeps_what_is_done(tmp_path: Path) -> None:
    config, records = tmp_path / "tiny.toml", tmp_path / "quick" / "records"
    config.write_text(STUDY.replace("seeds = 3", "seeds = 100"))
    terminated = started("study", "run", str(config), "--quick", "--results", str(tmp_path), "--jobs", "2")
    try:
        wait_for_records(records, 1, terminated)
        terminated.terminate()
        output = terminated.communicate(timeout=60)[0]  # ends when the workers, which share its output, have ended too
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(terminated.pid, signal.SIGKILL)
    assert terminated.returncode == 143, output
    assert f"Interrupted: {len(list(records.glob('*.json')))} of 300 runs are done" in output
    assert "Traceback" not in output
    assert not list(records.glob("*.claim"))


def test_sigterm_that_python_drops_ends_the_process_too() -> None:
    code = (
        "import signal, time\n"
        "from studies.running import termination\n"
        "termination.GRACE_SECONDS = 1\n"
        "class Dying:\n"
        "    def __del__(self):\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "with termination.terminated_like_ctrl_c():\n"
        "    Dying()\n"
        "    print('goes on', flush=True)\n"
        "    time.sleep(30)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert "Exception ignored" in ended.stderr
    assert ended.stdout == "goes on\n"
    assert ended.returncode == -signal.SIGALRM


def test_quick_runs_stay_apart_and_status_tells(tmp_path: Path) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(STUDY)
    arguments = [str(config), "--results", str(tmp_path / "results"), "--seeds", "1"]
    runner = CliRunner()
    before = runner.invoke(main, ["study", "status", *arguments, "--quick"])
    assert "0 of 3 runs done" in before.output
    assert "time left: unknown" in before.output
    quick = runner.invoke(main, ["study", "run", *arguments, "--quick", "--jobs", "1"])
    assert quick.exit_code == 0, quick.output
    assert "QUICK" in quick.output
    table = pl.read_csv(tmp_path / "results" / "quick" / "tiny.csv")
    assert table["quick"].to_list() == [True] * 3
    assert table["train_rows"].to_list() == [256] * 3
    assert "3 of 3 runs done" in runner.invoke(main, ["study", "status", *arguments, "--quick"]).output
    assert "0 of 3 runs done" in runner.invoke(main, ["study", "status", *arguments]).output
    assert not (tmp_path / "results" / "records").exists()


def test_a_failed_run_is_told_with_its_reason(tmp_path: Path) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(STUDY.replace("max_epochs = 3", "max_epochs = 3\nlearning_rate = 1e30"))
    arguments = [str(config), "--results", str(tmp_path / "results"), "--seeds", "1"]
    result = CliRunner().invoke(main, ["study", "run", *arguments, "--jobs", "1"])
    assert result.exit_code == 1
    status = CliRunner().invoke(main, ["study", "status", *arguments]).output
    assert "failed: T19, seed 0" in status
    assert "FloatingPointError" in status
    table = pl.read_csv(tmp_path / "results" / "tiny.csv")
    assert "failed" in table["status"].to_list()
    store = Store(tmp_path / "results" / "records")
    assert all(store.read(run) for run in table["run"])


def test_mistakes_end_in_one_line(tmp_path: Path) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(STUDY.replace("max_epochs = 3", "max_epoch = 3"))
    result = CliRunner().invoke(main, ["study", "run", str(config)])
    assert result.exit_code == 2
    assert "tiny.toml: training: must be one of" in result.output
    assert "did you mean 'max_epochs'?" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("option", ["--jobs", "--threads", "--together"])
def test_counts_below_one_are_mistakes(option: str) -> None:
    result = CliRunner().invoke(main, ["study", "run", "boundaries", option, "0"])
    assert result.exit_code == 2
    assert f"Invalid value for '{option}'" in result.output


def test_runs_whose_time_is_measured_are_done_one_at_a_time(tmp_path: Path) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(STUDY.replace("seeds = 3", "seeds = 1\none_at_a_time = true"))
    arguments = [str(config), "--results", str(tmp_path / "results"), "--quick"]
    result = CliRunner().invoke(main, ["study", "run", *arguments, "--jobs", "2", "--together", "2"])
    assert result.exit_code == 0, result.output
    assert "tiny measures time, so its runs are done one at a time" in result.output
    assert pl.read_csv(tmp_path / "results" / "quick" / "tiny.csv")["status"].to_list() == ["done"] * 3


def test_the_studies_are_listed() -> None:
    output = CliRunner().invoke(main, ["study", "list"]).output
    for name in ("formats", "boundaries", "main", "ablation", "scalability"):
        assert f"\n{name} " in f"\n{output}"


def test_a_study_that_chooses_runs_what_was_chosen_and_is_then_done(tmp_path: Path) -> None:
    config = tmp_path / "tiny.toml"
    choose = "[choose]\noptions.dropout = [0.1, 0.4]\ntraining.embedding_l2 = [0.0, 10.0]\n[[arms]]"
    config.write_text(STUDY.replace("[[arms]]", choose, 1))
    arguments = [str(config), "--quick", "--results", str(tmp_path / "r")]
    first = CliRunner().invoke(main, ["study", "run", *arguments, "--jobs", "1"])
    assert first.exit_code == 0, first.output
    assert "Fixed settings and those chosen on validation: planted" in first.output
    folder = tmp_path / "r" / "quick"
    choices = pl.read_csv(folder / "tiny_choices.csv")
    taken = choices.filter("chosen")
    assert taken["label"].to_list() == ["T9", "T19", "LR"]
    assert (
        taken["value"].to_list() == choices.group_by("arm", maintain_order=True).agg(pl.max("value"))["value"].to_list()
    )
    tuned = pl.read_csv(folder / "tiny_tuned.csv")
    assert (tuned["status"] == "done").all()
    assert tuned["seed"].to_list() == [0, 1, 2] * 3
    expected = dict(taken.select("label", "training_embedding_l2").iter_rows())
    assert all(expected[label] == l2 for label, l2 in tuned.select("label", "training_embedding_l2").iter_rows())
    records = {path.name for path in (folder / "records").glob("*.json")}
    again = CliRunner().invoke(main, ["study", "run", *arguments, "--jobs", "1"])
    assert again.exit_code == 0
    assert {path.name for path in (folder / "records").glob("*.json")} == records
    status = CliRunner().invoke(main, ["study", "status", *arguments])
    assert f"{len(records)} of {len(records)} runs done, 0 failed" in status.output
