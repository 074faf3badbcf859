"""``qnn export``: a trained model as one file for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studies.commands.outputs import output_file

if TYPE_CHECKING:
    from qnn_models.serving.export import ExportFormat

STEM = "model"


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--format", type=click.Choice(["torch", "onnx"]), default="torch", show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file.  [default: model.pt2 or model.onnx in RUN]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def export(run: Path, format: ExportFormat, out: Path | None, as_json: bool) -> None:
    """Write the trained model RUN, a folder that `qnn train --out` made, as torch.export program or ONNX graph.

    The file needs none of this package. It is compared with the model on random rows before it appears.
    """
    from qnn_models.serving.export import SUFFIXES
    from qnn_models.serving.export import export as export_model
    from qnn_models.serving.trained import load_trained

    trained = load_trained(run)
    done = export_model(trained.model, output_file(out or run / f"{STEM}{SUFFIXES[format]}"), format=format)
    report = {
        "file": str(done.path),
        "format": format,
        "size_bytes": done.size_bytes,
        "difference": done.difference,
        "rows": done.rows,
    }
    if as_json:
        click.echo(json.dumps(report))
    else:
        click.echo(
            f"{done.path}: {done.size_bytes / 2**20:.1f} MiB, logits within {done.difference:.1g} of the model's on "
            f"{done.rows} random rows"
        )
