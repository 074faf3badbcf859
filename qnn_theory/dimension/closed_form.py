"""The effective dimension of one layer as a formula in d."""

from __future__ import annotations

from functools import cache

from qnn_theory.algebra.closed_form import ClosedForm, closed_form
from qnn_theory.dimension.effective_dimension import effective_dimension
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import get_format


def effective_dimension_closed_form(format: str | Format) -> ClosedForm:
    """The effective dimension of one layer as a polynomial in d.

    A layer has at most d matrices of d × d entries, so the degree is at most 3.

    Raises:
        KeyError: unknown id.
        ValueError: no polynomial fits.
    """
    return _effective_dimension_closed_form(get_format(format))


@cache
def _effective_dimension_closed_form(format: Format) -> ClosedForm:
    return closed_form(
        lambda width: effective_dimension(format, dim=width).dimension,
        step=divisor(format.expr),
        degree=3,
        what=f"the effective dimension of {format.id}",
    )
