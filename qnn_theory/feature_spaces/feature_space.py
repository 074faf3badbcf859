"""The expanded feature space: the monomials of the input that a stack of layers puts into its outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import or_
from typing import Literal, TypeAlias

from qnn_theory.algebra.monomials import Diagrams, Monomial, MonomialSet
from qnn_theory.feature_spaces.degrees import degree_bound
from qnn_theory.feature_spaces.support import GateState, is_exact, support
from qnn_theory.grammar.expr import Expr, uses_activation
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.stacking import layer_widths
from qnn_theory.registry import get_format

LISTING_LIMIT = 2_000_000
"""The largest number of monomials that `FeatureSpace` lists; counting goes on to `COUNTING_LIMIT`."""

COUNTING_LIMIT = 40_000_000
"""The largest d² · degree³ that the set rules take on: about ten seconds."""

WIDTH_LIMIT = 500
"""The largest d that the set rules take on; they recurse once for each input."""

Piece: TypeAlias = Literal["everywhere", "all gates active", "one region"]


@dataclass(frozen=True, slots=True)
class FeatureSpace:
    """The monomials of a stack's outputs, for generic parameters (all but a set of measure zero).

    Monomials are exponent vectors over the d inputs; the constant monomial counts. A format with an activation is a polynomial
    on each linear region of its gates; unless told otherwise the space is that of the region where every gate is active, which
    for relu and prelu holds every monomial of every other region too (there, terms only drop out).

    Attributes:
        format_id: the format.
        dim: the input width d.
        depth: the number of layers.
        coordinates: the monomials of each output coordinate, countable at any size.
        piece: where the outputs are the polynomials in question.
        exact: whether the set rules cannot overcount (see `qnn_theory.feature_spaces.support`); every registered format is exact.
    """

    format_id: str
    dim: int
    depth: int
    coordinates: tuple[MonomialSet, ...]
    piece: Piece
    exact: bool

    @property
    def union(self) -> MonomialSet:
        """The monomials of all outputs together, countable at any size."""
        return reduce(or_, self.coordinates)

    @property
    def per_coordinate(self) -> tuple[frozenset[Monomial], ...]:
        """The monomials of each output coordinate, listed.

        Raises:
            ValueError: more than `LISTING_LIMIT` monomials.
        """
        self._check_listing(sum(coordinate.size for coordinate in set(self.coordinates)))
        listed = {coordinate: frozenset(coordinate) for coordinate in self.coordinates}
        return tuple(listed[coordinate] for coordinate in self.coordinates)

    @property
    def monomials(self) -> frozenset[Monomial]:
        """The monomials of all outputs together, listed.

        Raises:
            ValueError: more than `LISTING_LIMIT` monomials.
        """
        self._check_listing(self.dimension)
        return frozenset(self.union)

    @property
    def dimension(self) -> int:
        """How many monomials occur in some output; an exact count, also where listing is out of reach."""
        return self.union.size

    @property
    def degree(self) -> int:
        """The largest total degree; -1 when every output is zero."""
        return self.union.degree

    @property
    def counts(self) -> tuple[int, ...]:
        """How many monomials each output coordinate has."""
        return tuple(coordinate.size for coordinate in self.coordinates)

    @property
    def counts_by_degree(self) -> tuple[int, ...]:
        """How many monomials of degree 0, 1, 2, ... occur in some output."""
        return self.union.counts_by_degree

    @property
    def missing_by_degree(self) -> tuple[int, ...]:
        """How many of the C(d+n-1, n) monomials of each degree n = 0, 1, ..., `degree` no output has."""
        return tuple(math.comb(self.dim + n - 1, n) - count for n, count in enumerate(self.counts_by_degree))

    @property
    def has_constant(self) -> bool:
        """Whether some output has a constant term."""
        return (0,) * self.dim in self.union

    @property
    def divisible_by_own_input(self) -> bool:
        """Whether y_i is a multiple of x_i for every i, so that a zero input stays zero."""
        return len(self.coordinates) == self.dim and all(
            0 not in coordinate.exponents(i) for i, coordinate in enumerate(self.coordinates)
        )

    @property
    def has_squares(self) -> bool:
        """Whether some x_i² occurs."""
        union = self.union
        return any(tuple(2 * (i == j) for j in range(self.dim)) in union for i in range(self.dim))

    @property
    def has_cross_terms(self) -> bool:
        """Whether a monomial of at least two different inputs occurs."""
        pure = reduce(
            or_,
            (
                self.union.diagrams.single(tuple(exponent * (i == j) for j in range(self.dim)))
                for i in range(self.dim)
                for exponent in self.union.exponents(i) | {0}
            ),
        )
        return not self.union <= pure

    @property
    def only_even_exponents(self) -> bool:
        """Whether every input occurs with even exponents only, so that its sign is lost."""
        return all(exponent % 2 == 0 for i in range(self.dim) for exponent in self.union.exponents(i))

    @property
    def is_complete(self) -> bool:
        """Whether every monomial up to `degree` occurs in some output."""
        return not any(self.missing_by_degree)

    @property
    def missing(self) -> tuple[str, ...]:
        """What no output has, in words; empty when the space is complete."""
        absent = [f"degree {n}" for n, count in enumerate(self.counts_by_degree) if not count and n]
        partial = [
            f"{gap} of the {math.comb(self.dim + n - 1, n)} of degree {n}"
            for n, (gap, count) in enumerate(zip(self.missing_by_degree, self.counts_by_degree, strict=True))
            if gap and count
        ]
        statements = (
            ("no constant", not self.has_constant),
            (f"no monomial of {_listed(absent)}", bool(absent)),
            ("no square x_i²", self.degree >= 2 and not self.has_squares),
            ("no product of different inputs", self.degree >= 2 and self.dim > 1 and not self.has_cross_terms),
            ("no odd exponent", self.degree >= 2 and self.only_even_exponents),
            (f"lacks {_listed(partial)}", bool(partial)),
            ("every output y_i is divisible by its own input x_i", self.divisible_by_own_input),
        )
        return tuple(text for text, holds in statements if holds)

    def _check_listing(self, size: int) -> None:
        if size > LISTING_LIMIT:
            raise ValueError(
                f"Monomials are listed up to {LISTING_LIMIT}, however: {self.format_id} at d={self.dim}, "
                f"depth={self.depth} has {size}; use .dimension, .counts, .counts_by_degree or `monomial in space.union`."
            )


def feature_space(format: str | Format, *, dim: int, depth: int = 1) -> FeatureSpace:
    """The expanded feature space of a stack of layers by set rules (generic parameters, the piece where all gates are active).

    Layer l reads the output of layer l - 1, ``x0`` is the input of the stack, every layer has parameters of its own. Sets are
    kept as decision diagrams, so depth 3 at d = 8 is exact within seconds even where it holds 10^10 monomials.
    Checked against the expansion over GF(p) (`sparse_expansion`) and `sympy.expand` in tests/qnn_theory.

    Args:
        format: an id or a `Format`.
        dim: the input width d.
        depth: the number of layers.

    Raises:
        KeyError: unknown id.
        ValueError: a width or depth the format cannot have, a smooth activation, which is a polynomial on no region, or a size
            beyond `WIDTH_LIMIT` or `COUNTING_LIMIT`.
    """
    return _feature_space(get_format(format), dim, depth)


@lru_cache(maxsize=64)
def _feature_space(format: Format, dim: int, depth: int) -> FeatureSpace:
    widths = layer_widths(format, dim=dim, depth=depth)
    _check_size(format, max(widths), depth)
    diagrams = Diagrams(dim)
    coordinates = stack_support(format.expr, diagrams, patterns=[None] * depth)
    return FeatureSpace(
        format_id=format.id,
        dim=dim,
        depth=depth,
        coordinates=coordinates,
        piece="all gates active" if uses_activation(format.expr) else "everywhere",
        exact=is_exact(format.expr),
    )


def _check_size(format: Format, widest: int, depth: int) -> None:
    if widest > WIDTH_LIMIT:
        raise ValueError(
            f"Monomials are counted up to a width of {WIDTH_LIMIT}, however: {format.id} has {number_text(widest)}; "
            "use dimension_formula, the closed form in d."
        )
    degree = degree_bound(format.expr, depth=depth)
    if widest**2 * degree**3 > COUNTING_LIMIT:
        raise ValueError(
            f"Monomials are counted while d² · degree³ is at most {COUNTING_LIMIT}, however: {format.id} at d={widest}, "
            f"depth={depth} has degree {number_text(degree)}; use a smaller d, fewer layers, or degree_formula."
        )


def number_text(number: int) -> str:
    """An integer, or its size where it is too long to read."""
    bits = number.bit_length()
    return str(number) if bits <= 64 else f"about 2^{bits - 1}"


def stack_support(
    expr: Expr, diagrams: Diagrams, *, patterns: list[Iterator[GateState] | None]
) -> tuple[MonomialSet, ...]:
    """The supports of a stack's outputs, with one gate pattern per layer (None: every gate is active)."""
    first = [diagrams.variable(i) for i in range(diagrams.dim)]
    values = first
    for pattern in patterns:
        values = support(expr, values, x0=first, pattern=pattern)
    return tuple(values)


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
