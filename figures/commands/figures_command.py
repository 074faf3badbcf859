"""The commands `qnn figures` and `qnn report`.

They live here and not in `studies.commands`, because an import only ever points from figures to studies.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from studies.commands.outputs import output_file, output_folder

F = TypeVar("F", bound=Callable[..., None])


def _results_options(command: F) -> F:
    """The options that say which results are read."""
    for option in (
        click.option("--quick", is_flag=True, help="The results of shortened runs, in RESULTS/quick."),
        click.option(
            "--results",
            type=click.Path(path_type=Path, file_okay=False),
            default=Path("results"),
            show_default=True,
            help="Folder with the collected CSVs.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_results_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the files.  [default: figures/ in the results]",
)
@click.option("--list", "only_list", is_flag=True, help="List figures and tables with the studies they need.")
def figures(names: tuple[str, ...], results: Path, quick: bool, out: Path | None, only_list: bool) -> None:
    """Draw the figures (PDF and PNG) and write the LaTeX tables from collected results; all of them for no NAME.

    One whose study has not been collected says so, and the others are drawn.
    """
    from figures.build import Built, build, select

    if only_list:
        specs = select(names)
        width = max(len(spec.name) for spec in specs)
        for spec in specs:
            click.echo(f"{spec.name:<{width}}  {', '.join(spec.studies) or 'no study'}")
        return

    def report(built: Built) -> None:
        if built.missing:
            click.echo(f"{built.name}: not drawn. {built.missing}", err=True)
        else:
            click.echo(f"{built.name}: {', '.join(str(path) for path in built.files)}")

    folder = results / "quick" if quick else results
    into = output_folder(out or folder / "figures")
    done = build(names, results=folder, out=into, progress=report)
    missing = sum(1 for built in done if built.missing)
    if names and missing:
        raise click.exceptions.Exit(1)
    if missing:
        click.echo(f"{len(done) - missing} of {len(done)} drawn.", err=True)


@click.command()
@_results_options
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="The page.  [default: report.html in the results]"
)
def report(results: Path, quick: bool, out: Path | None) -> None:
    """Write the report: one HTML file with theory, measurements, figures and claims that loads nothing from elsewhere."""
    from figures.page.page import write_page

    folder = results / "quick" if quick else results
    page = output_file(out or folder / "report.html")
    output_folder(folder / "figures", option="--results")
    built = write_page(results=folder, figures=folder / "figures", out=page)
    for item in built:
        if item.missing:
            click.echo(f"{item.name}: not drawn. {item.missing}", err=True)
    click.echo(str(page))
