"""``qnn data``: list the data sets, and prepare one."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def data() -> None:
    """List and prepare data sets."""


@data.command("list")
def list_data() -> None:
    """List the data sets by name, and what each is read from."""
    from qnn_models.data.registry import dataset_names, describe

    names = dataset_names()
    width = max(map(len, names))
    for name in names:
        click.echo(f"{name:<{width}}  {describe(name)}")


@data.command("prepare")
@click.argument("name")
@click.option(
    "--source", type=click.Path(path_type=Path), help="Folder of the data set's own files. [default: fetched]"
)
@click.option(
    "--split-seed", type=int, default=0, show_default=True, help="Seed of the split, where the files make none."
)
@click.option("--force", is_flag=True, help="Encode again what the cache holds.")
@click.option("--offline", is_flag=True, help="Take the data set as it is in the cache, whatever its source holds now.")
def prepare_data(name: str, source: Path | None, split_seed: int, force: bool, offline: bool) -> None:
    """Encode the data set NAME (or the TOML schema of your own files) into the cache.

    The cache is the folder qnn-data in $QNN_CACHE, else in $XDG_CACHE_HOME, else in ~/.cache.
    """
    from qnn_models.data.registry import prepare

    dataset = prepare(name, source=source, split_seed=split_seed, force=force, offline=offline)
    rows = ", ".join(f"{dataset.num_rows(split):,} {split}" for split in ("train", "valid", "test"))
    click.echo(f"{dataset.name}: {rows} rows; {dataset.layout.num_fields} fields, {dataset.layout.total_ids:,} ids")
    for field, size, length in zip(
        dataset.layout.names, dataset.layout.vocabulary_sizes, dataset.layout.lengths, strict=True
    ):
        click.echo(f"  {field:<20} {size:>10,} ids" + (f", up to {length} at a time" if length > 1 else ""))
    click.echo(f"content {dataset.content_hash}" + (f" in {dataset.folder}" if dataset.folder else ""))
