"""Fixed settings and those chosen on validation: each arm's AUC at both, ranked by the second (`judging.rankings`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures.shared.contract import FigureSpec
from figures.shared.names import printed
from figures.shared.results import MissingResultsError, Results
from figures.shared.seeds import seeds_text
from figures.shared.style import BLACK, GREEN, LIGHT_GREY, WHITE, new_figure

_STUDIES = ("regularisation", "formats", "main")
_LOOKS: Mapping[str, Mapping[str, Any]] = {
    "fixed": {"marker": "o", "color": BLACK, "markerfacecolor": WHITE},
    "tuned": {"marker": "o", "color": GREEN, "markerfacecolor": GREEN},
}
_SETTINGS = {"post_activation=relu": " + ReLU"}
_KEYS = {"fixed": "one setting for all", "tuned": "chosen on validation"}


def draw(results: Results) -> Figure:
    """One panel for each study and data set that has both rankings."""
    panels = [
        (study, str(dataset), group)
        for study in _STUDIES
        if results.has(study, "rankings")
        for (dataset,), group in results.table(study, "rankings").group_by("dataset", maintain_order=True)
    ]
    if not panels:
        raise MissingResultsError(
            f"No study has chosen settings yet: `qnn study run {_STUDIES[0]}` makes {_STUDIES[0]}_rankings.csv."
        )
    rows = max(len(group) for *_, group in panels)
    figure = new_figure(height_in=min(0.7 + 0.15 * rows, 9.0))  # a page is not higher
    for axes, (study, dataset, group) in zip(figure.subplots(1, len(panels), squeeze=False).flat, panels, strict=True):
        _dumbbells(axes, group, rows=rows)
        axes.set_title(f"{study}, {printed(dataset)}\n{seeds_text(group['n'].to_list())}")
    figure.legend(
        handles=[Line2D([], [], linestyle="", label=_KEYS[which], **look) for which, look in _LOOKS.items()],
        loc="outside upper center",
        ncols=2,
    )
    return figure


def _dumbbells(axes: Axes, rankings: pl.DataFrame, *, rows: int) -> None:
    """The best at the top; beside each name its rank at the fixed setting."""
    names = {}
    for row in rankings.iter_rows(named=True):
        y = rows - row["tuned_rank"]
        means = [100 * row[f"{which}_test_auc_mean"] for which in _LOOKS]
        axes.plot(means, [y, y], color=LIGHT_GREY, linewidth=1.6, zorder=1)
        for which, look in _LOOKS.items():
            mean, low, high = (row[f"{which}_test_auc_{part}"] for part in ("mean", "low", "high"))
            half = None if low is None or high is None else [[100 * (mean - low)], [100 * (high - mean)]]
            axes.errorbar([100 * mean], [y], xerr=half, linestyle="", markersize=4, elinewidth=0.8, **look)
        names[y] = f"{printed(row['label'])}{_SETTINGS.get(row['setting'], '')} ({row['fixed_rank']})"
    axes.set_yticks(list(names), list(names.values()))
    axes.set_ylim(-0.7, rows - 0.3)
    axes.set_xlabel("test AUC (%)")


FIGURE = FigureSpec(
    name="regularisation",
    caption=(
        "Test AUC at one setting for all and at the dropout and L2 weight that each arm chose on validation, out of one small "
        "grid; in parentheses its rank at the one setting. Intervals are 95 % over the seeds."
    ),
    draw=draw,
    studies=("regularisation",),
)
