"""The data sets by name, and the door to all of them: `prepare`, `load`."""

from __future__ import annotations

import difflib
import logging
import os
import tempfile
from contextlib import suppress
from functools import cache
from importlib import resources
from pathlib import Path

from qnn_models.data.encoding.encode import encode_dataset
from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.encoding.manifest import LAYOUT_VERSION, has_manifest, read_manifest
from qnn_models.data.encoding.store import open_dataset
from qnn_models.data.planted import planted_dataset
from qnn_models.data.reading.fetch import ML100K, NYCFLIGHTS, fetch
from qnn_models.data.reading.source_files import find_source, unchanged
from qnn_models.data.schema import Schema
from qnn_models.data.schema_toml import load_schema
from qnn_models.runtime.checksums import DamagedError

_LOG = logging.getLogger("qnn_models.data")

PLANTED = "planted"
FETCHED = {"ml-100k": ML100K, "nycflights": NYCFLIGHTS, "nycflights-time": NYCFLIGHTS}
"""Data sets that need no --source: what holds the files of each."""


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
    offline: bool = False,
    progress: bool = True,
) -> EncodedDataset:
    """Encode a data set into the cache, or open it if that was done before from the same files.

    What is in the cache is checked byte by byte when it is opened. What is damaged there, or was made of files that have changed
    since, is encoded anew from its source where that is at hand, which a warning of the logger `qnn_models.data` tells.

    Args:
        name: one of `dataset_names()`, or the path of a schema in TOML.
        source: folder of the data set's files; None: fetch them where that is possible, or, for a TOML file, its own
            folder.
        cache_dir: where encoded data sets are kept; None: `cache_folder()`.
        split_seed: seed of the split, where the files do not make one.
        force: encode again what the cache holds.
        offline: take what the cache holds, whatever its source holds now; nothing is fetched.
        progress: show a bar.

    Raises:
        KeyError: the name is unknown.
        ValueError: see `encode_dataset`; or the source lacks a file or cannot be read.
        FileNotFoundError: `offline`, and the cache holds no such data set.
        DamagedError: a ValueError: what the cache holds is damaged, and no source of it is at hand.
        ConnectionError: the files could not be fetched.
    """
    if force and offline:
        raise ValueError(
            "a data set is encoded again from its files, or taken as it is, however: force and offline are both asked"
        )
    if name == PLANTED:
        if source is not None:
            raise ValueError(
                f"{PLANTED} is made in memory and has no files, however: source={str(source)!r}; leave it out"
            )
        return planted_dataset(seed=split_seed).dataset
    schema = get_schema(name)
    base = cache_folder() if cache_dir is None else Path(cache_dir)
    folder = base / schema.name / f"{schema.fingerprint()}-v{LAYOUT_VERSION}-split{split_seed}"
    if offline:
        return _as_it_is(schema, folder, split_seed)
    own_folder = Path(name).resolve().parent if str(name).endswith(".toml") else None
    place = own_folder if source is None else Path(source)
    if place is not None and not force:
        _check_source(schema, place, stored=has_manifest(folder))
    if not force and has_manifest(folder):
        try:
            manifest = read_manifest(schema, folder=folder, split_seed=split_seed)
            if place is None or unchanged(manifest.fingerprint, find_source(schema, place), place):
                return open_dataset(schema, folder=folder, split_seed=split_seed)
            _LOG.warning(
                "the files of %s in %s have changed since they were prepared; it is prepared anew", schema.name, place
            )
        except DamagedError as error:
            place = place or _at_hand(schema, folder, split_seed, base)
            if place is None:
                raise
            # Without the remedy, which is what happens here.
            _LOG.warning("%s; it is prepared anew from %s", str(error).rpartition("; ")[0], place)
    if place is None:
        place = _fetch(schema, base, folder)
    _check_writable(base)
    return encode_dataset(schema, folder=folder, source_folder=place, split_seed=split_seed, progress=progress)


def load(
    name: str | Path, *, cache_dir: str | Path | None = None, split_seed: int = 0, progress: bool = True
) -> EncodedDataset:
    """Open a data set, preparing it first if the cache lacks it and its files can be had; see `prepare`."""
    return prepare(name, cache_dir=cache_dir, split_seed=split_seed, progress=progress)


def cache_folder() -> Path:
    """Where data sets are kept: the folder `qnn-data` in `$QNN_CACHE`, else in `$XDG_CACHE_HOME`, else in `~/.cache`.

    Raises:
        ValueError: there is no home.
    """
    return _cache_base() / "qnn-data"


def _cache_base() -> Path:
    try:
        if named := os.environ.get("QNN_CACHE"):
            return Path(named).expanduser().absolute()
        named = os.environ.get("XDG_CACHE_HOME", "")
        if Path(named).is_absolute():  # XDG has others ignored
            return Path(named)
        return Path.home() / ".cache"
    except RuntimeError as error:
        raise ValueError(f"the cache is in the home folder, however: {error}; name another by QNN_CACHE") from error


def _as_it_is(schema: Schema, folder: Path, split_seed: int) -> EncodedDataset:
    try:
        dataset = open_dataset(schema, folder=folder, split_seed=split_seed)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"offline, {schema.name} must be in the cache, however: {folder} holds none; prepare it first, without offline"
        ) from error
    _LOG.warning("%s is used as it was prepared, from %s; its source was not looked at", schema.name, folder)
    return dataset


def _check_source(schema: Schema, folder: Path, *, stored: bool) -> None:
    """Check that a source can be read, before anything that was made of it is taken.

    Raises:
        ValueError: it lacks a file, or cannot be read.
    """
    try:
        find_source(schema, folder)
    except ValueError as error:
        if not stored:
            raise
        raise ValueError(
            f"{error}; what was prepared before is in the cache: to take that as it is, say --offline"
        ) from None


def _at_hand(schema: Schema, folder: Path, split_seed: int, base: Path) -> Path | None:
    """The folder that a damaged data set can be made of again, or None."""
    if schema.name in FETCHED:
        return _fetch(schema, base, folder)
    with suppress(ValueError, OSError):
        manifest = read_manifest(schema, folder=folder, split_seed=split_seed)
        if unchanged(manifest.fingerprint, find_source(schema, manifest.source), manifest.source):
            return manifest.source
    return None


@cache
def _schema_files() -> dict[str, Path]:
    folder = Path(str(resources.files("qnn_models.data").joinpath("schemas")))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def _check_writable(base: Path) -> None:
    """Check that the cache can be written, before there is anything to write.

    Raises:
        ValueError: it cannot.
    """
    try:
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=base):
            pass
    except OSError as error:
        raise ValueError(
            f"data sets are kept in a folder that can be written, however: {base}: {error.strerror or error}; name another by "
            "QNN_CACHE"
        ) from error


def _fetch(schema: Schema, base: Path, folder: Path) -> Path:
    if schema.name not in FETCHED:
        needs = "; or ".join(", ".join(source.files) for source in schema.sources)
        older = folder.parent.is_dir() and any(folder.parent.glob(f"{schema.fingerprint()}-v*"))
        raise ValueError(
            f"{schema.name} cannot be fetched and is not in {base}"
            f"{', but for another split or an older version' if older else ''}, however: no source is given; get it from "
            f"{schema.origin} and name the folder: qnn data prepare {schema.name} --source DIR (files: {needs})"
        )
    _check_writable(base)
    package = FETCHED[schema.name]
    target = base / "raw" / package.folder
    fetch(package, target)
    return target
