"""Fetch MovieLens-100K: three files out of a wheel on PyPI, which is checked, never installed, and deleted again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

from qnn_models.runtime.checksums import sha256_of

REQUIREMENT = "recbole==1.2.1"
WHEEL = "recbole-1.2.1-py3-none-any.whl"
WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
FILES = {
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
}
"""SHA-256 of each file."""
_INSIDE = "recbole/dataset_example/ml-100k"
_BY_HAND = (
    "Without it, download ml-100k.zip from https://grouplens.org/datasets/movielens/100k/ elsewhere, unpack it, and name the "
    "folder: qnn data prepare ml-100k --source DIR"
)


def fetch_ml100k(folder: Path) -> None:
    """Put RecBole's three ML-100K files into `folder`, unless they are there and whole.

    Args:
        folder: made if absent; each file appears whole or not at all.

    Raises:
        ConnectionError: there is no pip, or it could not download the wheel; says what to do without.
        ValueError: the wheel is not the one expected, or lacks a file.
    """
    if all((folder / name).is_file() and sha256_of(folder / name) == sha256 for name, sha256 in FILES.items()):
        return
    pip = pip_command()
    if pip is None:
        raise ConnectionError(
            f"MovieLens-100K is fetched with pip ({REQUIREMENT}), however: this environment has neither pip nor uv; install one "
            f"(python -m ensurepip). {_BY_HAND}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch.", dir=folder) as temporary:
        download = [
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--only-binary",
            ":all:",
            REQUIREMENT,
        ]
        ran = subprocess.run([*pip, *download, "--dest", temporary], capture_output=True, text=True, check=False)
        wheel = Path(temporary) / WHEEL
        if ran.returncode or not wheel.is_file():
            raise ConnectionError(
                f"MovieLens-100K is fetched with pip ({REQUIREMENT}), however: it gave no {WHEEL}: "
                f"{ran.stderr.strip()[-500:]}\n{_BY_HAND}"
            )
        unpack_wheel(wheel, folder)


def pip_command() -> list[str] | None:
    """The command line of a pip, which knows the user's index, certificates and proxy; None where there is none.

    An environment made by uv or `venv --without-pip` has no pip of its own, but Python mostly comes with one in a wheel, for
    `ensurepip`, which runs without being installed.
    """
    if find_spec("pip") is not None:
        return [sys.executable, "-P", "-m", "pip"]
    for folder in _bundled_wheels():
        for wheel in sorted(folder.glob("pip-*.whl"), reverse=True):
            return [sys.executable, "-P", str(wheel / "pip")]
    if (found := shutil.which("pip") or shutil.which("pip3")) is not None:
        return [found]
    return None if (uv := shutil.which("uv")) is None else [uv, "tool", "run", "pip"]


def _bundled_wheels() -> list[Path]:
    """Folders where Python keeps the wheels of `ensurepip`: its own, and the one that distributions put in its place."""
    spec = find_spec("ensurepip")
    folders = [] if spec is None or spec.origin is None else [Path(spec.origin).parent / "_bundled"]
    other = sysconfig.get_config_var("WHEEL_PKG_DIR")
    return [*folders, Path(other)] if other else folders


def unpack_wheel(wheel: Path, folder: Path, *, sha256: str = WHEEL_SHA256) -> None:
    """Check a wheel's SHA-256 and write the three files to `folder`.

    Raises:
        ValueError: another hash, or a file is not in it.
    """
    found = sha256_of(wheel)
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
