"""``qnn explain``: what sets of fields say in a trained model, as a table, a CSV and a picture.

It lives here and not in `studies.commands`, because it draws, and an import only ever points from figures to studies.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studies.commands.outputs import output_folder

if TYPE_CHECKING:
    import torch

    from qnn_models.serving.trained import TrainedModel


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--order", type=click.IntRange(min=1), help="Largest set of fields.  [default: 2; with --orders 4]")
@click.option("--orders", is_flag=True, help="Shares of the variance by the number of fields that interact.")
@click.option("--monomials", is_flag=True, help="Not centred: the sum of the monomials in exactly a set's fields.")
@click.option("--rows", type=click.IntRange(min=1), default=2000, show_default=True, help="Rows drawn from the split.")
@click.option("--row", type=click.IntRange(min=0), help="Explain this one row of the split, counted from 0.")
@click.option("--split", type=click.Choice(["train", "valid", "test"]), default="test", show_default=True)
@click.option("--top", type=click.IntRange(min=1), default=20, show_default=True, help="Sets to print.")
@click.option(
    "--draws",
    type=click.IntRange(min=2),
    help="Draws, where a number is estimated.  [default: 500 for each set; with --orders 20000 for order 1]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all draws.")
@click.option("--source", type=click.Path(path_type=Path), help="Folder of the data set's own files.")
@click.option("--offline", is_flag=True, help="Take the data set as it is in the cache, whatever its source holds now.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the files.  [default: RUN]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def explain(
    run: Path,
    order: int | None,
    orders: bool,
    monomials: bool,
    rows: int,
    row: int | None,
    split: str,
    top: int,
    draws: int | None,
    seed: int,
    source: Path | None,
    offline: bool,
    device: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Show which sets of fields act together in the trained model RUN, a folder that `qnn train --out` made.

    The fields of a row are taken as independent, each distributed as in the rows. What a set of fields adds to the logit beyond
    what its subsets add is its effect (functional ANOVA): exact where the fields' values can be enumerated, else estimated, with
    standard errors. All sets of up to --order fields go into interactions.csv, pairs into a heat map; --orders writes
    orders.csv and its picture, --monomials the exact contributions of monomials.
    """
    from qnn_models.evaluation.evaluate import resolve_device
    from qnn_models.serving.trained import load_trained

    if orders and (monomials or row is not None):
        raise click.UsageError(
            "--orders is of the variance over all rows, and centred, however: "
            f"{'--monomials' if monomials else '--row'} stands beside it; leave one out."
        )
    trained, where = load_trained(run), resolve_device(device)
    folder = output_folder(run if out is None else out)
    ids = split_ids(trained, split=split, source=source, offline=offline, progress=not as_json)
    at = None if row is None else one_row(ids, row=row)
    ids, model = drawn(ids, rows=rows, seed=seed), trained.model.to(where)
    origin = {"model": trained.name, "dataset": trained.dataset, "split": split}

    def progress(sets: Iterable[Any]) -> Iterable[Any]:
        from tqdm import tqdm

        return tqdm(sets, desc="sets of fields", disable=None if not as_json else True)

    if orders:
        from figures.commands import explained_orders

        report = explained_orders.report(
            model, ids, origin=origin, order=order or 4, draws=draws, seed=seed, folder=folder, progress=progress
        )
        text = explained_orders.text
    elif monomials:
        from figures.commands import explained_monomials

        report = explained_monomials.report(
            model, ids if at is None else at, origin=origin, order=order or 2, top=top, folder=folder, progress=progress
        )
        text = explained_monomials.text
    else:
        from figures.commands import explained_effects

        report = explained_effects.report(
            model,
            ids,
            at=at,
            origin=origin,
            order=order or 2,
            draws=draws,
            seed=seed,
            top=top,
            folder=folder,
            progress=progress,
        )
        text = explained_effects.text
    click.echo(json.dumps(report) if as_json else text(report))


def split_ids(trained: TrainedModel, *, split: str, source: Path | None, offline: bool, progress: bool) -> torch.Tensor:
    """Ids of a split of the data set that the model was trained on.

    Raises:
        ValueError: the data set at hand holds other rows or vocabularies than the model was trained on.
    """
    from qnn_models.data.registry import prepare

    name = str(trained.report.get("dataset", trained.dataset))  # a schema's file, where it is the user's own
    dataset = prepare(name, source=source, split_seed=trained.split_seed, offline=offline, progress=progress)
    if dataset.content_hash != trained.content_hash:
        raise ValueError(
            f"A model is explained on the data set it was trained on, however: {name} now holds other rows "
            f"({dataset.content_hash[:12]}, not {trained.content_hash[:12]}); name the folder of the old files by --source."
        )
    return dataset.split(split).ids


def drawn(ids: torch.Tensor, *, rows: int, seed: int) -> torch.Tensor:
    """Some of the rows, drawn without repetition, in stored order; all where there are no more."""
    import torch

    from qnn_models.runtime.seeds import derive

    generator = torch.Generator().manual_seed(derive(seed, "explained rows"))
    return ids[torch.randperm(len(ids), generator=generator)[:rows].sort().values]


def one_row(ids: torch.Tensor, *, row: int) -> torch.Tensor:
    """One of the rows.

    Raises:
        ValueError: there is no such row.
    """
    if row >= len(ids):
        raise ValueError(f"The split has the rows 0 to {len(ids) - 1}, however: --row {row}.")
    return ids[row : row + 1]
