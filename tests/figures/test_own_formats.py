"""Formats that a user adds to the registry take part in every picture and table of theory, whatever they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from figures.build import build, drawn, select
from figures.page.page import _fragment, page
from figures.pictures import fig_support_growth
from figures.shared import theory
from figures.shared.contract import FigureSpec
from figures.shared.format_scores import format_runs
from figures.shared.results import MissingResultsError, Results
from figures.shared.style import paper_style
from qnn_theory import registry
from qnn_theory.grammar.expr import activation, affine, x
from qnn_theory.grammar.format import Format

OWN = (
    Format("T31", x * affine("W_a") ** 2 + x, source="me", note="cubic"),
    Format("T40", affine("W_a") ** 4),
    Format("Fifth", affine("W_a") ** 5 * x),
    Format("Smooth", x * activation("gelu", affine("W_a")) + x),
    Format("Gate_x%", x * activation("sigmoid", affine("W_b"))),
)
NAMES = ("overview", "support_growth", "redundancy", "table_theory")


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three registered formats beside the user's."""
    together = (*map(registry.get_format, ("T4", "T9", "QNN-alpha")), *OWN)
    caches = (theory.theory_table, fig_support_growth._growth)
    with monkeypatch.context() as patched:
        patched.setattr(registry, "_REGISTRY", together)
        patched.setattr(registry, "_BY_ID", {**registry._BY_ID, **{format.id: format for format in OWN}})
        # Claims are about the paper's formats, and kept for the tests that follow.
        patched.setattr("figures.page.page.claims", lambda: ())
        for cached in caches:
            cached.cache_clear()
        yield
    for cached in caches:
        cached.cache_clear()


def test_all_are_drawn_and_on_the_page(results_folder: Path, tmp_path: Path) -> None:
    done = build(NAMES, results=results_folder, out=tmp_path)
    assert [item.missing for item in done] == [None] * len(NAMES)
    table = (tmp_path / "table_theory.tex").read_text(encoding="utf-8")
    rows = {row.partition(" &")[0]: row.split(" & ")[2:] for row in table.splitlines() if row.endswith(r"\\")}
    assert rows["Smooth"][:5] == ["--", "--", "--", "72", "72"]
    assert rows["Fifth"][:2] == ["6", "3002"]
    assert r"Gate\_x\%" in rows
    text = page(Results(tmp_path), done)
    assert all(f'id="format-{_fragment(format.id)}"' in text for format in OWN)


def test_what_cannot_be_counted_is_named_on_the_picture_of_growth(tmp_path: Path) -> None:
    (spec,) = select(["support_growth"])
    assert isinstance(spec, FigureSpec)
    with paper_style():
        figure = drawn(spec, Results(tmp_path))
    assert figure.get_supxlabel() == ("Not shown, a polynomial nowhere or of a degree above 64: Fifth, Smooth, Gate_x%")
    labels = " ".join(text.get_text() for axes in figure.axes for text in axes.texts)
    assert all(name in labels for name in ("T4", "T9", "T31", "T40"))
    assert not any(name in labels for name in ("Fifth", "Smooth", "Gate"))


def test_post_activations_without_a_place_are_refused_by_name(results_folder: Path, tmp_path: Path) -> None:
    text = (results_folder / "formats.csv").read_text()
    (tmp_path / "formats.csv").write_text(text.replace(",relu,", ",gelu,"))
    with pytest.raises(MissingResultsError, match=r"without post-activation and with relu, however: .* hold gelu"):
        format_runs(Results(tmp_path))
    done = build(["formats", "pareto", "overview", "table_formats"], results=tmp_path, out=tmp_path / "out")
    assert all("gelu" in (item.missing or "") for item in done)
    assert "hold gelu" in page(Results(tmp_path), done)
