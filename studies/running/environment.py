"""Where a result was computed: versions, processor, threads and commit."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

LIBRARIES = ("qnn-toolkit", "torch", "numpy", "scipy", "polars")


def environment(*, threads: int) -> dict[str, str | int]:
    """The environment of this process as plain values.

    Args:
        threads: how many threads torch computes with here.
    """
    return {**_fixed(), "threads": threads}


@functools.cache
def _fixed() -> dict[str, str | int]:
    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            versions[library] = "not installed"
    return {
        "python": platform.python_version(),
        **versions,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "processors": os.cpu_count() or 1,
        "commit": commit(),
    }


@functools.cache
def commit() -> str:
    """The git commit of this source tree, with ``+`` when files differ from it; empty outside a repository."""
    folder = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()

    try:
        top = Path(git("rev-parse", "--show-toplevel"))
        if not folder.is_relative_to(top) or git("ls-files", str(Path(__file__))) == "":
            return ""
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
