"""Polynomial pieces of a layer, as coefficients.

On a region where no activation changes its branch, a layer of relu, relu6 and prelu is a polynomial in x. Two views of it:

* `piece`: the piece of one given function, around one point, in exact rational numbers.
* `random_pieces`: random members of a polynomial family that holds *every* piece of *every* function of a format: each
  activation is replaced by ``g ⊙ u + h`` with free g and h (relu is g in {0, 1} and h = 0). What is true of all members of the
  family is true of all pieces. Numbers are residues modulo p = 2^61 - 1; a polynomial property of degree D in the parameters
  that holds for a random member fails for some member only with probability D/p (schwartz1980fast).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import flint

from qnn_theory.algebra.polynomials import PRIME, Polynomial, from_flint, rational_ring, residue, residue_ring, to_flint
from qnn_theory.grammar.evaluate import ParameterValues, evaluate
from qnn_theory.grammar.expr import PIECEWISE, Activation, Expr, walk
from qnn_theory.grammar.stacking import fill_parameters, mapped_values
from qnn_theory.grammar.widths import width

Gates: TypeAlias = Callable[[Activation, int, Any], Any]
"""What an activation node does to the polynomial of one coordinate: (node, coordinate, argument) -> polynomial."""


def is_piecewise_polynomial(expr: Expr) -> bool:
    """Whether every activation of the layer is polynomial on each side of its kinks."""
    return all(node.kind in PIECEWISE for node in walk(expr) if isinstance(node, Activation))


def piece(
    expr: Expr,
    *,
    dim: int,
    values: ParameterValues,
    point: Sequence[Fraction],
    forced: Mapping[tuple[Activation, int], bool] | None = None,
) -> list[Polynomial] | None:
    """The polynomial that each output is near a point, or None where the point is on a kink.

    Args:
        expr: the layer.
        dim: its input width d.
        values: the parameter values, rational numbers.
        point: d coordinates.
        forced: activations (node and coordinate) to take on their upper or lower side whatever the point is.
    """
    ring = rational_ring(dim)
    on_kink = False

    def branch(node: Activation, index: int, value: Any) -> Any:
        nonlocal on_kink
        if forced is not None and (node, index) in forced:
            below = to_flint(values[str(node.slope)]) if node.kind == "prelu" else 0
            return value if forced[node, index] else value * below
        height = from_flint(value(*map(to_flint, point)))
        on_kink = on_kink or (height == 0 and value != 0) or (node.kind == "relu6" and height == 6)
        if node.kind == "prelu":
            return value if height > 0 else value * to_flint(values[str(node.slope)])
        if node.kind == "relu6" and height > 6:
            return 0 * value + 6
        return value if height > 0 else 0 * value

    outputs = _expand(expr, ring, dim, mapped_values(values, to_flint), branch, to_flint)
    return None if on_kink else [{m: from_flint(c) for m, c in f.items()} for f in outputs]


def random_pieces(
    expr: Expr,
    *,
    dim: int,
    seed: str,
    gates: Callable[[random.Random], Gates] | None = None,
) -> list[Polynomial]:
    """One random member of the family that holds every piece; one polynomial an output, coefficients modulo `PRIME`.

    Args:
        expr: the layer.
        dim: its input width d.
        seed: what the random numbers depend on.
        gates: replaces the free ``g ⊙ u + h``, to look at one activation at a time; gets the source of random numbers.
    """
    generator = random.Random(seed)
    ring = residue_ring(dim)
    free: dict[tuple[Activation, int], tuple[int, int]] = {}

    def relaxed(node: Activation, index: int, value: Any) -> Any:
        g, h = free.setdefault((node, index), (generator.randrange(1, PRIME), generator.randrange(1, PRIME)))
        return g * value + (h if node.kind == "relu6" else 0)

    values = fill_parameters(expr, dim=dim, entry=lambda name, index: generator.randrange(1, PRIME))
    return _expand(expr, ring, dim, values, gates(generator) if gates else relaxed, residue)


def constant_piece(expr: Expr, *, dim: int) -> list[Polynomial]:
    """The function at all parameters zero, modulo `PRIME`: what the format adds to every function, usually the residual x."""
    zeros = fill_parameters(expr, dim=dim, entry=lambda name, index: 0)
    return _expand(expr, residue_ring(dim), dim, zeros, lambda node, index, value: 0 * value, residue)


def indexed(expr: Expr, dim: int, gates: Gates) -> Callable[[Activation, Any, ParameterValues], Any]:
    """An activation rule for `evaluate` that knows which coordinate it is at (a node's coordinates come in order)."""
    seen: dict[Activation, int] = {}
    widths = {node: int(width(node) * dim) for node in walk(expr) if isinstance(node, Activation)}

    def rule(node: Activation, value: Any, values: ParameterValues) -> Any:
        count = seen.get(node, 0)
        seen[node] = count + 1
        return gates(node, count % widths[node], value)

    return rule


def _expand(
    expr: Expr,
    ring: Any,
    dim: int,
    values: Mapping[str, Any],
    gates: Gates,
    constant: Callable[[Fraction], Any],
) -> list[Polynomial]:
    zero = 0 * ring.gens()[0]
    outputs = evaluate(
        expr,
        ring.gens(),
        values,
        activation=indexed(expr, dim, lambda node, index, value: gates(node, index, value + zero)),
        constant=constant,
    )
    return [
        {tuple(map(int, m)): int(c) if isinstance(c, flint.nmod) else c for m, c in (f + zero).to_dict().items()}
        for f in outputs
    ]
