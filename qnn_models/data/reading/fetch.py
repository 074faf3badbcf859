"""Fetch MovieLens-100K: three files out of a wheel on PyPI, which is checked, never installed, and deleted again."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIREMENT = "recbole==1.2.1"
WHEEL = "recbole-1.2.1-py3-none-any.whl"
WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
FILES = ("ml-100k.inter", "ml-100k.item", "ml-100k.user")
_INSIDE = "recbole/dataset_example/ml-100k"


def fetch_ml100k(folder: Path) -> None:
    """Put RecBole's three ML-100K files into `folder`, unless they are there.

    Args:
        folder: made if absent; each file appears whole or not at all.

    Raises:
        ConnectionError: pip could not download the wheel; says what to do without a network.
        ValueError: the wheel is not the one expected, or lacks a file.
    """
    if all((folder / name).is_file() for name in FILES):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch.", dir=folder) as temporary:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        ran = subprocess.run([*command, REQUIREMENT, "--dest", temporary], capture_output=True, text=True, check=False)
        wheel = Path(temporary) / WHEEL
        if ran.returncode or not wheel.is_file():
            raise ConnectionError(
                f"MovieLens-100K is fetched with pip ({REQUIREMENT}), however: it gave no {WHEEL}: "
                f"{ran.stderr.strip()[-500:]}\nWithout a network, download ml-100k.zip from "
                "https://grouplens.org/datasets/movielens/100k/ elsewhere, unpack it, and name the folder: "
                "qnn data prepare ml-100k --source DIR"
            )
        unpack_wheel(wheel, folder)


def unpack_wheel(wheel: Path, folder: Path, *, sha256: str = WHEEL_SHA256) -> None:
    """Check a wheel's SHA-256 and write the three files to `folder`.

    Raises:
        ValueError: another hash, or a file is not in it.
    """
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != sha256:
        raise ValueError(
            f"{wheel.name} must have SHA-256 {sha256}, however: {found}; it is not the file it was, do not use it"
        )
    with zipfile.ZipFile(wheel) as archive:
        for name in FILES:
            try:
                content = archive.read(f"{_INSIDE}/{name}")
            except KeyError as error:
                raise ValueError(f"{wheel.name} must hold {_INSIDE}/{name}, however: it does not") from error
            partial = folder / f".{name}.{os.getpid()}"
            partial.write_bytes(content)
            os.replace(partial, folder / name)
