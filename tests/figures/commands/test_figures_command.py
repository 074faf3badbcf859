"""`qnn figures`: draws what is named, lists what there is, and fails where a named one cannot be drawn."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from figures.build import discover
from figures.commands.figures_command import figures as figures_command


def test_command(results_folder: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    done = runner.invoke(figures_command, ["depth", "--results", str(results_folder), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "depth.pdf").stat().st_size > 1000
    assert runner.invoke(figures_command, ["depth", "--results", str(tmp_path / "none")]).exit_code == 1
    listing = runner.invoke(figures_command, ["--list"])
    assert all(spec.name in listing.output for spec in discover())
