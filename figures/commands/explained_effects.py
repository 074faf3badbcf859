"""``qnn explain``: centred effects of sets of fields, over all rows or at one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from torch import Tensor

from figures.commands.interaction_files import write
from qnn_models.models.network import CTRModel
from qnn_models.serving.anova import Anova, Effect, anova
from qnn_models.serving.independent_fields import Progress


def report(
    model: CTRModel,
    ids: Tensor,
    *,
    at: Tensor | None,
    origin: Mapping[str, str],
    order: int,
    draws: int | None,
    seed: int,
    top: int,
    folder: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Compute, write the files, and say what was found as JSON values; strengths and values in units of the logit."""
    options = {} if draws is None else {"draws": draws}
    found = anova(model, ids, order=order, at=at, seed=seed, progress=progress, **options)
    ranked = found.effects if at is None else tuple(sorted(found.effects, key=lambda effect: -abs(effect.value or 0.0)))
    entries = [_entry(found, effect) for effect in ranked]
    table = [{**entry, "fields": " × ".join(entry["fields"]), "order": len(entry["fields"])} for entry in entries]
    strengths = {effect.fields: effect.strength if at is None else abs(effect.value or 0.0) for effect in ranked}
    explained = sum(effect.variance for effect in ranked)
    result = {
        **origin,
        "rows": len(ids),
        "order": order,
        "exact": found.exact,
        "mean": found.mean,
        "mean_error": found.mean_error,
        "variance": found.variance,
        "variance_error": found.variance_error,
        "rest_share": 1 - explained / found.variance if found.variance > 0 else 0.0,
        "rest_share_error": math.hypot(
            explained / found.variance * found.variance_error, *(effect.error for effect in ranked)
        )
        / found.variance
        if found.variance > 0
        else 0.0,
        "interactions": entries[:top],
        "files": write(pl.DataFrame(table), found.names, strengths, folder=folder),
    }
    if at is None:
        return result
    rest = (found.logit or 0.0) - found.mean - sum(effect.value or 0.0 for effect in ranked)
    return {**result, "logit": found.logit, "rest_value": rest}


def _entry(found: Anova, effect: Effect) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "fields": list(effect.names),
        "strength": effect.strength,
        "variance": effect.variance,
        "variance_error": effect.error,
        "share": effect.variance / found.variance if found.variance > 0 else 0.0,
    }
    return entry if effect.value is None else {**entry, "value": effect.value, "value_error": effect.value_error}


def text(report: Mapping[str, Any]) -> str:
    """The table for a reader at a terminal."""
    at_row, exact, entries = "logit" in report, report["exact"], report["interactions"]
    width = max(len("fields"), *(len(" × ".join(entry["fields"])) for entry in entries))
    lines = [
        f"{report['model']} on {report['dataset']}: fields as in {report['rows']} rows of {report['split']}, "
        f"sets of up to {report['order']} fields",
        "exact: all combinations of values that the logit depends on"
        if exact
        else "estimated: there are too many combinations of values; ± is a standard error",
        "a set's effect is what it adds to the logit beyond what its subsets add; strength is its standard deviation",
        "",
        f"{'fields':<{width}}"
        + ("     value" + ("" if exact else "         ±") if at_row else "")
        + "  strength   share"
        + ("" if exact else "      ±"),
    ]
    for entry in entries:
        line = f"{' × '.join(entry['fields']):<{width}}"
        if at_row:
            line += f"  {entry['value']:+8.4f}" + ("" if exact else f"  {entry['value_error']:8.4f}")
        line += f"  {entry['strength']:8.4f}  {100 * entry['share']:5.1f}%"
        if not exact:
            line += f"  {100 * entry['variance_error'] / report['variance'] if report['variance'] > 0 else 0:4.1f}%"
        lines.append(line)
    lines += [
        "",
        f"logit: mean {report['mean']:+.4f}, standard deviation {max(report['variance'], 0) ** 0.5:.4f}; "
        f"all sets of more fields together {100 * report['rest_share']:.1f}% of the variance"
        + ("" if exact else f" ± {100 * report['rest_share_error']:.1f}%"),
    ]
    if at_row:
        lines.append(
            f"this row: logit {report['logit']:+.4f}, of which all sets of more fields {report['rest_value']:+.4f}"
        )
    return "\n".join([*lines, *report["files"]])
