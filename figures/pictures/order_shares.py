"""Shares of a trained logit's variance by interaction order, with intervals, beside those that the theory expects."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from figures.shared.style import BLACK, OURS, PUBLISHED, new_figure


def draw(
    labels: Sequence[str],
    shares: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    expected: Sequence[float] | None,
) -> Figure:
    """A bar for each order, in per cent; drawn inside the paper's style.

    Args:
        labels: of the orders.
        shares: of the variance.
        intervals: their 95 % intervals.
        expected: what the theory expects at the model's own scales, or None.
    """
    figure = new_figure(height_in=2.2)
    axes = figure.subplots()
    places = range(len(labels))
    axes.bar(places, [100 * share for share in shares], width=0.6, color=OURS, label="measured, 95 % interval")
    reach = [
        [100 * (share - low) for share, (low, _) in zip(shares, intervals, strict=True)],
        [100 * (high - share) for share, (_, high) in zip(shares, intervals, strict=True)],
    ]
    axes.errorbar(places, [100 * share for share in shares], yerr=reach, fmt="none", ecolor=BLACK, elinewidth=0.8)
    if expected is not None:
        axes.plot(
            places, [100 * share for share in expected], "D", color=PUBLISHED, markeredgecolor="white", label="theory"
        )
    axes.axhline(0, color=BLACK, linewidth=0.6)
    axes.set_xticks(places, labels)
    axes.set_xlabel("number of fields that interact")
    axes.set_ylabel("share of the logit's variance (%)")
    axes.grid(visible=False, axis="x")
    axes.legend()
    return figure
