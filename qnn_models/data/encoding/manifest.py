"""What a stored data set says of itself: what it was made of and by which rules, what it holds, and checksums of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qnn_models.data.encoding.checked import REMEDY, CheckedFile
from qnn_models.data.layout import FieldLayout
from qnn_models.data.reading.source_files import FileStamp
from qnn_models.data.schema import SPLITS, Schema
from qnn_models.runtime.checksums import DamagedError, seal, unseal

LAYOUT_VERSION = 4
"""Raised when stored data sets change so that older ones must be encoded again."""

VOCABULARY = "vocabulary.parquet"
FILE = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The manifest of a stored data set.

    Attributes:
        schema: fingerprint of the schema.
        split_seed: seed of the split.
        rows: by split.
        layout: fields and columns.
        content_hash: see `encoded.ContentHash`.
        source: the folder that it was made from.
        fingerprint: what the files in it were.
        files: checksums of the stored files, by name.
    """

    schema: str
    split_seed: int
    rows: Mapping[str, int]
    layout: FieldLayout
    content_hash: str
    source: Path
    fingerprint: Mapping[str, FileStamp]
    files: Mapping[str, CheckedFile]

    def write(self, folder: Path) -> None:
        """Write it into the folder of the data set; the last file of all."""
        content = asdict(self) | {
            "layout_version": LAYOUT_VERSION,
            "source": str(self.source),
            "files": {name: file.to_json() for name, file in self.files.items()},
        }
        (folder / FILE).write_text(seal(content))


def has_manifest(folder: Path) -> bool:
    """Whether a folder holds a stored data set, sound or not."""
    return (folder / FILE).exists()


def read_manifest(schema: Schema, *, folder: Path, split_seed: int) -> Manifest:
    """Read the manifest of a stored data set.

    Raises:
        FileNotFoundError: there is no data set in `folder`.
        DamagedError: it is not what was written, or is of another data set than the folder should hold.
    """
    try:
        content = unseal(folder / FILE, remedy=REMEDY)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"an encoded data set is a folder with {FILE}, however: {folder} has none") from error
    try:
        found = _parse(content, folder)
    except (KeyError, ValueError, TypeError, AttributeError) as error:  # sealed, so written by another version
        raise DamagedError.of(folder / FILE, f"it is of another version ({error!r})", remedy=REMEDY) from error
    if (content.get("layout_version"), found.schema, found.split_seed) != (
        LAYOUT_VERSION,
        schema.fingerprint(),
        split_seed,
    ):
        raise DamagedError.of(
            folder / FILE, f"it is of another schema, version or split of {schema.name}", remedy=REMEDY
        )
    return found


def same_files(one: Path, other: Path) -> bool:
    """Whether two folders hold data sets whose files are the same, byte by byte, and those of the second are sound."""
    try:
        stored = [unseal(folder / FILE, remedy=REMEDY)["files"] for folder in (one, other)]
        if stored[0] != stored[1]:
            return False
        for name in stored[1]:
            CheckedFile.from_json(other / name, stored[1][name]).check()
    except (FileNotFoundError, DamagedError, KeyError):
        return False
    return True


def _parse(content: Mapping[str, Any], folder: Path) -> Manifest:
    layout = content["layout"]
    return Manifest(
        schema=content["schema"],
        split_seed=content["split_seed"],
        rows={split: content["rows"][split] for split in SPLITS},
        layout=FieldLayout(*(tuple(layout[key]) for key in ("names", "vocabulary_sizes", "lengths"))),
        content_hash=content["content_hash"],
        source=Path(content["source"]),
        fingerprint={
            name: FileStamp(stamp["size"], tuple(stamp["times"]), stamp["sha256"])
            for name, stamp in content["fingerprint"].items()
        },
        files={
            name: CheckedFile.from_json(folder / name, content["files"][name])
            for name in (VOCABULARY, *(f"{split}.parquet" for split in SPLITS))
        },
    )
