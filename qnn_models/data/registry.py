"""The data sets by name, and the door to all of them: `prepare`, `load`."""

from __future__ import annotations

import difflib
import os
from functools import cache
from importlib import resources
from pathlib import Path

from qnn_models.data.encoding.encode import LAYOUT_VERSION, encode_dataset, is_current, open_dataset
from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.planted import planted_dataset
from qnn_models.data.reading.fetch import fetch_ml100k
from qnn_models.data.schema import Schema, load_schema

PLANTED = "planted"
FETCHED = {"ml-100k": fetch_ml100k}
"""Data sets that need no --source: how each is fetched."""


def dataset_names() -> tuple[str, ...]:
    """Names that `prepare` knows, in alphabetical order; one for each file in `schemas/`, and the synthetic one."""
    return tuple(sorted([*_schema_files(), PLANTED]))


def describe(name: str) -> str:
    """One line on a data set: what it is, its fields, and the files it is read from.

    Raises:
        KeyError: the name is unknown.
    """
    if name == PLANTED:
        return "synthetic, with planted interactions and a known best AUC; made in memory, needs no files"
    schema = get_schema(name)
    files = "; or ".join(", ".join(source.files) for source in schema.sources)
    fetched = "fetched by itself" if name in FETCHED else "needs --source DIR"
    return f"{schema.description}; {len(schema.fields)} fields; {fetched}; files: {files}"


def get_schema(name: str | Path) -> Schema:
    """The schema of a data set by name, or of a TOML file by path (ends in .toml).

    Raises:
        KeyError: the name is unknown; names the nearest.
        ValueError: the TOML file does not hold a schema.
    """
    if str(name).endswith(".toml"):
        return load_schema(Path(name))
    files = _schema_files()
    if str(name) not in files:
        near = difflib.get_close_matches(str(name), dataset_names(), n=1)
        remedy = f"did you mean {near[0]}?" if near else f"known: {', '.join(dataset_names())}; or give a .toml file"
        raise KeyError(f"a data set is known by name, however: {str(name)!r}; {remedy}")
    return load_schema(files[str(name)])


def prepare(
    name: str | Path,
    *,
    source: str | Path | None = None,
    cache_dir: str | Path | None = None,
    split_seed: int = 0,
    force: bool = False,
    progress: bool = True,
) -> EncodedDataset:
    """Encode a data set into the cache, or open it if that was done before from the same files.

    Args:
        name: one of `dataset_names()`, or the path of a schema in TOML.
        source: folder of the data set's files; None: fetch them where that is possible, or, for a TOML file, its own
            folder.
        cache_dir: where encoded data sets are kept; None: `$QNN_DATA_DIR`, else `~/.cache/qnn-data`.
        split_seed: seed of the split, where the files do not make one.
        force: encode again what the cache holds.
        progress: show a bar.

    Raises:
        KeyError: the name is unknown.
        ValueError: see `encode_dataset`.
        ConnectionError: the files could not be fetched.
    """
    if name == PLANTED:
        return planted_dataset(seed=split_seed).dataset
    schema = get_schema(name)
    base = cache_folder() if cache_dir is None else Path(cache_dir)
    source = None if source is None else Path(source)
    folder = base / schema.name / f"{schema.fingerprint()}-v{LAYOUT_VERSION}-split{split_seed}"
    if source is None and str(name).endswith(".toml"):
        source = Path(name).resolve().parent
    if not force and is_current(schema, folder=folder, source_folder=source):
        return open_dataset(schema, folder=folder)
    if source is None:
        source = _fetch(schema, base)
    if not source.is_dir():
        raise ValueError(f"the source of {schema.name} is a folder, however: {source} is none")
    return encode_dataset(schema, folder=folder, source_folder=source, split_seed=split_seed, progress=progress)


def load(
    name: str | Path, *, cache_dir: str | Path | None = None, split_seed: int = 0, progress: bool = True
) -> EncodedDataset:
    """Open a data set, preparing it first if the cache lacks it and its files can be had; see `prepare`."""
    return prepare(name, cache_dir=cache_dir, split_seed=split_seed, progress=progress)


def cache_folder() -> Path:
    """Where data sets are kept: `$QNN_DATA_DIR`, else `~/.cache/qnn-data`."""
    named = os.environ.get("QNN_DATA_DIR")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "qnn-data"


@cache
def _schema_files() -> dict[str, Path]:
    folder = Path(str(resources.files("qnn_models.data").joinpath("schemas")))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def _fetch(schema: Schema, base: Path) -> Path:
    if schema.name not in FETCHED:
        needs = "; or ".join(", ".join(source.files) for source in schema.sources)
        raise ValueError(
            f"{schema.name} cannot be fetched and is not in {base}, however: no source is given; get it from "
            f"{schema.origin} and name the folder: qnn data prepare {schema.name} --source DIR (files: {needs})"
        )
    folder = base / "raw" / schema.name
    FETCHED[schema.name](folder)
    return folder
