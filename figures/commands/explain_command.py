"""``qnn explain``: the interactions of fields in a trained model, as a table, a CSV and a heat map.

It lives here and not in `studies.commands`, because it draws, and an import only ever points from figures to studies.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studies.commands.outputs import output_folder

if TYPE_CHECKING:
    import torch

    from qnn_models.serving.explain import Contributions, Interaction
    from qnn_models.serving.trained import TrainedModel

TABLE_FILE = "interactions.csv"
FIGURE_STEM = "interactions"

_MEANING = {
    "polynomial": "the model is a polynomial; a set's contribution is the sum of its monomials in exactly these fields",
    "local": "at each row the model is a polynomial; a set's contribution is the sum of its monomials in exactly these fields",
    "anchored": "the model is no polynomial; a set's contribution is what its fields add together, other fields at zero",
}


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--order", type=click.IntRange(min=1), default=2, show_default=True, help="Largest set of fields.")
@click.option("--rows", type=click.IntRange(min=1), default=2000, show_default=True, help="Rows drawn from the split.")
@click.option("--row", type=click.IntRange(min=0), help="Explain this one row of the split, counted from 0.")
@click.option("--split", type=click.Choice(["train", "valid", "test"]), default="test", show_default=True)
@click.option("--top", type=click.IntRange(min=1), default=20, show_default=True, help="Sets to print.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draw of rows.")
@click.option("--source", type=click.Path(path_type=Path), help="Folder of the data set's own files.")
@click.option("--offline", is_flag=True, help="Take the data set as it is in the cache, whatever its source holds now.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the files.  [default: RUN]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def explain(
    run: Path,
    order: int,
    rows: int,
    row: int | None,
    split: str,
    top: int,
    seed: int,
    source: Path | None,
    offline: bool,
    device: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Show which sets of fields act together in the trained model RUN, a folder that `qnn train --out` made.

    Contributions are exact. All sets of up to --order fields go into interactions.csv, pairs into a heat map.
    """
    from tqdm import tqdm

    from qnn_models.evaluation.evaluate import resolve_device
    from qnn_models.serving.explain import contributions, interactions
    from qnn_models.serving.trained import load_trained

    trained, where = load_trained(run), resolve_device(device)
    folder = output_folder(run if out is None else out)
    ids = split_ids(trained, split=split, source=source, offline=offline, progress=not as_json)
    ids = drawn(ids, rows=rows, seed=seed) if row is None else one_row(ids, row=row)
    found = contributions(
        trained.model.to(where),
        ids,
        order=order,
        progress=lambda sets: tqdm(sets, desc="sets of fields", disable=None if not as_json else True),
    )
    ranked = interactions(found)
    files = write(found, ranked, folder=folder)
    report = summary(trained, found, ranked[:top], split=split, files=files)
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


def write(found: Contributions, ranked: tuple[Interaction, ...], *, folder: Path) -> list[Path]:
    """Write the table of all sets and, where there are pairs, the heat map as PDF and PNG; each whole or not at all."""
    import polars as pl

    from figures.pictures import interaction_map
    from figures.shared.style import paper_style, save
    from studies.running.record import write_whole

    table = folder / TABLE_FILE
    rows = {
        "fields": [" × ".join(interaction.names) for interaction in ranked],
        "order": [len(interaction.fields) for interaction in ranked],
        "strength": [interaction.strength for interaction in ranked],
        "mean": [interaction.mean for interaction in ranked],
    }
    write_whole(table, pl.DataFrame(rows).write_csv())
    if found.order == 1:
        return [table]
    with paper_style():
        figure = interaction_map.draw(found.names, {interaction.fields: interaction.strength for interaction in ranked})
    pictures = [folder / f"{FIGURE_STEM}.{kind}" for kind in ("pdf", "png")]
    for picture in pictures:
        save(figure, picture)
    return [table, *pictures]


def summary(
    trained: TrainedModel, found: Contributions, top: tuple[Interaction, ...], *, split: str, files: list[Path]
) -> dict[str, Any]:
    """What was found, as JSON values; strengths and means in units of the logit."""
    return {
        "model": trained.name,
        "dataset": trained.dataset,
        "split": split,
        "rows": len(found.logits),
        "order": found.order,
        "reading": found.reading,
        "logit_strength": float(found.logits.square().mean().sqrt()),
        "constant": float(found.by_set[()].mean()),
        "rest_strength": float(found.rest.square().mean().sqrt()),
        "interactions": [
            {"fields": list(interaction.names), "strength": interaction.strength, "mean": interaction.mean}
            for interaction in top
        ],
        "files": [str(file) for file in files],
    }


def text(report: dict[str, Any]) -> str:
    """The table for a reader at a terminal."""
    listed = [(" × ".join(entry["fields"]), entry["strength"], entry["mean"]) for entry in report["interactions"]]
    width = max(len("fields"), *(len(name) for name, _, _ in listed))
    lines = [
        f"{report['model']} on {report['dataset']}: {report['rows']} rows of {report['split']}, "
        f"sets of up to {report['order']} fields",
        f"{report['reading']}: {_MEANING[report['reading']]}",
        "in units of the logit: strength is the root mean square of a contribution over the rows, mean its mean",
        "",
        f"{'fields':<{width}}  strength      mean",
        *(f"{name:<{width}}  {strength:8.4f}  {mean:+8.4f}" for name, strength, mean in listed),
        "",
        f"logit {report['logit_strength']:.4f}, constant {report['constant']:+.4f}, "
        f"all sets of more fields together {report['rest_strength']:.4f}",
        *report["files"],
    ]
    return "\n".join(lines)
