"""Compiles LaTeX with pdflatex, where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

needs_pdflatex = pytest.mark.skipif(
    shutil.which("pdflatex") is None,
    reason="pdflatex is not installed (Debian: apt-get install texlive-latex-base texlive-latex-recommended)",
)


def too_large(folder: Path, parts: list[str], *, options: str = "") -> list[str]:
    """Compile these parts, each on pages of its own, and say what is larger than the page, in points.

    Raises:
        AssertionError: LaTeX stopped, with what it said last.
    """
    body = "\n\\clearpage\n".join(f"\\noindent\n{part}" for part in parts)
    (folder / "tables.tex").write_text(
        f"\\documentclass[{options}]{{article}}\n\\usepackage{{booktabs,amsmath,array,graphicx,longtable}}\n"
        f"\\begin{{document}}\n{body}\n\\end{{document}}\n",
        encoding="utf-8",
    )
    for _ in range(2):  # a long table finds its widths in the second run
        done = subprocess.run(
            ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "tables.tex"],
            cwd=folder, capture_output=True, check=False,
        )  # fmt: skip
        log = done.stdout.decode("utf-8", errors="replace")
        assert done.returncode == 0, log[-2000:]
    return [
        line for line in log.splitlines() if (found := re.match(r"Overfull .*?\((\d+)", line)) and int(found[1]) > 5
    ]
