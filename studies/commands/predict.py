"""``qnn predict``: score the rows of files with a trained model."""

from __future__ import annotations

import glob
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from studies.commands.outputs import output_file

_STREAM = Path("-")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("rows", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="CSV, TSV, JSON lines or Parquet, by suffix; - is the standard output, as CSV.  "
    "[default: ROWS with .predictions before its suffix; of -, the standard output]",
)
@click.option("--keep", default="", metavar="COLUMNS", help="Columns to carry along, separated by commas: id,time.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
def predict(run: Path, rows: Path, out: Path | None, keep: str, device: str) -> None:
    """Write the click probability of each row of ROWS by the trained model RUN.

    RUN is a folder that `qnn train --out` made; its encoder reads the rows. ROWS is a file (CSV, TSV, JSON lines or Parquet, by
    suffix; text may be compressed), a quoted pattern such as 'day-*.csv.gz', or - for CSV from the standard input. Columns that
    the model does not read may be there or not. Tokens that the training rows did not have are out of vocabulary; where a field
    has far more of them than the validation rows had, a warning says so. The output has a row for each row, in order: the columns
    kept, and `probability`.
    """
    from tqdm import tqdm

    from qnn_models.evaluation.evaluate import resolve_device
    from qnn_models.serving.predict import predict_file
    from qnn_models.serving.trained import load_trained

    to_stream = out == _STREAM or (out is None and rows == _STREAM)
    with ExitStack() as stack:
        folder = (
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="qnn-predict-")))
            if to_stream or rows == _STREAM
            else Path()
        )
        files = _files(rows, folder)
        if to_stream:
            target = folder / "predictions.csv"
        else:
            target = output_file(
                out or files[0].parent / _default_name(files[0].name if len(files) == 1 else "rows.csv")
            )
        trained, where = load_trained(run), resolve_device(device)
        kept = [name.strip() for name in keep.split(",") if name.strip()]
        with tqdm(unit=" rows", disable=None, desc=rows.name) as bar:
            count = predict_file(trained, files, target, keep=kept, device=where, progress=bar.update)
        if to_stream:
            with target.open("rb") as text:
                shutil.copyfileobj(text, sys.stdout.buffer)
                sys.stdout.buffer.flush()
        else:
            click.echo(f"{target}: {count:,} rows")


def _files(rows: Path, folder: Path) -> list[Path]:
    """The files that are meant; the standard input becomes one, as a model may read nothing before all of it is sound."""
    if rows == _STREAM:
        spooled = folder / "rows.csv"
        with spooled.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        return [spooled]
    from qnn_models.data.reading.source_files import is_pattern

    if not rows.exists() and is_pattern(str(rows)):
        found = [Path(name) for name in sorted(glob.glob(str(rows)))]
        if not found:
            raise click.ClickException(f"A pattern names files, however: none fits {rows}.")
        return found
    return [rows]


def _default_name(name: str) -> str:
    from qnn_models.data.reading.compressed import SUFFIXES

    compression = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")
    stem, dot, suffix = name.removesuffix(compression).rpartition(".")
    return f"{stem}.predictions{dot}{'csv' if suffix in ('txt', 'tab') else suffix}"
