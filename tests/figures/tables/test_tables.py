"""Tables are whole LaTeX, and published numbers stand where they belong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from figures.shared.contract import TableSpec
from tests.figures.conftest import TABLES
from tests.pdflatex import needs_pdflatex, too_large


@pytest.mark.parametrize("spec", TABLES, ids=lambda spec: spec.name)
def test_table_is_whole_latex(spec: TableSpec, built: Path) -> None:
    lines = (built / f"{spec.name}.tex").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(r"\begin{table")
    assert lines[-1].startswith(r"\end{table")
    rules = [line for line in lines if line in (r"\toprule", r"\midrule", r"\bottomrule")]
    assert (rules[0], rules[-1]) == (r"\toprule", r"\bottomrule")
    columns = re.search(r"@\{\}([lr]+)@\{\}", "\n".join(lines))
    assert columns is not None
    cells = [line for line in lines if line.endswith(r"\\") and r"\multicolumn" not in line]
    assert len(cells) > 3
    assert {len(re.split(r"(?<!\\)&", line)) for line in cells} == {len(columns.group(1))}


def test_published_heads_stand_beside_the_released_layout_alone(built: Path) -> None:
    lines = (built / "table_heads.tex").read_text(encoding="utf-8").splitlines()
    rows = [
        [cell.strip() for cell in line.removesuffix(r" \\").split("&")] for line in lines if line.startswith("ML-100K")
    ]
    published = {(heads, layout): cells[-4:] for _, _, heads, layout, *cells in rows}
    assert [published[heads, "released"] for heads in ("1", "2", "4")] == [
        ["ML-1M", "90.82", "0.2965", "0.27"],
        ["ML-1M", "90.87", "0.2960", "0.26"],
        ["ML-1M", "90.88", "0.2960", "0.24"],
    ]
    assert [published[heads, "aligned"] for heads in ("1", "2", "4")] == [["--"] * 4] * 3


@needs_pdflatex
@pytest.mark.parametrize("options", ["", "twocolumn"])
def test_tables_compile_and_fit_the_page(options: str, built: Path, tmp_path: Path) -> None:
    parts = [(built / f"{spec.name}.tex").read_text(encoding="utf-8") for spec in TABLES]
    assert too_large(tmp_path, parts, options=options) == []
