"""``qnn explain --orders``: shares of the logit's variance by interaction order, beside the theory's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from torch import Tensor

from figures.pictures import order_shares as picture
from figures.shared.style import paper_style, save
from qnn_models.models.network import CTRModel
from qnn_models.serving.anova import OrderShares, order_shares
from qnn_models.serving.expected_orders import expected_shares
from qnn_models.serving.independent_fields import Progress
from studies.running.record import write_whole

TABLE_FILE = "orders.csv"
FIGURE_STEM = "orders"

_NORMAL_95 = 1.959964


def report(
    model: CTRModel,
    ids: Tensor,
    *,
    origin: Mapping[str, str],
    order: int,
    draws: int | None,
    seed: int,
    folder: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Compute, write the files, and say what was found as JSON values."""
    options = {} if draws is None else {"draws": draws}
    found = order_shares(model, ids, order=order, seed=seed, progress=progress, **options)
    entries = _entries(found)
    expected, scales = _expected(model, ids, len(found.shares))
    for entry, share in zip(entries, expected, strict=False):
        entry["theory"] = share
    table = folder / TABLE_FILE
    write_whole(table, pl.DataFrame(entries).write_csv())
    with paper_style():
        figure = picture.draw(
            [entry["order"] for entry in entries],
            [entry["share"] for entry in entries],
            [(entry["low"], entry["high"]) for entry in entries],
            expected or None,
        )
    pictures = [folder / f"{FIGURE_STEM}.{kind}" for kind in ("pdf", "png")]
    for path in pictures:
        save(figure, path)
    return {
        **origin,
        "rows": len(ids),
        "exact": found.exact,
        "variance": found.variance,
        "variance_error": found.variance_error,
        "orders": entries,
        **scales,
        "files": [str(path) for path in (table, *pictures)],
    }


def _expected(model: CTRModel, ids: Tensor, order: int) -> tuple[list[float], dict[str, Any]]:
    """The theory's shares, and the scales that they are expected at, or why there are none."""
    try:
        shares, rest, point = expected_shares(model, ids, order=order)
    except ValueError as error:
        return [], {"no_theory": str(error)}
    scales = {"embedding_std": point.embedding_std, "collision": point.collision}
    return [*shares, rest], {**scales, "map_scales": dict(point.map_scales), "scales": dict(point.scales)}


def _entries(found: OrderShares) -> list[dict[str, Any]]:
    size = len(found.shares)
    listed = [
        (str(at), share, error) for at, (share, error) in enumerate(zip(found.shares, found.errors, strict=True), 1)
    ]
    return [
        {"order": name, "share": share, "low": share - _NORMAL_95 * error, "high": share + _NORMAL_95 * error}
        for name, share, error in (*listed, (f"{size + 1} and more", found.rest, found.rest_error))
    ]


def text(report: Mapping[str, Any]) -> str:
    """The table for a reader at a terminal."""
    bare = "no_theory" in report
    lines = [
        f"{report['model']} on {report['dataset']}: fields as in {report['rows']} rows of {report['split']}",
        f"shares of the logit's variance ({max(report['variance'], 0):.4f}) by the number of fields that interact, "
        + ("exact" if report["exact"] else "estimated, with 95 % intervals"),
        "",
        "fields          share" + ("" if bare else "  theory") + ("" if report["exact"] else "   interval"),
    ]
    for entry in report["orders"]:
        line = f"{entry['order']:<12}  {100 * entry['share']:6.2f}%"
        if not bare:
            line += f"  {100 * entry['theory']:5.2f}%"
        if not report["exact"]:
            line += f"   {100 * entry['low']:.2f} to {100 * entry['high']:.2f}"
        lines.append(line)
    if bare:
        lines += ["", f"no theory beside it: {report['no_theory']}"]
    else:
        maps = ", ".join(f"{name} {size:.2f}" for name, size in report["map_scales"].items())
        lines += [
            "",
            f"theory: the format at random, with this model's embeddings (standard deviation {report['embedding_std']:.3g}, "
            f"of which {100 * report['collision']:.0f}% is common to a field's values) and map sizes ({maps} times the start's)",
        ]
    return "\n".join([*lines, *report["files"]])
