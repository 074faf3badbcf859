"""Separation by smoothness: a kink where all functions of the other format are smoother."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import flint

from qnn_theory.algebra.polynomials import Polynomial, from_flint, polynomial_text, rational_ring, to_flint, to_ring
from qnn_theory.grammar.expr import uses_activation
from qnn_theory.relations.invariants.kinks import has_affine_arguments, kinks, on_hyperplane
from qnn_theory.relations.invariants.pair import DRAWS, Entries, Pair, Separation, germ_at
from qnn_theory.relations.witness import entries_of, shrink, witness
from qnn_theory.smoothness_classes.smoothness import Analytic, smoothness


def by_smoothness(pair: Pair) -> Separation | None:
    """A kink of the source where the target is smoother."""
    if not uses_activation(pair.a):
        return None
    ours, theirs = smoothness(pair.source), smoothness(pair.target)
    if not ours.exact or isinstance(ours.order, Analytic) or not theirs.order > ours.order:
        return None
    order = ours.order
    smooth = "analytic" if isinstance(theirs.order, Analytic) else f"C^{theirs.order}"
    if not uses_activation(pair.b):
        smooth = "a polynomial"
    rule = f"every function of {pair.target.id} is {smooth}"
    # Limits of smoother functions may have kinks: silu(t u) / t tends to relu(u), (relu(u + t)^2 - relu(u)^2) / t to 2 relu(u).
    closed = not uses_activation(pair.b)
    (dim,) = pair.dims(2)
    if has_affine_arguments(pair.a):
        for attempt in range(DRAWS):
            entries = pair.draw(dim, attempt)
            found = _kink_of_order(pair, entries, dim, order)
            if found is not None:
                break
        else:
            return None
        kept = (
            shrink(entries, lambda some: _kink_of_order(pair, some, dim, order) is not None)
            if pair.minimal
            else entries
        )
        kink = _kink_of_order(pair, kept, dim, order)
        if kink is None:
            return None
        output, surface, jump = kink
        finding = (
            f"y_{output + 1} is C^{order} and no more: it gains {polynomial_text(jump)} across "
            f"{polynomial_text(surface)} = 0, which vanishes there to order {order + 1} only"
        )
        data = _along(output, surface, jump, dim, order)
        return pair.separation(
            "smoothness",
            rule,
            finding,
            witness(pair.source.expr, kept, dim=dim, outputs=[output]),
            [dim],
            closed=closed,
            data=data,
        )
    shown = ours.witness
    if shown is None:
        return None
    output = next(i for i, size in enumerate(shown.jump) if size)
    dim = len(shown.point)
    point = ", ".join(f"{float(value):.6g}" if not isinstance(value, Fraction) else str(value) for value in shown.point)
    direction = ", ".join(str(value) for value in shown.direction)
    where = f"along ({direction}) at x = ({point})"
    finding = f"derivative {shown.derivative} of y_{output + 1} {where} jumps by {shown.jump[output]}"
    exact = {entry: Fraction(value) for entry, value in entries_of(shown.parameters[0]).items()}
    numbers = [*shown.point, *shown.direction, shown.jump[output]]
    data = jump_data(output, shown.point, shown.direction, shown.derivative, shown.jump[output])
    return pair.separation(
        "smoothness",
        rule,
        finding,
        witness(pair.source.expr, exact, dim=dim, outputs=[output]),
        [dim],
        closed=closed,
        data=data if all(isinstance(number, int | Fraction) for number in numbers) else None,
    )


def _along(output: int, surface: Polynomial, jump: Polynomial, dim: int, order: int) -> dict[str, Any]:
    """By how much the derivative of order + 1 along an input jumps, at a point on the hyperplane."""
    axis = next(m.index(1) for m, c in surface.items() if c and sum(m))
    rising = surface[tuple(int(j == axis) for j in range(dim))] > 0
    line = flint.fmpq_poly([0, 1])
    generator = random.Random("smoothness")
    size = Fraction(0)
    while not size:  # only on a lower-dimensional part of the hyperplane does it not jump
        point = on_hyperplane(surface, axis, dim, generator)
        inputs = [to_flint(value) + line * int(j == axis) for j, value in enumerate(point)]
        along = sum(
            (
                to_flint(c) * math.prod((x**e for x, e in zip(inputs, m, strict=True)), start=line**0)
                for m, c in jump.items()
            ),
            start=0 * line,
        )
        size = from_flint(along[order + 1]) * math.factorial(order + 1) * (1 if rising else -1)
    return jump_data(output, point, [int(j == axis) for j in range(dim)], order + 1, size)


def jump_data(
    output: int, point: Sequence[Any], direction: Sequence[Any], derivative: int, jump: Any
) -> dict[str, Any]:
    """The jump of a derivative for the checker, with the places of the polynomials on both sides."""
    germs = [germ_at([output], point, [sign * step for step in direction]) for sign in (1, -1)]
    return {"rule": "smoothness", "germs": germs, "output": output, "derivative": derivative, "jump": str(jump)}


def _kink_of_order(pair: Pair, entries: Entries, dim: int, order: int) -> tuple[int, Polynomial, Polynomial] | None:
    """An output of the source's function that is C^order and no more across a hyperplane, with hyperplane and jump."""
    ring = rational_ring(dim)
    for surface, jumps in kinks(pair.source.expr, entries, dim):
        u = to_ring(ring, surface)
        for output, jump in enumerate(jumps):
            if any(jump.values()):
                quotient = divmod(to_ring(ring, jump), u ** (order + 2))
                if quotient[1] != 0:
                    return output, surface, jump
    return None
