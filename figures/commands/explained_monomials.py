"""``qnn explain --monomials``: the exact contributions of sets of fields, other fields at zero."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from torch import Tensor

from figures.commands.interaction_files import write
from qnn_models.models.network import CTRModel
from qnn_models.serving.explain import contributions, interactions
from qnn_models.serving.independent_fields import Progress

_MEANING = {
    "polynomial": "the model is a polynomial; a set's contribution is the sum of its monomials in exactly these fields",
    "local": "at each row the model is a polynomial; a set's contribution is the sum of its monomials in exactly these fields",
    "anchored": "the model is no polynomial; a set's contribution is what its fields add together, other fields at zero",
}


def report(
    model: CTRModel, ids: Tensor, *, origin: Mapping[str, str], order: int, top: int, folder: Path, progress: Progress
) -> dict[str, Any]:
    """Compute, write the files, and say what was found as JSON values; strengths and means in units of the logit."""
    found = contributions(model, ids, order=order, progress=progress)
    ranked = interactions(found)
    table = pl.DataFrame(
        {
            "fields": [" × ".join(interaction.names) for interaction in ranked],
            "order": [len(interaction.fields) for interaction in ranked],
            "strength": [interaction.strength for interaction in ranked],
            "mean": [interaction.mean for interaction in ranked],
        }
    )
    strengths = {interaction.fields: interaction.strength for interaction in ranked}
    return {
        **origin,
        "rows": len(found.logits),
        "order": order,
        "reading": found.reading,
        "logit_strength": float(found.logits.square().mean().sqrt()),
        "constant": float(found.by_set[()].mean()),
        "rest_strength": float(found.rest.square().mean().sqrt()),
        "interactions": [
            {"fields": list(interaction.names), "strength": interaction.strength, "mean": interaction.mean}
            for interaction in ranked[:top]
        ],
        "files": write(table, found.names, strengths, folder=folder),
    }


def text(report: Mapping[str, Any]) -> str:
    """The table for a reader at a terminal."""
    listed = [(" × ".join(entry["fields"]), entry["strength"], entry["mean"]) for entry in report["interactions"]]
    width = max(len("fields"), *(len(name) for name, _, _ in listed))
    lines = [
        f"{report['model']} on {report['dataset']}: {report['rows']} rows of {report['split']}, "
        f"sets of up to {report['order']} fields",
        f"{report['reading']}: {_MEANING[report['reading']]}",
        "in units of the logit: strength is the root mean square of a contribution over the rows, mean its mean",
        "",
        f"{'fields':<{width}}  strength      mean",
        *(f"{name:<{width}}  {strength:8.4f}  {mean:+8.4f}" for name, strength, mean in listed),
        "",
        f"logit {report['logit_strength']:.4f}, constant {report['constant']:+.4f}, "
        f"all sets of more fields together {report['rest_strength']:.4f}",
        *report["files"],
    ]
    return "\n".join(lines)
