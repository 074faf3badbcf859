"""The terminal table of a study: theory beside measurement, verdicts below. What has too few seeds says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from studies.declaring.config import StudyConfig
from studies.judging.collect import Collected
from studies.judging.comparisons import verdict_tallies
from studies.judging.statistics import CONFIDENCE, PAIRS_FOR_A_VERDICT, rank_correlation

Row = dict[str, object]

_MACHINE = (
    ("s/epoch", "epoch_seconds", "{:.2f}"),
    ("MiB", "peak_mib", "{:.0f}"),
    ("µs/request", "latency_us", "{:.0f}"),
)
"""What is worth showing only where runs had the machine to themselves: title, metric, pattern."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a terminal table: its title, and how a row of the summary is shown in it."""

    title: str
    show: Callable[[Row], str]


def study_table(config: StudyConfig, collected: Collected) -> str:
    """The table of a study, one part per data set, and what its comparisons show."""
    parts = []
    for (dataset,), group in collected.summary.group_by("dataset", maintain_order=True):
        counts = sorted(set(group["n"].to_list()))
        seeds = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
        title = f"{config.title}: {dataset}, {seeds} seed{'' if counts[-1] == 1 else 's'}"
        if "quick" in group.columns and group["quick"].any():
            title += " (QUICK: shortened runs, no result)"
        order = next(
            (f"{metric}_mean" for metric in ("test_auc", "test_accuracy") if f"{metric}_mean" in group.columns), None
        )
        ordered = group.sort(order, descending=True, nulls_last=True) if order else group
        parts.append(f"{title}\n{text_table(list(ordered.iter_rows(named=True)), _columns(config, group))}")
    parts += _verdicts(config, collected.comparisons)
    parts += _rankings(config, collected)
    parts += _correlations(config, collected.correlations)
    parts += _exponents(collected.exponents)
    most = max(collected.summary["n"])
    if config.task == "train" and most < PAIRS_FOR_A_VERDICT:
        parts.append(
            f"{most} seed{'' if most == 1 else 's'}: no row is shown to be better than another. "
            f"For verdicts: --seeds {PAIRS_FOR_A_VERDICT}"
        )
    return "\n\n".join(parts)


def text_table(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Rows as aligned text, the first column to the left."""
    cells = [[column.title for column in columns], *([column.show(row) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]

    def line(texts: Sequence[str]) -> str:
        first, *rest = zip(texts, widths, strict=True)
        return "  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in rest)])

    return "\n".join([line(cells[0]), line(["-" * width for width in widths]), *map(line, cells[1:])])


def _columns(config: StudyConfig, summary: pl.DataFrame) -> list[Column]:
    """The varying settings, then theory, quality, cost, and the published value, as far as the study has them."""
    first, last = summary.columns.index("arm") + 1, summary.columns.index("train_rows")
    varying = [
        name
        for name in summary.columns[first:last]
        if summary[name].drop_nulls().n_unique() > 1 and not _told_by_label(summary, name)
    ]
    wanted = [
        Column(title="", show=lambda row: str(row["label"])),
        *(Column(title=name.removeprefix("training_"), show=_text(name)) for name in varying),
        Column(title="instances", show=_number("instances_mean")),
        Column(title="fields", show=_number("fields_mean")),
        Column(title="features", show=_number("features_mean")),
        Column(title="clicks %", show=_mean("click_share", "{:.1f}", 100)),
        Column(title="support", show=_number("theory_support")),
        Column(title="degree", show=_number("theory_degree")),
        Column(title="parameters", show=_network_parameters),
        Column(title="AUC %", show=_mean("test_auc", "{:.2f}", 100)),
        Column(title="log loss", show=_mean("test_logloss", "{:.4f}")),
        Column(title="accuracy %", show=_mean("test_accuracy", "{:.2f}", 100)),
        Column(title="jump order", show=_mean("jump_order", "{:.2f}")),
        Column(title="variation", show=_mean("gradient_variation", "{:.1f}")),
        Column(title="epochs", show=_mean("epochs", "{:.0f}")),
        Column(title="train s", show=_mean("train_seconds", "{:.1f}", spread=False)),
        Column(title="ms/step", show=_mean("step_ms", "{:.2f}")),
        Column(title="rows/s", show=_mean("rows_per_second", "{:,.0f}")),
        *(
            Column(title=title, show=_mean(metric, pattern))
            for title, metric, pattern in _MACHINE
            if config.one_at_a_time
        ),
        Column(title="µs/row", show=_mean("inference_us", "{:.2f}", spread=False)),
        Column(title=f"published AUC % ({_published_dataset(summary)})", show=_number("published_auc", "{:.2f}", 100)),
        Column(title="published accuracy %", show=_number("published_test_accuracy", "{:.2f}", 100)),
    ]
    rows = list(summary.iter_rows(named=True))
    return [column for column in wanted if any(column.show(row) for row in rows)]


def _told_by_label(summary: pl.DataFrame, name: str) -> bool:
    """Whether the label alone says the value, so that a column would repeat it."""
    return summary.group_by("label").agg(pl.col(name).n_unique()).get_column(name).max() == 1


def _text(name: str, pattern: str = "g") -> Callable[[Row], str]:
    def show(row: Row) -> str:
        value = row.get(name)
        return "" if value is None else format(value, pattern) if isinstance(value, float) else str(value)

    return show


def _number(name: str, pattern: str = "{:,.0f}", scale: float = 1) -> Callable[[Row], str]:
    def show(row: Row) -> str:
        value = row.get(name)
        return pattern.format(value * scale) if isinstance(value, int | float) else ""

    return show


def _network_parameters(row: Row) -> str:
    """Parameters without the embedding table, which all models share."""
    total, table = row.get("parameters_mean"), row.get("embedding_parameters_mean") or 0.0
    return f"{total - table:,.0f}" if isinstance(total, float) and isinstance(table, float) else ""


def _mean(metric: str, pattern: str, scale: float = 1, *, spread: bool = True) -> Callable[[Row], str]:
    """The mean, with half its 95 % interval where there are several runs."""

    def show(row: Row) -> str:
        mean, low = row.get(f"{metric}_mean"), row.get(f"{metric}_low")
        if not isinstance(mean, int | float):
            return ""
        text = pattern.format(mean * scale)
        return f"{text} ± {pattern.format((mean - low) * scale)}" if spread and isinstance(low, int | float) else text

    return show


def _published_dataset(summary: pl.DataFrame) -> str:
    if "published_dataset" not in summary.columns:
        return ""
    return ", ".join(summary["published_dataset"].drop_nulls().unique(maintain_order=True).to_list())


def _verdicts(config: StudyConfig, comparisons: pl.DataFrame) -> list[str]:
    """One line per comparison, data set and metric: how many pairs fell how."""
    lines = []
    for tally in verdict_tallies(config.task, comparisons):
        shown = ", ".join(f"{count} {verdict}" for verdict, count in tally.verdicts.items())
        line = f"{tally.dataset}, {tally.metric}, against {tally.against} (paired, Holm at 5 %): {shown}."
        if tally.sign_test_p is not None:
            line += f" Ahead on average in {tally.ahead} of {tally.pairs}, sign test p = {tally.sign_test_p:.3g}."
        lines.append(line)
    return ["\n".join(lines)] if lines else []


def _rankings(config: StudyConfig, collected: Collected) -> list[str]:
    """Both rankings side by side, one part per data set, how far they agree, and what the comparisons show of the tuned one."""
    parts = []
    for (dataset,), group in (
        collected.rankings.group_by("dataset", maintain_order=True) if len(collected.rankings) else ()
    ):
        rows = list(group.iter_rows(named=True))
        columns = [
            Column(title="", show=lambda row: " ".join(filter(None, (str(row["label"]), str(row["setting"]))))),
            Column(title="rank", show=_text("fixed_rank")),
            Column(title="AUC % fixed", show=_mean("fixed_test_auc", "{:.2f}", 100)),
            Column(title="tuned rank", show=_text("tuned_rank")),
            Column(title="AUC % tuned", show=_mean("tuned_test_auc", "{:.2f}", 100)),
            Column(title="log loss tuned", show=_mean("tuned_test_logloss", "{:.4f}")),
            Column(title="gain", show=_number("gain", "{:+.2f}", 100)),
            *(
                Column(title=name.removeprefix("chosen_").removeprefix("training_"), show=_text(name))
                for name in group.columns
                if name.startswith("chosen_")
            ),
        ]
        agreement = rank_correlation(group["fixed_rank"].to_list(), group["tuned_rank"].to_list())
        part = f"Fixed settings and those chosen on validation: {dataset}\n{text_table(rows, columns)}"
        if agreement.rho is not None:
            part += f"\nRank correlation of the two rankings: {agreement.rho:.2f} [{agreement.low:.2f}, {agreement.high:.2f}]."
        parts.append(part)
    if parts:
        parts += [f"At the chosen settings:\n{text}" for text in _verdicts(config, collected.tuned_comparisons)]
    return parts


def _correlations(config: StudyConfig, correlations: pl.DataFrame) -> list[str]:
    """Predictors by outcomes: ρ, with a star where its interval leaves out 0 and it stands among so many others."""
    parts = []
    by = ("dataset", *(config.correlate.by if config.correlate else ()))
    family = "the study" if config.correlate and config.correlate.family == "study" else "this data set"
    for names, group in correlations.group_by(*by, maintain_order=True) if len(correlations) else ():
        outcomes = group["outcome"].unique(maintain_order=True).to_list()
        cells = {(row["predictor"], row["outcome"]): row for row in group.iter_rows(named=True)}
        rows: list[Row] = [
            {"predictor": predictor} | {outcome: cells[predictor, outcome] for outcome in outcomes}
            for predictor in group["predictor"].unique(maintain_order=True)
        ]
        columns = [
            Column(title="", show=lambda row: str(row["predictor"]).removeprefix("theory_")),
            *(Column(title=outcome.removesuffix("_mean"), show=_rho(outcome)) for outcome in outcomes),
        ]
        parts.append(
            f"Spearman's rank correlation over the arms, {', '.join(map(str, names))} "
            f"(* the 95 % bootstrap interval leaves out 0, and p < 5 % by Holm over {family})\n"
            + text_table(rows, columns)
        )
    return parts


def _rho(outcome: str) -> Callable[[Row], str]:
    def show(row: Row) -> str:
        cell = row[outcome]
        if not isinstance(cell, dict) or cell["rho"] is None:
            return ""
        shown = (cell["low"] > 0 or cell["high"] < 0) and cell["p_holm"] < 1 - CONFIDENCE
        return f"{cell['rho']:+.2f}{'*' if shown else ' '}"

    return show


def _exponents(exponents: pl.DataFrame) -> list[str]:
    """Measured and counted exponents side by side."""
    if exponents.is_empty():
        return []
    columns = [
        Column(title="axis", show=_text("axis")),
        Column(title="metric", show=_text("metric")),
        Column(title="exponent", show=lambda row: f"{row['exponent']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"),
        Column(title="by the formula", show=_text("theory_exponent", ".2f")),
    ]  # fmt: skip
    return [
        "Growth: slope of log metric over log value, 95 % interval\n"
        + text_table(list(exponents.iter_rows(named=True)), columns)
    ]
