"""Separation by equations: parameters that would have to solve polynomial equations without a solution."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import flint

from qnn_theory.algebra.deadline import check, limit
from qnn_theory.algebra.polynomials import monomial_text, to_flint
from qnn_theory.feature_spaces.degrees import term_bound
from qnn_theory.grammar.evaluate import evaluate
from qnn_theory.grammar.expr import uses_activation
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.grammar.widths import width
from qnn_theory.relations.invariants.pair import Entries, Pair, Separation, generic_point, germ_at
from qnn_theory.relations.witness import entry_text

_TERMS = 100_000
_BASIS_LIMITS = (150, 150, 2048)  # length of the basis, length of a polynomial, bits of a coefficient


def by_equations(pair: Pair) -> Separation | None:
    """One polynomial whose coefficients, as equations in the target's parameters, contradict each other."""
    if uses_activation(pair.a) or uses_activation(pair.b):
        return None
    (dim,) = pair.dims(4)
    if term_bound(pair.b, dim=dim) > limit(_TERMS, per_second=5_000):
        return None
    count = int(width(pair.b) * dim)
    for outputs in ((0,), (1,), (0, count // 2)):
        entries = pair.draw(dim, 0)
        equations = _equations(pair, entries, dim, outputs)
        if equations is None or not equations.contradictory(equations.all):
            continue

        def holds(some: Entries, outputs: tuple[int, ...] = outputs) -> bool:
            now = _equations(pair, some, dim, outputs)
            return now is not None and now.contradictory(now.all)

        shown = pair.shown(entries, holds, dim, outputs)
        equations = _equations(pair, dict(shown.entries), dim, outputs)
        if equations is None:
            return None
        needed = equations.minimal() if pair.minimal else equations.all
        lines = ", ".join(f"{equations.text(k)} (at {equations.labels[k]})" for k in needed)
        rule = f"parameters of {pair.target.id} with this function would have to satisfy {lines}"
        finding = "these equations have no solution, not even in complex numbers: the ideal they generate contains 1"
        places = [[output, list(monomial)] for output, monomial in (equations.places[k] for k in needed)]
        data = {"rule": "equations", "germs": [germ_at(outputs, generic_point(dim))], "equations": places}
        return pair.separation("equations", rule, finding, shown, [dim], closed=False, data=data)
    return None


class _Equations:
    """Polynomial equations ``p_k = 0`` in a format's parameters, with the coefficient that each is about."""

    def __init__(
        self,
        ring: Any,
        names: Mapping[str, str],
        polynomials: Sequence[Any],
        places: Sequence[tuple[int, tuple[int, ...]]],
    ) -> None:
        self.ring, self.names, self.polynomials, self.places = ring, names, polynomials, places
        self.labels = [_label(*place) for place in places]
        self.all = list(range(len(polynomials)))

    def contradictory(self, some: Sequence[int]) -> bool:
        """Whether the ideal of these equations contains 1."""
        check()
        chosen = [self.polynomials[k] for k in some if self.polynomials[k] != 0]
        if not chosen:
            return False
        basis: Any = flint.fmpz_mpoly_vec(chosen, self.ring).buchberger_naive(limits=_BASIS_LIMITS)[0]
        return any(basis[k].is_constant() and basis[k] != 0 for k in range(len(basis)))

    def minimal(self) -> list[int]:
        """A contradictory selection that no equation can be left out of."""
        kept = list(self.all)
        for k in self.all:
            fewer = [j for j in kept if j != k]
            if self.contradictory(fewer):
                kept = fewer
        return kept

    def text(self, k: int) -> str:
        """The equation with the parameters' own names."""
        polynomial = self.polynomials[k]
        constant = int(polynomial.to_dict().get((0,) * len(self.names), 0))
        text = str(polynomial - constant)
        for short in sorted(self.names, key=lambda name: -int(name[1:])):
            text = text.replace(short, self.names[short])
        return f"{text} = {-constant}"


def _equations(pair: Pair, entries: Entries, dim: int, outputs: Sequence[int]) -> _Equations | None:
    """What the target's parameters must satisfy so that these outputs are those of the source's function."""
    polynomials = pair.piece(entries, dim)
    if polynomials is None:
        return None
    names: dict[str, str] = {}

    def name_of(name: str, index: tuple[int, ...]) -> str:
        short = f"p{len(names)}"
        names[short] = entry_text(name, index)
        return short

    shorts = fill_parameters(pair.b, dim=dim, entry=name_of)
    mixed = flint.fmpq_mpoly_ctx.get([*(f"x_{i}" for i in range(dim)), *names], "degrevlex")
    generators = dict(zip(mixed.names(), mixed.gens(), strict=True))

    def as_generators(value: Any) -> Any:
        return [as_generators(part) for part in value] if isinstance(value, list) else generators[value]

    results = evaluate(
        pair.b,
        mixed.gens()[:dim],
        {name: as_generators(value) for name, value in shorts.items()},
        constant=to_flint,
    )
    ring = flint.fmpz_mpoly_ctx.get(list(names), "degrevlex")
    found, places = [], []
    for output in outputs:
        by_monomial: dict[tuple[int, ...], dict[tuple[int, ...], Fraction]] = {}
        for exponents, coefficient in (results[output] + 0 * mixed.gens()[0]).to_dict().items():
            monomial, rest = tuple(map(int, exponents[:dim])), tuple(map(int, exponents[dim:]))
            by_monomial.setdefault(monomial, {})[rest] = Fraction(int(coefficient.p), int(coefficient.q))
        for monomial in {*by_monomial, *polynomials[output]}:
            terms = dict(by_monomial.get(monomial, {}))
            constant = (0,) * len(names)
            terms[constant] = terms.get(constant, Fraction(0)) - polynomials[output].get(monomial, Fraction(0))
            scale = math.lcm(*(c.denominator for c in terms.values()))
            found.append(ring.from_dict({m: int(c * scale) for m, c in terms.items() if c}))
            places.append((output, monomial))
    order = sorted(range(len(found)), key=lambda k: _label(*places[k]))
    return _Equations(ring, names, [found[k] for k in order], [places[k] for k in order])


def _label(output: int, monomial: tuple[int, ...]) -> str:
    return f"{monomial_text(monomial)} in y_{output + 1}"
