"""A formula in d for a computed quantity: found from some widths, then checked on more widths than it was found from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy

d = sympy.Symbol("d")
"""The input width in every formula of the package: a plain symbol, so that a caller's own `sympy.Symbol("d")` is the same one."""

_STARTS = 4


@dataclass(frozen=True, slots=True)
class ClosedForm:
    """A polynomial in d and where it has been checked.

    Attributes:
        formula: the polynomial in the symbol ``d``.
        valid_from: the smallest width it holds for among those computed.
        fitted_on: the widths it was found from.
        checked_on: further widths, all of which it predicted.
    """

    formula: sympy.Expr
    valid_from: int
    fitted_on: tuple[int, ...]
    checked_on: tuple[int, ...]


def closed_form(value: Callable[[int], int], *, step: int, degree: int, what: str) -> ClosedForm:
    """The polynomial in d of at most this degree that a computed quantity follows.

    Args:
        value: the quantity at one width.
        step: widths are multiples of this.
        degree: largest degree to consider.
        what: the quantity's name, for the message.

    Raises:
        ValueError: no such polynomial holds from any of the first widths on.
    """
    computed: dict[int, int] = {}
    for first in range(1, _STARTS + 1):
        widths = [step * (first + i) for i in range(2 * degree + 3)]
        for width in widths:
            if width not in computed:
                computed[width] = value(width)
        fitted, checked = widths[: degree + 1], widths[degree + 1 :]
        formula = sympy.expand(sympy.interpolate([(width, computed[width]) for width in fitted], d))
        if all(formula.subs(d, width) == computed[width] for width in checked):
            return ClosedForm(formula=formula, valid_from=fitted[0], fitted_on=tuple(fitted), checked_on=tuple(checked))
    raise ValueError(
        f"A closed form is a polynomial in d of degree at most {degree}, however: {what} follows none at "
        f"{', '.join(f'd={width}: {computed[width]}' for width in sorted(computed))}."
    )
