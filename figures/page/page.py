"""The HTML report: one file that loads nothing from anywhere, with the table of formats, the figures and the claims."""

from __future__ import annotations

import base64
import html
import importlib.resources
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures.build import Built, build, discover
from figures.page.formula import formula_svg
from figures.page.html_table import HtmlCell, HtmlColumn, HtmlRow, html_table
from figures.shared.contract import FigureSpec
from figures.shared.format_scores import by_format, format_runs, measured_formats, of_first_dataset, published_formats
from figures.shared.names import printed
from figures.shared.results import MissingResultsError, Results
from figures.shared.seeds import ours_title
from figures.shared.style import PNG_DPI, TWO_COLUMNS_IN
from figures.shared.theory import DIM, smoothness_text, theory_table
from qnn_theory import Format, get_format
from qnn_theory.cards.format_card import format_card
from qnn_theory.grammar.readings.text import to_text
from qnn_theory.paper_claims.claim import Claim
from qnn_theory.paper_claims.claims import claims
from qnn_theory.registry import is_registered
from studies.declaring.load import load_config, study_names
from studies.judging.comparisons import verdict_tallies
from studies.running.environment import environment
from studies.running.record import write_whole

_NOTHING = HtmlCell("–", None)
_VERDICTS = ("better", "worse", "no difference shown")
_VERDICTS_NOTE = (
    "Each row counts the arms of a study by how they compare with one other: paired runs on the same seeds and splits, paired t "
    "test, Holm's correction over the row, 5 %. Fewer than five pairs, or a failed run, give no verdict. The sign test asks "
    "whether one side is ahead too often, where every arm has a reference of its own."
)
_ENVIRONMENT = ("commit", "torch", "processor", "threads")


@dataclass(frozen=True, slots=True)
class _Scores:
    """Measured columns of the table of formats.

    Attributes:
        title: where ours come from; empty when nothing was measured.
        missing: why nothing was measured.
        ours: (format, post-activation, metric) -> mean, half, n.
        paper: (format, post-activation) -> AUC in percent.
    """

    title: str
    missing: str
    ours: dict[tuple[str, str, str], dict[str, Any]]
    paper: dict[tuple[str, str], float]


def write_page(*, results: Path, figures: Path, out: Path) -> tuple[Built, ...]:
    """Build all figures and write the report, whole or not at all.

    Args:
        results: folder with the collected CSVs.
        figures: folder where figures and tables are built.
        out: the page.

    Returns:
        What was built; the page says of a figure without input which study makes it.
    """
    built = build(results=results, out=figures)
    write_whole(out, page(Results(results), built))
    return built


def page(results: Results, built: Sequence[Built]) -> str:
    """The whole page as text."""
    folder = importlib.resources.files("figures.page")
    template, style, script = (
        folder.joinpath(f"page.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    scores = _scores(results)
    return string.Template(template).substitute(
        style=style,
        script=script,
        summary=html.escape(_summary(results)),
        formats_note=html.escape(_formats_note(scores)),
        formats=_formats(scores),
        cards="\n".join(_card(get_format(id)) for id in theory_table()["id"]),
        verdicts_note=html.escape(_VERDICTS_NOTE),
        verdicts=_verdicts(results),
        figures=_figures(built),
        claims=_claims(claims()),
        environment=_environment(results),
    )


def _summary(results: Results) -> str:
    try:
        runs = results.runs("formats")
    except MissingResultsError as missing:
        return f"Theory only: nothing was measured yet. {missing}"
    seeds = runs["seed"].n_unique()
    datasets = ", ".join(printed(name) for name in runs["dataset"].unique().sort())
    return (
        f"{len(runs)} runs of the format study on {datasets}, {seeds} seed{'s' if seeds > 1 else ''} for each setting"
        + (" (shortened runs, which say nothing about quality)." if runs["quick"].any() else ".")
        + (" One seed: no row is shown to be better than another." if seeds == 1 else "")
    )


def _scores(results: Results) -> _Scores:
    paper = {key: row["mean"] for key, row in by_format(published_formats()).items()}
    try:
        runs = of_first_dataset(format_runs(results))
    except MissingResultsError as missing:
        return _Scores(title="", missing=str(missing), ours={}, paper=paper)
    ours: dict[tuple[str, str, str], dict[str, Any]] = {}
    for metric, scale in (("test_auc", 100.0), ("test_logloss", 1.0), ("train_seconds", 1.0), ("latency_us", 1.0)):
        if metric in runs.columns:
            for (label, post), row in by_format(measured_formats(runs, metric=metric, scale=scale)).items():
                ours[label, post, metric] = row
    return _Scores(title=ours_title(runs, [row["n"] for row in ours.values()]), missing="", ours=ours, paper=paper)


def _formats_note(scores: _Scores) -> str:
    return (
        f"Theory of one layer at d = {DIM}, computed for generic parameters: monomials of the expanded feature space, largest "
        "rank of an output's quadratic form, parameters, effective dimension (how many directions of the parameters change the "
        "function), redundant parameters (the others), smoothness class. "
        + (
            f"Measured: {scores.title}; QNN-α is the whole model, trained with the self-ensemble loss. "
            if scores.title
            else f"Not measured yet: {scores.missing} "
        )
        + "Published: Criteo, one run each (li2025qnn), from the released logs where there are any; some are printed 0.01 lower. "
        "A click on a title sorts; a click on a format opens its card."
    )


def _formats(scores: _Scores) -> str:
    columns = [
        HtmlColumn("format", "text"),
        HtmlColumn("formula", "text"),
        *map(HtmlColumn, ("AUC %", "AUC %, ReLU after", "published AUC %", "published AUC %, ReLU after")),
        *map(
            HtmlColumn,
            ("degree", "monomials", "rank", "parameters", "dimension", "redundant", "class", "class, ReLU after"),
        ),
        *map(HtmlColumn, ("log loss", "training s", "latency µs, 1 row")),
    ]
    listed = sorted(theory_table().iter_rows(named=True), key=lambda theory: -_auc(scores, theory["id"]))
    rows = [_format_row(theory, scores) for theory in listed]
    return html_table(columns, rows, label="Formats: theory beside measurement")


def _auc(scores: _Scores, id: str) -> float:
    row = scores.ours.get((id, "none", "test_auc"))
    return row["mean"] if row else -1.0


def _format_row(theory: dict[str, Any], scores: _Scores) -> HtmlRow:
    id = theory["id"]
    format = get_format(id)
    text = to_text(format.expr)
    counts = (theory[name] for name in ("degree", "monomials", "rank", "parameters", "dimension", "redundant"))
    orders = [theory[name] for name in ("smooth", "smooth_relu")]
    return HtmlRow(
        id=f"format-{_fragment(id)}",
        cells=(
            HtmlCell(f'<a href="#card-{_fragment(id)}">{html.escape(printed(id))}</a>', id),
            HtmlCell(formula_svg(format.latex), text),
            *(_measured(scores.ours.get((id, post, "test_auc")), 2) for post in ("none", "relu")),
            *(_published(scores.paper.get((id, post))) for post in ("none", "relu")),
            *(_NOTHING if count is None else HtmlCell(f"{count}", count) for count in counts),
            *(HtmlCell(smoothness_text(order), min(order, 99.0)) for order in orders),
            _measured(scores.ours.get((id, "none", "test_logloss")), 4),
            _measured(scores.ours.get((id, "none", "train_seconds")), 1),
            _measured(scores.ours.get((id, "none", "latency_us")), 0),
        ),
        words=f"{printed(id)} {text} {' '.join(map(smoothness_text, orders))} {format.note}",
    )


def _fragment(name: str) -> str:
    """The name as an id, a class or the target of a link: what such a place takes stays as it is, all else becomes its code."""
    return re.sub(r"[^\w.~+-]", lambda found: f"_{ord(found[0]):x}_", name)


def _measured(row: dict[str, Any] | None, digits: int) -> HtmlCell:
    if row is None:
        return _NOTHING
    spread = "" if row["half"] is None else f' <span class="soft">± {row["half"]:.{digits}f}</span>'
    return HtmlCell(f"{row['mean']:.{digits}f}{spread}", row["mean"])


def _published(value: float | None) -> HtmlCell:
    return _NOTHING if value is None else HtmlCell(f"{value:.2f}", value)


def _card(format: Format) -> str:
    # Neighbours of a format of one's own take seconds each; `qnn show` has them.
    card = format_card(format, neighbours=is_registered(format))
    entries = "".join(
        f"<dt>{html.escape(label.text)}</dt><dd>{html.escape(content.text)}</dd>" for label, content in card.rows
    )
    name, fragment = html.escape(printed(format.id)), _fragment(format.id)
    return (
        f'<details id="card-{fragment}"><summary>{name} {formula_svg(format.latex)}</summary>'
        f'<dl>{entries}</dl><p><a href="#format-{fragment}">{name} in the table</a></p></details>'
    )


def _figures(built: Sequence[Built]) -> str:
    captions = {spec.name: html.escape(spec.caption) for spec in discover() if isinstance(spec, FigureSpec)}
    drawn = [_figure(item, captions[item.name]) for item in built if item.name in captions]
    links = [
        f'<li><a href="#figure-{_fragment(item.name)}">{html.escape(item.name.replace("_", " "))}</a></li>'
        for item in built
        if item.name in captions
    ]
    return f'<ul class="contents">{"".join(links)}</ul>\n' + "\n".join(drawn)


def _figure(item: Built, caption: str) -> str:
    if item.missing is not None:
        content = f'<p class="soft">Not drawn: {html.escape(item.missing)}</p>'
    else:
        (png,) = (path for path in item.files if path.suffix == ".png")
        pixels = png.read_bytes()
        # Width and height stand in the header chunk; with them the page does not jump while it loads.
        width, height = (int.from_bytes(pixels[start : start + 4], "big") for start in (16, 20))
        share = min(1.0, width / PNG_DPI / TWO_COLUMNS_IN)
        data = base64.b64encode(pixels).decode("ascii")
        content = (
            f'<div class="picture" tabindex="0" role="region" aria-label="{html.escape(item.name)}">'
            f'<img src="data:image/png;base64,{data}" alt="{caption}" width="{width}" height="{height}" '
            f'style="max-width:{share * 72:.0f}rem" loading="lazy"></div>'
        )
    return f'<figure id="figure-{_fragment(item.name)}">{content}<figcaption>{caption}</figcaption></figure>'


def _verdicts(results: Results) -> str:
    """One row for each comparison of a study that was collected: how its pairs fell."""
    rows = []
    for study in study_names():
        if not results.has(study, "comparisons"):
            continue
        config = load_config(study)
        for number, tally in enumerate(verdict_tallies(config.task, results.table(study, "comparisons"))):
            shown = {verdict: tally.verdicts.get(verdict, 0) for verdict in _VERDICTS}
            counts = [*shown.values(), sum(tally.verdicts.values()) - sum(shown.values())]
            texts = (study, printed(tally.dataset), tally.metric, tally.against)
            p = tally.sign_test_p
            rows.append(
                HtmlRow(
                    id=f"verdict-{_fragment(study)}-{number}",
                    cells=(
                        *(HtmlCell(html.escape(text), text) for text in texts),
                        *(HtmlCell(str(count), count) for count in counts),
                        HtmlCell(f"{tally.ahead} of {tally.pairs}", tally.ahead / tally.pairs if tally.pairs else None),
                        _NOTHING if p is None else HtmlCell(f"{p:.2g}", p),
                    ),
                )
            )
    if not rows:
        return '<p class="soft">No study with comparisons was collected yet: `qnn study run ablation` is one.</p>'
    columns = [
        *(HtmlColumn(title, "text") for title in ("study", "data", "metric", "against")),
        *map(HtmlColumn, (*_VERDICTS, "no verdict", "ahead on average", "sign test p")),
    ]
    return html_table(columns, rows, label="Verdicts of the comparisons")


def _claims(listed: Sequence[Claim]) -> str:
    rows = [
        HtmlRow(
            id=f"claim-{_fragment(claim.id)}",
            cells=(
                HtmlCell(
                    f'{html.escape(claim.statement)} <span class="soft">({html.escape(claim.source)})</span>', claim.id
                ),
                HtmlCell(
                    f'<span class="verdict {_fragment(claim.verdict.replace(" ", "-"))}">{html.escape(claim.verdict)}</span>',
                    claim.verdict,
                ),
                HtmlCell(
                    f"{html.escape(claim.evidence)} <code>{html.escape(claim.computed_by)}</code>", claim.evidence
                ),
            ),
        )
        for claim in listed
    ]
    columns = [HtmlColumn("claim", "prose"), HtmlColumn("verdict", "text"), HtmlColumn("evidence", "prose")]
    return html_table(columns, rows, label="Claims with verdicts")


def _environment(results: Results) -> str:
    entries = {f"this page: {key}": str(value) for key, value in environment(threads=1).items() if key != "threads"}
    for study in sorted({study for spec in discover() for study in spec.studies if results.has(study)}):
        runs = results.table(study)
        known = [runs[column].drop_nulls().unique().sort() for column in _ENVIRONMENT if column in runs.columns]
        entries[f"study {study}"] = "; ".join(f"{values.name} {', '.join(map(str, values))}" for values in known)
    items = "".join(f"<dt>{html.escape(key)}</dt><dd>{html.escape(value)}</dd>" for key, value in entries.items())
    return f"<dl>{items}</dl>"
