"""Panels for one setting that varies: ours beside the published ones, a row for each metric, an axis for each panel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.shared.contract import FigureSpec
from figures.shared.names import printed
from figures.shared.results import Results, published
from figures.shared.seeds import ours_title, over_seeds
from figures.shared.style import LINES, MARKERS, OURS, PALETTE, PUBLISHED, new_figure

_APART = 0.02
# The lines of a panel of ours; the colour of published numbers stays theirs.
_GROUPS = tuple(colour for colour in PALETTE if colour != PUBLISHED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One row of panels.

    Attributes:
        ours: column of the collected CSV.
        published: metric of the published numbers; None where the paper has none.
        title: axis label, with the unit.
        scale: what our numbers are multiplied with to have that unit.
        published_title: axis label of the published panels where their unit differs.
    """

    ours: str
    published: str | None
    title: str
    scale: float = 1.0
    published_title: str | None = None


AUC = Metric(ours="test_auc", published="auc_percent", title="test AUC (%)", scale=100.0)
LOGLOSS = Metric(ours="test_logloss", published="logloss", title="test log loss")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSweep:
    """Where the paper has the same sweep.

    Attributes:
        source: its table or figure, as `figures.shared.results.published` names it.
        value: pattern whose group is the setting's value; what it does not match is no part of the sweep.
        column: column of the published numbers that it is matched with.
        names: the paper's name of a value -> ours, where they differ.
    """

    source: str
    value: str
    column: str = "setting"
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What varies, and what is shown of it.

    Attributes:
        study: study that varies it; the figure has its name.
        setting: column of the collected CSV.
        title: how the setting is called on its axis.
        caption: the figure's caption.
        order: values of a setting that is no number, best known first (others follow); empty for a number.
        group: a second column, drawn as lines of their own; empty for none.
        metrics: one row of panels each.
        published: where the paper has the same sweep; None where it has none.
    """

    study: str
    setting: str
    title: str
    caption: str
    order: tuple[str, ...] = ()
    group: str = ""
    metrics: tuple[Metric, ...] = (AUC, LOGLOSS)
    published: PublishedSweep | None = None


def sweep_figure(sweep: Sweep) -> FigureSpec:
    """The figure of a sweep."""
    return FigureSpec(
        name=sweep.study, caption=sweep.caption, draw=partial(draw_sweep, sweep=sweep), studies=(sweep.study,)
    )


def published_sweep(sweep: Sweep) -> pl.DataFrame:
    """The published values of the setting: columns dataset, metric, value, mean, half (null: one run each)."""
    where = sweep.published
    if where is None:
        return pl.DataFrame(schema=["dataset", "metric", "value", "mean", "half"])
    value = pl.col(where.column).str.extract(where.value, 1)
    return (
        published(where.source)
        .select(
            "dataset",
            "metric",
            value=value.replace(where.names) if sweep.order else value.cast(pl.Int64),
            mean="value",
            half=pl.lit(None, pl.Float64),
        )
        .drop_nulls("value")
    )


def draw_sweep(results: Results, *, sweep: Sweep) -> Figure:
    """One column of panels for each of our data sets, then one for each published data set."""
    # Models for comparison, which have no such setting, are left to the table.
    keys = ["value", sweep.group] if sweep.group else ["value"]
    setting = pl.col(sweep.setting)
    runs = results.runs(sweep.study).with_columns(value=setting.cast(pl.String) if sweep.order else setting)
    runs, paper = runs.drop_nulls(keys), published_sweep(sweep)
    sweep = _with_every_value(sweep, [*runs["value"], *paper["value"]])
    ours = runs["dataset"].unique(maintain_order=True).to_list()
    theirs = paper["dataset"].unique(maintain_order=True).to_list()
    figure = new_figure(height_in=0.55 + 1.25 * len(sweep.metrics))
    panels = figure.subplots(len(sweep.metrics), len(ours) + len(theirs), squeeze=False)
    for row, metric in zip(panels, sweep.metrics, strict=True):
        for axes, dataset in zip(row, ours, strict=False):
            here = runs.filter(pl.col("dataset") == dataset)
            marks = over_seeds(here.with_columns(shown=pl.col(metric.ours) * metric.scale), by=keys, value="shown")
            _panel(axes, marks, sweep, colour=OURS)
            axes.set_title(ours_title(here, marks["n"].to_list(), separator="\n"))
        for axes, dataset in zip(row[len(ours) :], theirs, strict=True):
            marks = paper.filter((pl.col("dataset") == dataset) & (pl.col("metric") == metric.published))
            if marks.is_empty():
                axes.set_visible(False)
                continue
            _panel(axes, marks, sweep, colour=PUBLISHED)
            axes.set_title(f"published, {dataset}\none run each")
        _label_row(row, metric, sweep, ours=len(ours))
    for row in panels[1:]:
        for axes in row:
            axes.set_title("")
    for axes in panels[-1]:
        if not sweep.order:
            axes.set_xlabel(sweep.title)
    if sweep.group:
        handles, labels = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _with_every_value(sweep: Sweep, values: Iterable[str]) -> Sweep:
    """The sweep with an order that names every value, so that a study's further arms are drawn too."""
    return replace(sweep, order=tuple(dict.fromkeys((*sweep.order, *values)))) if sweep.order else sweep


def _panel(axes: Axes, marks: pl.DataFrame, sweep: Sweep, *, colour: str) -> None:
    if sweep.order:
        rows = {row["value"]: row for row in marks.iter_rows(named=True)}
        for place, value in enumerate(sweep.order):
            if value in rows:
                mark = rows[value]
                axes.errorbar(
                    mark["mean"], len(sweep.order) - place, xerr=mark["half"], marker="o", color=colour, elinewidth=0.7
                )
        axes.set_yticks(range(len(sweep.order), 0, -1), [printed(value) for value in sweep.order])
        axes.set_ylim(0.4, len(sweep.order) + 0.6)
        axes.margins(x=0.12)
        return
    groups = marks[sweep.group].unique(maintain_order=True).to_list() if sweep.group in marks.columns else [None]
    reach = max(marks["value"]) - min(marks["value"])
    for number, group in enumerate(groups):
        part = (marks if group is None else marks.filter(pl.col(sweep.group) == group)).sort("value")
        # Intervals at one value would hide each other.
        apart = _APART * reach * (number - (len(groups) - 1) / 2)
        axes.errorbar(
            part["value"] + apart,
            part["mean"],
            yerr=part["half"] if part["half"].null_count() < len(part) else None,
            marker=MARKERS[number],
            linestyle=LINES[number],
            color=colour if group is None else _GROUPS[number],
            elinewidth=0.7,
            label=None if group is None else printed(str(group)),
        )
    axes.set_xticks(marks["value"].unique().sort().to_list())
    axes.locator_params(axis="y", nbins=5)
    axes.margins(x=0.08, y=0.12)


def _label_row(row: Sequence[Axes], metric: Metric, sweep: Sweep, *, ours: int) -> None:
    for number, axes in enumerate(row):
        title = metric.title if number < ours else metric.published_title or metric.title
        if sweep.order:
            axes.set_xlabel(title)
            axes.tick_params(axis="y", labelleft=number == 0)
            axes.locator_params(axis="x", nbins=4)
        elif number in (0, ours):
            axes.set_ylabel(title)
