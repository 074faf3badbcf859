"""Names reach the page as text: a page of hostile names has the elements and attributes of a page of plain ones."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from matplotlib.figure import Figure

from figures.build import Built
from figures.page import page as page_module
from figures.page.formula import formula_svg
from figures.page.html_table import HtmlCell, HtmlColumn, HtmlRow, html_table
from figures.shared.contract import FigureSpec
from figures.shared.results import Results
from qnn_theory import Format, get_format
from qnn_theory.paper_claims.claim import Claim
from studies.declaring.load import load_config
from studies.judging.comparisons import VerdictTally

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style></title></textarea>--><svg onload=alert(1)>",
    '" onmouseover="alert(1)" x="',
    "' onmouseover='alert(1)' x='",
    "<img src=x onerror=alert(1)>",
    "a & b &amp; &lt;b&gt; &#60;",
    "javascript:alert(1)",
    "$style ${script} $$",
    "two\nlines\tand\u2028more",
]


class Given(Results):
    """Results that are one table, whatever study is asked for."""

    def __init__(self, frame: pl.DataFrame) -> None:
        super().__init__(Path("nowhere"))
        self._frame = frame

    def has(self, study: str, part: str = "") -> bool:
        return True

    def table(self, study: str, part: str = "") -> pl.DataFrame:
        return self._frame


class _Skeleton(HTMLParser):
    """Elements with the names of their attributes, and all that is text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, ...]] = []
        self.values: list[str] = []
        self.addresses: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *(name for name, _ in attrs)))
        self.values += [value or "" for _, value in attrs]
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action", "data")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(text: str) -> _Skeleton:
    found = _Skeleton()
    found.feed(text)
    found.close()
    return found


def page_of(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The page where everything that has a name has this one."""
    t9 = get_format("T9")
    format = Format(name, t9.expr, source=name, note=name)
    theory = {
        "id": name, "degree": 2, "monomials": 9, "rank": 2, "parameters": 9, "dimension": 9, "redundant": 0,
        "smooth": 0.0, "smooth_relu": float("inf"),
    }  # fmt: skip
    runs = {
        "status": "done", "dataset": name, "label": name, "model": name, "format": name, "post_activation": "none", "seed": 0,
        "quick": False, "test_auc": 0.9, "test_logloss": 0.3, "commit": name, "torch": name, "processor": name, "threads": 1,
    }  # fmt: skip
    picture = tmp_path / "picture.png"
    Figure(figsize=(1, 1)).savefig(picture)
    specs = tuple(
        FigureSpec(name=f"{kind}{name}", caption=name, draw=lambda results: Figure(), studies=(name,))
        for kind in ("drawn", "not")
    )
    tally = VerdictTally(dataset=name, metric=name, against=name, verdicts={name: 3}, ahead=1, pairs=3, sign_test_p=0.5)
    for attribute, value in {
        "theory_table": lambda: pl.DataFrame([theory]),
        "get_format": lambda id: format,
        "claims": lambda: (Claim(**dict.fromkeys(Claim.__slots__, name)),),  # type: ignore[arg-type]
        "study_names": lambda: (name,),
        "load_config": lambda study: load_config("formats"),
        "verdict_tallies": lambda task, table: [tally],
        "discover": lambda: specs,
        "environment": lambda threads: {name: name},
    }.items():
        monkeypatch.setattr(page_module, attribute, value)
    built = (
        Built(name=specs[0].name, files=(picture,), missing=None),
        Built(name=specs[1].name, files=(), missing=name),
    )
    return page_module.page(Given(pl.DataFrame([runs])), built)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_wherever_the_page_prints_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = read(page_of("zebra", tmp_path, monkeypatch))
    found = read(page_of(name, tmp_path, monkeypatch))
    assert found.elements == plain.elements
    assert sum(text.count("zebra") for text in plain.text) >= 20
    # Shown as it is written, escaped once and not twice.
    assert sum(text.count(name) for text in found.text) == sum(text.count("zebra") for text in plain.text)
    targets = {value for value in found.values if value.startswith("#")}
    assert {value[1:] for value in targets} <= set(found.values)
    assert all(address.startswith(("#", "data:")) for address in found.addresses)


@pytest.mark.parametrize("name", HOSTILE)
def test_tables_and_formulas_escape_what_they_take_as_text(name: str) -> None:
    def table(text: str) -> _Skeleton:
        cell = HtmlCell("shown", text)
        return read(html_table([HtmlColumn(text)], [HtmlRow(text, (cell,), words=text)], label=text))

    assert table(name).elements == table("zebra").elements
    assert table(name).values.count(name) == table("zebra").values.count("zebra") == 4
    label = read(formula_svg(r"\mathrm{a} < b")).values
    assert r"\mathrm{a} < b" in label
