"""The folder of an encoded data set: it appears whole or not at all, is checked when it is opened, and is replaced at once."""

from __future__ import annotations

import errno
import glob
import os
import platform
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qnn_models.data.encoding.checked import REMEDY
from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.encoding.encoder import Encoder
from qnn_models.data.encoding.manifest import FILE, VOCABULARY, read_manifest, same_files
from qnn_models.data.schema import SPLITS, Schema
from qnn_models.runtime.checksums import DamagedError

_OLD = ".old"
_TRIES = 3
_WAIT_SECONDS = 0.05


def open_dataset(schema: Schema, *, folder: Path, split_seed: int) -> EncodedDataset:
    """Open a stored data set; every byte of it is read and checked, about a second for a gigabyte.

    Args:
        schema: what it was encoded by.
        folder: where it is.
        split_seed: of its split.

    Raises:
        FileNotFoundError: there is none in `folder`.
        DamagedError: a file of it is not what was written; names the file.
    """
    for tries_left in reversed(range(_TRIES)):
        try:
            return _open(schema, folder, split_seed)
        except (FileNotFoundError, DamagedError) as error:
            # Another process may be putting a new one in its place; without a trace of one, what is absent stays absent.
            if not tries_left or (isinstance(error, FileNotFoundError) and not list(_temporaries(folder))):
                raise
            time.sleep(_WAIT_SECONDS)
    raise AssertionError  # the last try returns or raises


def _open(schema: Schema, folder: Path, split_seed: int) -> EncodedDataset:
    manifest = read_manifest(schema, folder=folder, split_seed=split_seed)
    for split in SPLITS:
        manifest.files[f"{split}.parquet"].check()
    vocabulary = manifest.files[VOCABULARY]
    with vocabulary.opened() as stream:
        vocabulary.check_segment(stream, 0)
        stream.seek(0)
        encoder = Encoder.load(vocabulary.path, stream=stream)
    if encoder.layout != manifest.layout:
        raise DamagedError.of(folder / VOCABULARY, "its fields are not the manifest's", remedy=REMEDY)
    return EncodedDataset(
        schema.name,
        encoder=encoder,
        content_hash=manifest.content_hash,
        rows=dict(manifest.rows),
        files={split: manifest.files[f"{split}.parquet"] for split in SPLITS},
        folder=folder,
    )


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new folder to fill, which takes the place of `folder` at the end; after an error there is no trace of it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    temporary = folder.with_name(f".{folder.name}.{platform.node()}.{os.getpid()}.{secrets.token_hex(4)}")
    temporary.mkdir()
    try:
        yield temporary
        _replace_folder(temporary, folder)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ValueError(
            f"encoding takes room beside {folder}, about the size of the text, however: {os.strerror(error.errno)}; free some, "
            "or name another folder by QNN_CACHE"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporaries(folder: Path, node: str = "*") -> Iterator[Path]:
    """What is being made, or was left, beside a folder, by processes of one machine or of all."""
    return folder.parent.glob(f".{glob.escape(folder.name)}.{node}.*")


def _remove_leftovers(folder: Path) -> None:
    """Remove what processes of this machine that were killed have left."""
    for path in _temporaries(folder, glob.escape(platform.node())):
        process = path.name.removesuffix(_OLD).split(".")[-2]
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            shutil.rmtree(path, ignore_errors=True)
        except (ValueError, OverflowError, PermissionError):
            continue


def _replace_folder(new: Path, target: Path) -> None:
    """Put a folder in the place of another, which goes only when the new one is whole; others may do the same.

    For a moment there is neither, unless both hold the same, as when two processes prepare one data set: then the folder stays,
    and what others read of it is there all the time.
    """
    if same_files(new, target):
        os.replace(new / FILE, target / FILE)
        return
    old = new.with_name(new.name + _OLD)
    while True:
        try:
            os.replace(new, target)
            break
        except OSError:
            if not target.exists():
                raise
            with suppress(FileNotFoundError):
                os.replace(target, old)
            shutil.rmtree(old, ignore_errors=True)
