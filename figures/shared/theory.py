"""What the theory says of one layer of each format, as one table for figures, LaTeX and the page."""

from __future__ import annotations

from functools import cache

import polars as pl

from qnn_theory import formats
from qnn_theory.dimension.effective_dimension import effective_dimension
from qnn_theory.feature_spaces.feature_space import feature_space
from qnn_theory.feature_spaces.quadratic_form import quadratic_forms
from qnn_theory.grammar.expr import ActivationKind
from qnn_theory.grammar.format import Format
from qnn_theory.smoothness_classes.smoothness import Analytic, smoothness
from studies.declaring.theory_columns import where_defined

DIM = 8
"""Width d of the layers that are counted; even, so that every format exists, and small enough to be instant."""


@cache
def theory_table() -> pl.DataFrame:
    """One row for each registered format.

    Returns:
        Columns ``id``, ``degree``, ``monomials`` (of all outputs), ``rank`` (the largest of an output's quadratic form),
        ``parameters``, ``dimension`` (effective), ``redundant``, ``smooth`` and ``smooth_relu`` (the class without and with a
        ReLU after the layer: the order r of C^r, or infinity). A format that is a polynomial nowhere (a smooth activation such
        as GELU) has no degree, monomials and rank.
    """
    return pl.DataFrame([_row(format) for format in formats()])


def _row(format: Format) -> dict[str, str | int | float | None]:
    space = where_defined(lambda: feature_space(format, dim=DIM))
    forms = where_defined(lambda: quadratic_forms(format, dim=DIM))
    effective = effective_dimension(format, dim=DIM)
    return {
        "id": format.id,
        "degree": space.degree if space else None,
        "monomials": space.dimension if space else None,
        "rank": max(forms.ranks) if forms else None,
        "parameters": effective.parameters,
        "dimension": effective.dimension,
        "redundant": effective.redundant,
        "smooth": _order(format, None),
        "smooth_relu": _order(format, "relu"),
    }


def _order(format: Format, post_activation: ActivationKind | None) -> float:
    order = smoothness(format, post_activation=post_activation).order
    return float("inf") if isinstance(order, Analytic) else float(order)


def smoothness_text(order: float) -> str:
    """``C⁰``, ``C¹``, ... or ``analytic``."""
    return "analytic" if order == float("inf") else f"C{'⁰¹²³⁴⁵⁶⁷⁸⁹'[int(order)]}"
