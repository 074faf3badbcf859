"""Formulas in d, found from computed values and then proved on more values than they were found from.

The union of the monomials of a layer is unchanged when inputs change places, and whether a monomial occurs depends only on its
exponents up to order; so its size is ``Σ_pattern (placements of the pattern in d inputs)``, a polynomial in d of degree at most
the layer's degree D. D + 1 widths determine it; at least D + 2 further widths check it. Formats that join halves exist for even
d only, and the widths are multiples of 2 there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, reduce
from operator import or_

import sympy

from qnn_theory.algebra.closed_form import ClosedForm, closed_form
from qnn_theory.algebra.monomials import Diagrams
from qnn_theory.feature_spaces.degrees import input_degree
from qnn_theory.feature_spaces.feature_space import feature_space
from qnn_theory.feature_spaces.support import support
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import get_format

L = sympy.Symbol("L")
"""The number of layers in formulas of growth with depth."""


def dimension_formula(format: str | Format, *, depth: int = 1) -> sympy.Expr:
    """The size of the union of the outputs' monomials as a polynomial in the symbol d (all gates active).

    Factored; `dimension_closed_form` also states the widths it was found from and checked on.

    Args:
        format: an id or a `Format`.
        depth: the number of layers; more than 1 needs many widths and is meant for degrees up to about 4.

    Raises:
        KeyError: unknown id.
        ValueError: a smooth activation, or no polynomial fits.
    """
    return sympy.factor(dimension_closed_form(format, depth=depth).formula)


def dimension_closed_form(format: str | Format, *, depth: int = 1) -> ClosedForm:
    """`dimension_formula` with its evidence.

    Raises:
        KeyError: unknown id.
        ValueError: a smooth activation, or no polynomial fits.
    """
    return _dimension_closed_form(get_format(format), depth)


@cache
def _dimension_closed_form(format: Format, depth: int) -> ClosedForm:
    step = divisor(format.expr)
    return closed_form(
        lambda width: feature_space(format, dim=width, depth=depth).dimension,
        step=step,
        degree=input_degree(format, dim=step, depth=depth),
        what=f"the dimension of {format.id} at depth {depth}",
    )


@dataclass(frozen=True, slots=True)
class DepthGrowth:
    """The feature space at one depth.

    Attributes:
        depth: the number of layers.
        degree: its degree.
        dimension: how many monomials some output has.
        possible: how many monomials there are up to that degree.
    """

    depth: int
    degree: int
    dimension: int
    possible: int


def growth(format: str | Format, *, dim: int, depth: int) -> tuple[DepthGrowth, ...]:
    """How degree and number of monomials grow, layer by layer, up to a depth.

    Raises:
        KeyError: unknown id.
        ValueError: a width or depth the format cannot have, or a smooth activation.
    """
    spaces = [feature_space(format, dim=dim, depth=layers) for layers in range(1, depth + 1)]
    return tuple(
        DepthGrowth(
            depth=space.depth,
            degree=space.degree,
            dimension=space.dimension,
            possible=space.dimension + sum(space.missing_by_degree),
        )
        for space in spaces
    )


def degree_formula(format: str | Format) -> sympy.Expr:
    """The degree of a stack as a formula in the number of layers L (all gates active).

    A layer turns inputs of degree D into outputs of degree ``max (p D + q)`` over its monomials of degree p in ``x`` and q in
    ``x0``. Where one pair (p, q) is the largest at every D >= 1, the recurrence has the solution ``p^L + q (p^L - 1)/(p - 1)``
    started at D = 1, or ``1 + q L`` for p = 1.

    Raises:
        KeyError: unknown id.
        ValueError: a smooth activation, or no pair is the largest throughout.
    """
    chosen = get_format(format)
    diagrams, dim = Diagrams(2), divisor(chosen.expr)
    outputs = support(chosen.expr, [diagrams.variable(0)] * dim, x0=[diagrams.variable(1)] * dim)
    pairs = frozenset(reduce(or_, outputs))
    p, q = max(pairs)
    if any(other_p + other_q > p + q for other_p, other_q in pairs):
        raise ValueError(
            f"A closed form needs one monomial of largest degree at every depth, however: {chosen.id} has the degrees "
            f"(x, x0) {sorted(pairs)}; use growth."
        )
    power = sympy.Integer(p) ** L
    return 1 + q * L if p == 1 else power + q * (power - 1) / (p - 1)
