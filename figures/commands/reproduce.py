"""`qnn reproduce`: the main job in one command, from nothing to figures."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import click

from studies.commands.outputs import output_folder

# What the main job runs, in this order; a quick one runs the first two.
STUDIES: tuple[str, ...] = ("formats", "boundaries", "ablation", "datasets", "regularisation")
# On all of its data sets the format study takes hours; `regularisation` has a few of its runs on the large one.
_ON: Mapping[str, str] = {"formats": "ml-100k"}


@click.command()
@click.option(
    "--quick", is_flag=True, help="Shortened studies, to see that everything works; kept apart in RESULTS/quick."
)
@click.option(
    "--all", "everything", is_flag=True,
    help="Every study of the package, the formats with five seeds: all figures and tables, in hours.",
)  # fmt: skip
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder for all results.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="Runs at a time. [default: one per processor]")
@click.pass_context
def reproduce(context: click.Context, quick: bool, everything: bool, results: Path, jobs: int | None) -> None:
    """Fetch the data, train the format study and others, and write CSVs, tables, figures and the HTML report.

    Interrupted and called again, it goes on where it was.
    """
    from figures.build import discover
    from figures.commands.figures_command import figures, report
    from studies.commands.study import run_study
    from studies.declaring.load import load_config, study_names
    from studies.judging.statistics import PAIRS_FOR_A_VERDICT
    from studies.running.termination import INTERRUPTED, TERMINATED

    output_folder(results, option="--results")
    started = time.monotonic()
    failed = []
    chosen = STUDIES[:2] if quick else STUDIES
    if everything:
        chosen = (*STUDIES, *(name for name in study_names() if name not in STUDIES))
    for name in chosen:
        click.echo(f"== study {name}{' (quick)' if quick else ''}")
        config = load_config(name)
        seeds = (
            PAIRS_FOR_A_VERDICT
            if everything and not quick and config.task == "train" and len(config.seeds) < PAIRS_FOR_A_VERDICT
            else None
        )
        try:
            dataset = None if everything else _ON.get(name)
            context.invoke(
                run_study, config=name, quick=quick, results=results, jobs=jobs, seeds=seeds, dataset=dataset
            )
        except click.exceptions.Exit as stop:
            if stop.exit_code in (INTERRUPTED, TERMINATED):
                raise
            failed.append(name)  # its other runs are collected, and what can be drawn is drawn
    click.echo("== figures")
    folder = results / "quick" if quick else results
    if quick:  # what the theory alone feeds takes longer than a quick study
        drawn = tuple(spec.name for spec in discover() if spec.studies and set(spec.studies) <= set(chosen))
        context.invoke(figures, names=drawn, results=results, quick=True)
    else:
        context.invoke(report, results=results)
    click.echo(f"done in {(time.monotonic() - started) / 60:.1f} min; everything is in {folder}")
    if failed:
        raise click.ClickException(f"Some runs failed in: {', '.join(failed)}; `qnn study status` tells why.")
