"""The HTML report: loads nothing from elsewhere, sorts, finds, links, and fits a phone; in Chromium where it is installed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

import qnn_theory as qt
from figures.build import Built, discover
from figures.commands.figures_command import report
from figures.page.page import page
from figures.pictures import fig_containment
from figures.shared.contract import FigureSpec
from figures.shared.results import Results
from qnn_theory.relations.relation import containment_order
from tests.figures.browser import Page, open_browser, why_not
from tests.figures.synthetic import write_study

PHONE, DESK = (390, 844), (1280, 900)
needs_browser = pytest.mark.skipif(bool(why_not()), reason=why_not() or "a browser is there")


@pytest.fixture(scope="module")
def page_file(results_folder: Path, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page over figures that are built already; one figure is missing."""
    items = [
        Built(name=spec.name, files=(), missing="run `qnn study run depth` <first>")
        if spec.name in ("depth", "containment")
        else Built(name=spec.name, files=tuple(built / f"{spec.name}.{kind}" for kind in ("pdf", "png")), missing=None)
        for spec in discover()
        if isinstance(spec, FigureSpec)
    ]
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(Results(results_folder), items), encoding="utf-8")
    return path


class _Reader(HTMLParser):
    """Collects ids, addresses and open elements."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.alternatives: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [values["id"] or ""] if "id" in values else []
        self.addresses += [values[key] or "" for key in ("href", "src", "srcset", "action", "data") if key in values]
        self.alternatives += [values.get("alt") or ""] if tag == "img" else []
        if tag not in ("meta", "link", "img", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def read(page_file: Path) -> _Reader:
    reader = _Reader()
    reader.feed(page_file.read_text(encoding="utf-8"))
    return reader


def test_markup_is_closed_and_loads_nothing(read: _Reader, page_file: Path) -> None:
    assert read.open == []
    assert all(address.startswith(("#", "data:")) for address in read.addresses)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest", page_file.read_text(encoding="utf-8"))


def test_every_link_has_its_target_and_ids_are_unique(read: _Reader) -> None:
    assert len(set(read.ids)) == len(read.ids)
    targets = {address[1:] for address in read.addresses if address.startswith("#")}
    assert targets <= set(read.ids)


def test_everything_is_on_the_page(read: _Reader, page_file: Path) -> None:
    ids = set(read.ids)
    assert {f"format-{format.id}" for format in qt.formats()} <= ids
    assert {f"card-{format.id}" for format in qt.formats()} <= ids
    assert {f"claim-{claim.id}" for claim in qt.claims()} <= ids
    assert {f"figure-{spec.name}" for spec in discover() if isinstance(spec, FigureSpec)} <= ids
    assert {"verdict-formats-0", "verdict-formats-1", "verdict-ablation-0", "verdict-heads-0"} <= ids
    assert len(read.alternatives) > 8
    assert all(read.alternatives)
    text = page_file.read_text(encoding="utf-8")
    assert "run `qnn study run depth` &lt;first&gt;" in text
    for study in ("formats", "depth", "boundaries"):
        assert (
            f"<dt>study {study}</dt><dd>commit 0123456789ab; torch 2.13.0; processor A processor; threads 1</dd>"
            in text
        )


def test_page_without_any_result_still_tells_the_theory(tmp_path: Path) -> None:
    text = page(Results(tmp_path), ())
    assert "nothing was measured yet" in text
    assert "qnn study run formats" in text
    assert 'id="format-T9"' in text
    assert "No study with comparisons was collected yet" in text


@pytest.mark.parametrize("seeds", [3, 5])
def test_verdicts_are_counted_as_collected(seeds: int, tmp_path: Path) -> None:
    """Three seeds give no verdict; with five, what was collected is what the page counts."""
    write_study(tmp_path, "ablation", seeds=seeds)
    table = Results(tmp_path).table("ablation", "comparisons").filter(pl.col("metric") == "test_auc")
    shown = [(table["verdict"] == verdict).sum() for verdict in ("better", "worse", "no difference shown")]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", _verdict_row(page(Results(tmp_path), ()), "ablation"))
    assert cells[:4] == ["ablation", "ML-100K", "test_auc", "QNN-alpha"]
    assert cells[4:8] == [str(count) for count in (*shown, len(table) - sum(shown))]
    assert (sum(shown) == 0) == (seeds == 3)


def _verdict_row(text: str, study: str) -> str:
    found = re.search(rf'<tr id="verdict-{study}-0".*?</tr>', text, re.DOTALL)
    assert found
    return found[0]


def test_command_builds_figures_and_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = containment_order(["T9", "T22", "T5"])
    monkeypatch.setattr(fig_containment, "containment_order", lambda: order)
    theory_alone = [spec for spec in discover() if isinstance(spec, FigureSpec) and spec.name == "containment"]
    monkeypatch.setattr("figures.build.discover", lambda: tuple(theory_alone))
    done = CliRunner().invoke(report, ["--results", str(tmp_path), "--quick"])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "quick" / "report.html").read_text(encoding="utf-8")
    assert text.count("data:image/png;base64,") == 1
    assert (tmp_path / "quick" / "figures" / "containment.pdf").is_file()


@pytest.fixture(scope="module", params=[PHONE, DESK], ids=["phone", "desk"])
def browser(
    request: pytest.FixtureRequest, page_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Page, int]]:
    width, height = request.param
    with open_browser(tmp_path_factory.mktemp("profile"), width=width, height=height) as opened:
        opened.log("performance")
        opened.open(page_file)
        yield opened, width


@needs_browser
def test_browser_says_nothing_and_asks_for_nothing(browser: tuple[Page, int]) -> None:
    opened, _ = browser
    opened.run("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
    assert opened.run("return [...document.images].every(image => image.decode !== undefined)")
    assert opened.log("browser") == []
    asked = [json.loads(entry["message"])["message"] for entry in opened.log("performance")]
    addresses = [entry["params"]["request"]["url"] for entry in asked if entry["method"] == "Network.requestWillBeSent"]
    assert all(address.startswith(("file:", "data:", "chrome:")) for address in addresses)


@needs_browser
def test_page_is_no_wider_than_the_screen(browser: tuple[Page, int]) -> None:
    opened, width = browser
    assert opened.run("return innerWidth") == width
    assert opened.run("return document.documentElement.scrollWidth") <= width
    assert opened.run("return parseFloat(getComputedStyle(document.body).fontSize)") >= 16
    # What is wider than the screen scrolls in a box of its own.
    wide = """return [...document.querySelectorAll('main *')].filter(element => {
        const box = element.getBoundingClientRect();
        return box.width > 0 && box.right > innerWidth + 1 && !element.closest('.scroll, .picture, summary');
    }).map(element => element.outerHTML.slice(0, 80))"""
    assert opened.run(wide) == []


def _column(opened: Page, number: int) -> list[str]:
    return opened.run(
        f"return [...document.querySelectorAll('#formats tbody tr')].map(row => row.cells[{number}].dataset.value)"
    )


def _click(opened: Page, number: int) -> None:
    opened.run(f"document.querySelectorAll('#formats th button')[{number}].click()")


@needs_browser
def test_sorting(browser: tuple[Page, int]) -> None:
    opened, _ = browser
    titles: list[str] = opened.run("return [...document.querySelectorAll('#formats th')].map(cell => cell.textContent)")
    for title in ("parameters", "AUC %"):
        number = titles.index(title)
        _click(opened, number)
        down = _column(opened, number)
        _click(opened, number)
        up = _column(opened, number)
        known = [float(value) for value in down if value]
        assert len(known) > 5
        assert known == sorted(known, reverse=True)
        assert [float(value) for value in up if value] == sorted(known)
        # Missing values stay below both ways.
        missing = down.count("")
        assert down[len(down) - missing :] == up[len(up) - missing :] == [""] * missing
    _click(opened, 0)
    names = _column(opened, 0)
    assert names.index("T2") < names.index("T10")
    state: list[Any] = opened.run("return [...document.querySelectorAll('#formats th')].map(cell => cell.ariaSort)")
    assert [value for value in state if value] == ["ascending"]


@needs_browser
def test_finding(browser: tuple[Page, int]) -> None:
    opened, _ = browser
    script = """const field = document.getElementById('find');
        field.value = %s; field.dispatchEvent(new Event('input'));
        return [[...document.querySelectorAll('#formats tbody tr')].filter(row => !row.hidden).map(row => row.id),
                document.getElementById('found').textContent]"""
    shown, said = opened.run(script % "' MaskNet '")
    assert shown == ["format-T24"]
    assert said == f"1 of {len(qt.formats())}"
    everything, said = opened.run(script % "''")
    assert len(everything) == len(qt.formats())
    assert said == ""


@needs_browser
def test_links_open_what_they_point_to(browser: tuple[Page, int]) -> None:
    opened, _ = browser
    opened.run("document.querySelector('a[href=\"#card-T9\"]').click()")
    # A click on a fragment reports its change of address in a later task.
    opened.run("return new Promise(done => setTimeout(done, 200))")
    assert opened.run("return document.getElementById('card-T9').open")
    top = opened.run("return document.getElementById('card-T9').getBoundingClientRect().top")
    assert -1 <= top < opened.run("return innerHeight")
