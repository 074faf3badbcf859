"""``qnn tune``: search hyper-parameters on validation AUC."""

from __future__ import annotations

from pathlib import Path

import click

from studies.commands.outputs import output_file


@click.command()
@click.argument("search", default="qnn-alpha")
@click.option(
    "--trials", type=click.IntRange(min=1), default=30, show_default=True, help="Trials in all, earlier calls included."
)
@click.option("--dataset", help="Search on this data set instead.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads per run.")
@click.option(
    "--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True,
    help="Folder of the records (RESULTS/records) and of the trials (RESULTS/tune.db).",
)  # fmt: skip
@click.pass_context
def tune(context: click.Context, search: str, trials: int, dataset: str | None, threads: int, results: Path) -> None:
    """Search the space that SEARCH declares, a TOML file or the name of one that comes with the package.

    Interrupted and called again, it goes on with what it has learnt. Several calls may search together.
    """
    import optuna  # noqa: F401  before the work

    from studies.running.record import Store
    from studies.running.tuning import load_search, with_dataset
    from studies.running.tuning import tune as run

    declared = with_dataset(load_search(search), dataset)
    storage = output_file(results / "tune.db", option="--results")
    try:
        best = run(declared, trials=trials, storage=storage, store=Store(results / "records"), threads=threads)
    except KeyboardInterrupt:
        click.echo("\nInterrupted; the same command goes on with the trials so far.", err=True)
        context.exit(130)
    click.echo(
        f"best of {best.trials} trials by validation AUC {100 * best.valid_auc:.2f} % (chosen for it, so too good)"
    )
    click.echo(f"its test AUC {100 * best.test_auc:.2f} %, log loss {best.test_logloss:.4f}")
    for section, values in (("options", best.options), ("training", best.training)):
        click.echo(f"[{section}]")
        for key, value in values.items():
            click.echo(f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}")
