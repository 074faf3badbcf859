"""Sparse expansion over GF(p): multiply a stack out with random parameters and see which monomials survive.

This shares no code with the set rules of `support`. A monomial that survives is in the support for certain: its
coefficient, a polynomial in the parameters, is not zero modulo p. One that is missing is absent up to the error of Schwartz and
Zippel (schwartz1980fast): a non-zero polynomial of degree D vanishes at a random point of GF(p)^n with probability at most D/p.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint

from qnn_theory.algebra.monomials import Monomial
from qnn_theory.algebra.polynomials import PRIME
from qnn_theory.feature_spaces.degrees import degree_bound, degree_in, identity_on_pieces
from qnn_theory.grammar.evaluate import Scalar, evaluate
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.stacking import fill_parameters, layer_widths
from qnn_theory.registry import get_format

EXPANSION_LIMIT = 5_000_000
"""The largest possible number of terms, over all outputs, that `expand` takes on."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """The outcome of one expansion with random parameters.

    Attributes:
        per_coordinate: the monomials that survived, per output coordinate.
        prime: the modulus p.
        parameter_degree: largest degree D of a coefficient in the parameters.
        error_bound: upper bound of the probability that any monomial of the support is missing.
    """

    per_coordinate: tuple[frozenset[Monomial], ...]
    prime: int
    parameter_degree: int
    error_bound: Fraction


def expand(format: str | Format, *, dim: int, depth: int = 1, seed: int = 0, prime: int = PRIME) -> Expansion:
    """The monomials of a stack's outputs by sparse multiplication over GF(p), all gates active.

    Args:
        format: an id or a `Format`.
        dim: the input width d.
        depth: the number of layers.
        seed: seed of the random parameters.
        prime: the modulus, at least 2^31 - 1.

    Raises:
        KeyError: unknown id.
        ValueError: a width or depth the format cannot have, a smooth activation, too small a modulus, or more than
            `EXPANSION_LIMIT` possible terms.
    """
    chosen = get_format(format)
    widths = layer_widths(chosen, dim=dim, depth=depth)
    if prime < 2**31 - 1:
        raise ValueError(f"The modulus is a prime of at least 2^31 - 1, however: {prime}.")
    possible = _possible_terms(widths, degree_bound(chosen.expr, depth=depth))
    if possible is None:
        raise ValueError(
            f"An expansion holds at most {EXPANSION_LIMIT} terms, however: {chosen.id} at d={dim}, depth={depth} may have "
            f"more; use feature_space, which counts without listing."
        )
    ring = flint.nmod_mpoly_ctx.get([f"x_{i + 1}" for i in range(dim)], ordering="lex", modulus=prime)
    values: Sequence[Scalar] = ring.gens()
    first = values
    for layer in range(1, depth + 1):
        random_parameters = fill_parameters(
            chosen.expr,
            dim=widths[layer - 1],
            entry=_random_entries(chosen.id, layer=layer, seed=seed, prime=prime),
        )
        values = evaluate(
            chosen.expr,
            values,
            random_parameters,
            x0=first,
            activation=identity_on_pieces,
            constant=lambda factor: factor.numerator * pow(factor.denominator, -1, prime),
        )
    parameter_degree = degree_in(chosen, dim=dim, depth=depth, input_degree=0, parameter_degree=1)
    return Expansion(
        per_coordinate=tuple(frozenset(tuple(map(int, monomial)) for monomial in value.monoms()) for value in values),
        prime=prime,
        parameter_degree=parameter_degree,
        error_bound=Fraction(possible * parameter_degree, prime),
    )


def _possible_terms(widths: Sequence[int], degree: int) -> int | None:
    """How many terms the outputs can have together; None beyond `EXPANSION_LIMIT`, which may be far beyond counting."""
    dim = widths[0]
    if widths[-1] * max(dim, degree) > EXPANSION_LIMIT or min(dim, degree) > EXPANSION_LIMIT.bit_length():
        return None  # C(d + n, d) is at least d and n, and at least 2^min(d, n)
    possible = widths[-1] * math.comb(dim + degree, dim)
    return possible if possible <= EXPANSION_LIMIT else None


def _random_entries(format_id: str, *, layer: int, seed: int, prime: int) -> Any:
    """Random numbers modulo p that depend on the seed, the format and the layer only."""
    digest = hashlib.sha256(f"{format_id}|{layer}|{seed}".encode()).digest()
    generator = random.Random(int.from_bytes(digest, "big"))
    return lambda name, index: generator.randrange(1, prime)
