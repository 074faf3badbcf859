"""Which studies the main job runs, and that a failed one does not keep the others from being drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from figures.commands.reproduce import STUDIES, reproduce
from studies.declaring.load import study_names
from studies.running.termination import TERMINATED


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr("studies.commands.study.run_study", lambda **given: calls.append({"command": "study", **given}))
    monkeypatch.setattr(
        "figures.commands.figures_command.figures", lambda **given: calls.append({"command": "figures", **given})
    )
    monkeypatch.setattr(
        "figures.commands.figures_command.report", lambda **given: calls.append({"command": "report", **given})
    )
    return calls


def studied(calls: list[dict[str, Any]]) -> list[str]:
    return [call["config"] for call in calls if call["command"] == "study"]


def test_the_main_job_ends_in_a_report(runs: list[dict[str, Any]], tmp_path: Path) -> None:
    done = CliRunner().invoke(reproduce, ["--results", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0
    assert studied(runs) == list(STUDIES)
    assert all(call["seeds"] is None for call in runs[:-1])
    assert {call["config"]: call["dataset"] for call in runs[:-1]} == {**dict.fromkeys(STUDIES), "formats": "ml-100k"}
    assert runs[-1] == {"command": "report", "results": tmp_path}


def test_a_quick_one_draws_what_it_ran(runs: list[dict[str, Any]], tmp_path: Path) -> None:
    CliRunner().invoke(reproduce, ["--quick", "--results", str(tmp_path)], catch_exceptions=False)
    assert studied(runs) == ["formats", "boundaries"]
    assert runs[-1]["command"] == "figures"
    assert {"formats", "boundaries"} <= set(runs[-1]["names"])


def test_all_is_every_study_with_seeds_enough_for_a_verdict(runs: list[dict[str, Any]], tmp_path: Path) -> None:
    CliRunner().invoke(reproduce, ["--all", "--results", str(tmp_path)], catch_exceptions=False)
    assert sorted(studied(runs)) == sorted(study_names())
    assert {call["config"]: call["seeds"] for call in runs[:-1]}["formats"] == 5
    assert all(call["dataset"] is None for call in runs[:-1])


@pytest.mark.parametrize(("code", "drawn"), [(1, True), (TERMINATED, False)])
def test_failures_are_told_at_the_end_and_an_interruption_stops(
    monkeypatch: pytest.MonkeyPatch, runs: list[dict[str, Any]], tmp_path: Path, code: int, drawn: bool
) -> None:
    def fail(**given: Any) -> None:
        raise click.exceptions.Exit(code)

    monkeypatch.setattr("studies.commands.study.run_study", fail)
    done = CliRunner().invoke(reproduce, ["--results", str(tmp_path)])
    assert done.exit_code == code
    assert bool(runs) == drawn
    assert not drawn or "Some runs failed in: formats, boundaries" in done.output
