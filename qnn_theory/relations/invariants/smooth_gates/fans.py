"""Separation by directions: more hyperplanes across which a function changes its tail than the target has gates."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction

from qnn_theory.algebra.polynomials import polynomial_text
from qnn_theory.feature_spaces.tails import tail
from qnn_theory.grammar.expr import uses_activation
from qnn_theory.relations.invariants.kinks import has_affine_gates, hyperplanes_data, relus_of_outputs
from qnn_theory.relations.invariants.pair import Entries, Pair, Separation
from qnn_theory.relations.invariants.smooth_gates.tails import directions_of, plain_values

_MONOMIALS = 130
_FAR = 10**6


def by_directions(pair: Pair) -> Separation | None:
    """Tails that change across more hyperplanes than an output of the target has gates."""
    if not (uses_activation(pair.a) and has_affine_gates(pair.a) and has_affine_gates(pair.b)):
        return None
    dims = pair.dims(3, 4)
    if not pair.is_small(dims[1], _MONOMIALS):
        return None
    found = [_more_changes(pair, dim) for dim in dims]
    if found[0] is None or found[1] is None:
        return None
    dim, output = dims[0], found[0]
    limit = len(relus_of_outputs(pair.b, dim)[output])

    def holds(some: Entries) -> bool:
        return len(_changes(pair, some, dim, output)) > limit

    shown = pair.shown(pair.draw(dim, 0, signed=True), holds, dim, [output])
    forms = [
        polynomial_text({tuple(int(i == j) for j in range(dim)): w for i, w in enumerate(normal) if w})
        for normal in _changes(pair, dict(shown.entries), dim, output)
    ]
    rule = (
        f"y_{output + 1} of {pair.target.id} depends on {limit} gate{'s' * (limit != 1)} of affine forms, so what a function "
        f"tends to far out changes across hyperplanes in at most {limit} direction{'s' * (limit != 1)}"
    )
    finding = f"what the witness tends to changes where {', '.join(forms)} change sign"
    planes = [[Fraction(0), *normal] for normal in _changes(pair, dict(shown.entries), dim, output)]
    data = hyperplanes_data(pair, planes, output, limit, far=True)
    return pair.separation("directions", rule, finding, shown, dims, closed=False, data=data)


def _more_changes(pair: Pair, dim: int) -> int | None:
    entries = pair.draw(dim, 0, signed=True)
    for output, gates in enumerate(relus_of_outputs(pair.b, dim)):
        if len(relus_of_outputs(pair.a, dim)[output]) > len(gates) < len(_changes(pair, entries, dim, output)):
            return output
    return None


def _changes(pair: Pair, entries: Entries, dim: int, output: int) -> list[tuple[Fraction, ...]]:
    """The normals of the hyperplanes through 0 across which, at some generic direction in them, the tail of an output changes."""
    normals = sorted(directions_of(pair, entries, dim, output))
    values = plain_values(pair, entries, dim)
    found = []
    for normal in normals:
        along = _along(normal)
        ends = [[_FAR * v + sign * w for v, w in zip(along, normal, strict=True)] for sign in (1, -1)]
        if any(_dot(other, ends[0]) * _dot(other, ends[1]) <= 0 for other in normals if other != normal):
            continue  # another hyperplane lies between the two
        upper, lower = (tail(pair.a, dim=dim, values=values, direction=end) for end in ends)
        if upper is not None and lower is not None and upper[output] != lower[output]:
            found.append(normal)
    return found


def _dot(first: Sequence[Fraction], second: Sequence[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(first, second, strict=True)), Fraction(0))


def _along(normal: tuple[Fraction, ...]) -> list[Fraction]:
    """A generic vector at right angles to a normal whose first entry that is not 0 is 1."""
    generator = random.Random("along")
    vector = [Fraction(generator.randint(1, 997), generator.randint(1, 97)) for _ in normal]
    axis = next(i for i, w in enumerate(normal) if w)
    vector[axis] = -sum((w * v for i, (w, v) in enumerate(zip(normal, vector, strict=True)) if i != axis), Fraction(0))
    return vector
