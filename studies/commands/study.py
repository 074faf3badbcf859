"""``qnn study``: list the declared studies, run one, see how it stands, collect its results."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studies.commands.outputs import output_folder

if TYPE_CHECKING:
    from studies.declaring.config import Splits, StudyConfig
    from studies.running.record import Store
    from studies.tasks.spec import RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study as a command line names it.

    Attributes:
        config: what is declared.
        specs: its runs, as far as they are known: what arms choose settings by comes before the runs at what they chose.
        store: where their records are.
        results: where collected files go.
        quick: whether it is shortened.
    """

    config: StudyConfig
    specs: tuple[RunSpec, ...]
    store: Store
    results: Path
    quick: bool


def open_study(
    config: str,
    *,
    store: Path | None,
    results: Path,
    quick: bool,
    seeds: int | None,
    splits: Splits | None,
    dataset: str | None,
) -> Study:
    """Read a study and find its place. Quick runs live in a folder of their own, ``RESULTS/quick``."""
    from studies.declaring.load import load_config, with_changes
    from studies.running.choosing import known_runs
    from studies.running.record import Store

    declared = load_config(config)
    if (seeds, splits, dataset) != (None, None, None):
        declared = with_changes(declared, seeds=seeds, splits=splits, dataset=dataset)
    folder = results / "quick" if quick else results
    records = Store(store or folder / "records")
    return Study(
        config=declared,
        specs=known_runs(declared, records, quick=quick),
        store=records,
        results=folder,
        quick=quick,
    )


def _check_places(*, store: Path | None, results: Path) -> None:
    """Look at the places that a command writes to, before the records in them are read."""
    output_folder(results, option="--results")
    if store is not None:
        output_folder(store, option="--store")


def _study_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument and the options that say which study is meant, and where."""
    for decorate in (
        click.argument("config"),
        click.option("--dataset", help="Run it on this data set instead: a name, or a TOML schema of your own files."),
        click.option("--seeds", type=int, help="Number of repetitions, instead of the study's own."),
        click.option(
            "--splits", type=click.Choice(["one", "per-seed"]),
            help="One split of the data for all repetitions, or another one for each; all models of one repetition see the "
            "same. [default: the study's own]",
        ),
        click.option("--quick", is_flag=True, help="The shortened study; its results are kept apart, in RESULTS/quick."),
        click.option("--store", type=click.Path(path_type=Path), help="Folder of the records. [default: RESULTS/records]"),
        click.option(
            "--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True,
            help="Folder of the collected files.",
        ),
    ):  # fmt: skip
        command = decorate(command)
    return command


@click.group()
def study() -> None:
    """Run declared studies: resumable, one record per run, safe with several runners on one store.

    CONFIG is the path of a TOML file or the name of a study that comes with the package.
    """


@study.command("list")
def list_studies() -> None:
    """List the studies that come with the package."""
    from studies.declaring.choosing import trials
    from studies.declaring.load import load_config, study_names
    from studies.declaring.plan import plan

    names = study_names()
    for name in names:
        config = load_config(name)
        runs = {spec.id for spec in (*plan(config), *trials(config))}
        more = ", and those at the settings that arms choose" if config.choose is not None else ""
        click.echo(f"{name:<{max(map(len, names))}}  {len(runs):>4} runs  {config.title}{more}")


@study.command("run")
@_study_options
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Runs at a time. [default: one per processor; 1 where the study measures time]",
)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads per run.")
@click.option(
    "--backend", type=click.Choice(["local", "ray"]), default="local", show_default=True,
    help="Local processes, or the Ray cluster that RAY_ADDRESS names (a local one without it).",
)  # fmt: skip
@click.option(
    "--together", type=click.IntRange(min=1),
    help="Runs that are trained as one stack of models. [default: as pays for the task: mostly 1, on a GPU 8]",
)  # fmt: skip
@click.option("--retry-failed", is_flag=True, help="Try runs that failed once more.")
@click.pass_context
def run_study(
    context: click.Context,
    /,
    jobs: int | None,
    threads: int,
    together: int | None,
    backend: Any,
    retry_failed: bool,
    **which: Any,
) -> None:
    """Do the runs that are missing, then collect. Interrupted and called again, it goes on where it was."""
    from studies.judging.collect import collect
    from studies.judging.tables import study_table
    from studies.running.choosing import known_runs
    from studies.running.runner import run_specs
    from studies.running.termination import INTERRUPTED, TERMINATED, Terminated, terminated_like_ctrl_c

    _check_places(store=which["store"], results=which["results"])
    opened = open_study(**which)
    if opened.config.one_at_a_time and (jobs or together):
        click.echo(
            f"{opened.config.name} measures time, so its runs are done one at a time, whatever is asked.", err=True
        )
        jobs = together = None
    if opened.config.only_reads:
        click.echo(f"{opened.config.name} carries out no run: it reads the records in {opened.store.folder}.", err=True)
        context.invoke(collect_study, **which)
        return
    try:
        with terminated_like_ctrl_c():
            while True:
                summary = run_specs(
                    opened.specs,
                    opened.store,
                    jobs=jobs or default_jobs(opened.config, threads=threads),
                    threads=threads,
                    together=together or default_together(opened.config),
                    backend=backend,
                    retry_failed=retry_failed,
                )
                now_known = known_runs(opened.config, opened.store, quick=opened.quick)
                if {spec.id for spec in now_known} <= {spec.id for spec in opened.specs}:
                    break
                opened = replace(opened, specs=now_known)  # arms have chosen their settings by what ran
                retry_failed = False
    except KeyboardInterrupt as stop:
        from studies.running.progress import standing

        so_far = standing(opened.specs, opened.store)
        click.echo(
            f"\nInterrupted: {so_far.done} of {so_far.total} runs are done and kept in {opened.store.folder}. "
            f"Give the same command again to go on.",
            err=True,
        )
        context.exit(TERMINATED if isinstance(stop, Terminated) else INTERRUPTED)
    collected = collect(opened.config, opened.store, opened.results, quick=opened.quick)
    click.echo(study_table(opened.config, collected))
    click.echo("\n".join(f"wrote {path}" for path in collected.paths))
    if summary.failed:
        click.echo(f"{summary.failed} runs failed; `qnn study status` tells why, --retry-failed tries again.", err=True)
        context.exit(1)


@study.command("status")
@_study_options
def show_status(**which: Any) -> None:
    """Show how a study stands, what failed and why, and how long the rest will take."""
    from studies.running.progress import duration, standing

    opened = open_study(**which)
    now = standing(opened.specs, opened.store)
    click.echo(f"{opened.config.name}{' (quick)' if opened.quick else ''}: {now.done} of {now.total} runs done, "
               f"{len(now.failed)} failed, {now.in_flight} in flight; records in {opened.store.folder}")  # fmt: skip
    jobs = default_jobs(opened.config, threads=1)
    left = now.time_left(jobs)
    if left is None:
        click.echo("time left: unknown until a run is done")
    elif left:
        click.echo(f"time left: about {duration(left)} with {jobs} job{'' if jobs == 1 else 's'} on this machine")
    labels = {spec.id: spec.label for spec in opened.specs}
    for record in now.failed:
        click.echo(f"failed: {labels[record.spec.id]}, seed {record.spec.seed} (run {record.spec.id}): {record.reason}")


@study.command("collect")
@_study_options
def collect_study(**which: Any) -> None:
    """Write the CSV files of a study from the records that there are, and print its table."""
    from studies.judging.collect import collect
    from studies.judging.tables import study_table

    _check_places(store=None, results=which["results"])
    opened = open_study(**which)
    collected = collect(opened.config, opened.store, opened.results, quick=opened.quick)
    click.echo(study_table(opened.config, collected))
    click.echo("\n".join(f"wrote {path}" for path in collected.paths))


def default_jobs(config: StudyConfig, *, threads: int) -> int:
    """How many runs at a time: one per processor and thread, or one where runs must have the machine to themselves."""
    return 1 if config.one_at_a_time else max(1, _processors() // threads)


def default_together(config: StudyConfig) -> int:
    """How many runs to stack: what their task says, and 1 where each run's time and memory are measured."""
    import torch

    from studies.tasks.task import task_module

    return 1 if config.one_at_a_time else task_module(config.task).default_together(on_gpu=torch.cuda.is_available())


def _processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
