"""Finds figures and tables and builds them: PDF and PNG of a figure, .tex of a table, each file whole or not at all."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from matplotlib.figure import Figure
from polars.exceptions import ColumnNotFoundError

from figures import pictures, tables
from figures.pictures import orders, sweeps
from figures.shared.contract import FigureSpec, TableSpec
from figures.shared.results import MissingResultsError, Results
from figures.shared.style import paper_style, save
from figures.tables import study_tables
from studies.running.record import write_whole


@dataclass(frozen=True, slots=True)
class Built:
    """One figure or table after the build.

    Attributes:
        name: its name.
        files: what was written; empty when its input is missing.
        missing: why it was not drawn; None when it was.
    """

    name: str
    files: tuple[Path, ...]
    missing: str | None


@cache
def discover() -> tuple[FigureSpec | TableSpec, ...]:
    """The figures, then the tables, each by name.

    They are every ``FIGURE`` of a ``fig_*.py`` in ``pictures/`` and ``pictures/orders/`` and the sweeps declared in
    `figures.pictures.sweeps`; every ``TABLE`` of a ``tables/tab_*.py`` and the tables of whole studies declared in
    `figures.tables.study_tables`.
    """
    drawn: list[FigureSpec] = [
        *_single(pictures, "fig_", "FIGURE"),
        *_single(orders, "fig_", "FIGURE"),
        *sweeps.FIGURES,
    ]
    written: list[TableSpec] = [*_single(tables, "tab_", "TABLE"), *study_tables.TABLES]
    return (*sorted(drawn, key=lambda spec: spec.name), *sorted(written, key=lambda spec: spec.name))


def _single(room: ModuleType, prefix: str, attribute: str) -> Iterator[Any]:
    """What the files of a room hold that have this prefix, one each."""
    for module in pkgutil.iter_modules(room.__path__):
        if module.name.startswith(prefix):
            yield getattr(importlib.import_module(f"{room.__name__}.{module.name}"), attribute)


def select(names: Sequence[str]) -> tuple[FigureSpec | TableSpec, ...]:
    """The figures and tables of these names, or all of them for no name.

    Raises:
        KeyError: no figure or table of that name; names the nearest.
    """
    known = {spec.name: spec for spec in discover()}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise KeyError(
                f"A figure or table is one of {', '.join(known)}, however: {name!r}; the nearest is {near!r}."
            )
    return tuple(known[name] for name in names) if names else discover()


def build(
    names: Sequence[str] = (),
    *,
    results: Path,
    out: Path,
    progress: Callable[[Built], None] | None = None,
) -> tuple[Built, ...]:
    """Draw figures and write tables; one whose input is missing says so and the others are still made.

    Args:
        names: which ones; none means all.
        results: folder with the collected CSVs.
        out: folder for the files, made when absent.
        progress: called with each one as it is done.

    Raises:
        KeyError: an unknown name, before anything is drawn.
    """
    selected = select(names)
    source = Results(results)
    out.mkdir(parents=True, exist_ok=True)
    done = []
    for spec in selected:
        try:
            built = Built(name=spec.name, files=_make(spec, source, out), missing=None)
        except MissingResultsError as missing:
            built = Built(name=spec.name, files=(), missing=str(missing))
        except ColumnNotFoundError as missing:
            column = str(missing).partition(";")[0]
            reason = f"its results were collected by another version ({column}); `qnn study collect` them again."
            built = Built(name=spec.name, files=(), missing=reason)
        done.append(built)
        if progress is not None:
            progress(built)
    return tuple(done)


def drawn(spec: FigureSpec, results: Results) -> Figure:
    """The figure, laid out for good: all files show the same picture, and labels placed by hand stay where they were put.

    Call it inside `paper_style`.

    Raises:
        MissingResultsError: its input is missing.
    """
    figure = spec.draw(results)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _make(spec: FigureSpec | TableSpec, results: Results, out: Path) -> tuple[Path, ...]:
    if isinstance(spec, TableSpec):
        path = out / f"{spec.name}.tex"
        write_whole(path, spec.write(results))
        return (path,)
    with paper_style():
        figure = drawn(spec, results)
    paths = (out / f"{spec.name}.pdf", out / f"{spec.name}.png")
    for path in paths:
        save(figure, path)
    return paths
