"""What figures read: our collected CSVs and the published numbers, kept apart."""

from __future__ import annotations

import importlib.resources
from functools import cache
from pathlib import Path

import polars as pl


class MissingResultsError(ValueError):
    """A figure's input is not there; the message says which study makes it."""


class Results:
    """Our results in one folder, one ``STUDY.csv`` for each study, as `studies.judging.collect` writes them.

    Attributes:
        folder: the folder that is read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._frames: dict[str, pl.DataFrame] = {}

    def has(self, study: str, part: str = "") -> bool:
        """Whether the study, or a part of it, has been collected."""
        return self._path(study, part).is_file()

    def table(self, study: str, part: str = "") -> pl.DataFrame:
        """A collected CSV as it is: the study's runs, or a further part such as the grid of a surface.

        Raises:
            MissingResultsError: the file is not there; names the study to run.
        """
        path = self._path(study, part)
        if path.name not in self._frames:
            if not path.is_file():
                raise MissingResultsError(f"{path} is missing: `qnn study run {study}` makes it.")
            self._frames[path.name] = pl.read_csv(path, infer_schema_length=None)
        return self._frames[path.name]

    def runs(self, study: str) -> pl.DataFrame:
        """The study's runs that ended well.

        Raises:
            MissingResultsError: the study was never collected, or none of its runs ended well.
        """
        frame = self.table(study).filter(pl.col("status") == "done")
        if frame.is_empty():
            raise MissingResultsError(
                f"{self._path(study, '')} holds no run that ended well: see `qnn study status {study}`, then run the study again."
            )
        return frame

    def _path(self, study: str, part: str) -> Path:
        return self.folder / (f"{study}_{part}.csv" if part else f"{study}.csv")


@cache
def _published(file: str) -> pl.DataFrame:
    with importlib.resources.files("qnn_theory").joinpath("published", file).open("rb") as stream:
        return pl.read_csv(stream, infer_schema_length=None)


def published(source: str) -> pl.DataFrame:
    """Numbers printed in the paper (li2025qnn): columns dataset, model, setting, metric, value.

    Args:
        source: ``table1`` ... ``table7`` or ``figure2``, ``figure4`` ... ``figure7``.

    Raises:
        KeyError: no such table or figure.
    """
    frame = _published("paper_results.csv").filter(pl.col("source") == source).drop("source")
    if frame.is_empty():
        raise KeyError(f"The published numbers hold table1..table7 and figure2, figure4..figure7, however: {source!r}.")
    return frame


def published_runs() -> pl.DataFrame:
    """The training runs read from the released logs, at full precision, one row a run."""
    return _published("published_runs.csv")
