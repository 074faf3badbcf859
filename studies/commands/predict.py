"""``qnn predict``: score the rows of a file with a trained model."""

from __future__ import annotations

from pathlib import Path

import click

from studies.commands.outputs import output_file


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("rows", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV, TSV or Parquet, by suffix.  [default: ROWS with .predictions before its suffix]",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
def predict(run: Path, rows: Path, out: Path | None, device: str) -> None:
    """Write the click probability of each row of ROWS, a CSV, TSV or Parquet file, by the trained model RUN.

    RUN is a folder that `qnn train --out` made; its encoder reads the rows. Tokens that the training rows did not have are
    out of vocabulary. The output has one column, `probability`, and a row for each row, in order.
    """
    from tqdm import tqdm

    from qnn_models.evaluation.evaluate import resolve_device
    from qnn_models.serving.predict import predict_file
    from qnn_models.serving.trained import load_trained

    target = output_file(out or rows.parent / f"{rows.stem}.predictions{rows.suffix}")
    trained, where = load_trained(run), resolve_device(device)
    with tqdm(unit=" rows", disable=None, desc=rows.name) as bar:
        count = predict_file(trained, rows, target, device=where, progress=bar.update)
    click.echo(f"{target}: {count:,} rows")
