"""Two stacks, and what the invariants of stacks share: polynomial pieces layer by layer, on a subspace of the inputs.

Both stacks are formats too (`stacked`), in whose parameters witnesses are written; what is computed here gives the same numbers
without writing the whole expression out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import flint

from qnn_theory.algebra.deadline import check
from qnn_theory.algebra.polynomials import PRIME, Polynomial, from_flint, residue, to_flint
from qnn_theory.feature_spaces.degrees import degree_bound
from qnn_theory.feature_spaces.pieces import indexed
from qnn_theory.grammar.evaluate import evaluate
from qnn_theory.grammar.expr import Activation
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.stacking import layer_widths, mapped_values
from qnn_theory.grammar.widths import parameters
from qnn_theory.relations.invariants.pair import Entries, Pair
from qnn_theory.relations.stacks.stacked import in_layer, one_layer, stacked, suffixes
from qnn_theory.relations.witness import Witness, nested, shrink, witness

Gate: TypeAlias = Callable[[int, Activation, int, Any], Any]
"""(layer, node, coordinate, argument) -> what the activation makes of it."""

_WRITTEN_ENTRIES = 16
_WRITTEN_DEGREE = 27
"""Functions of at most so many parameters that are not zero, and of such a degree, are written out."""


class StackPair(Pair):
    """Two stacks of one depth, as the two formats that `stacked` makes of them.

    Args:
        source: the format of every layer of the first stack.
        target: that of the second one.
        depth: the number of layers.
        minimal: make witnesses sparse.
    """

    def __init__(self, source: Format, target: Format, depth: int, minimal: bool) -> None:
        super().__init__(stacked(source, depth), stacked(target, depth), minimal)
        self.layers = source, target
        self.depth = depth

    def shown(self, entries: Entries, holds: Callable[[Entries], bool], dim: int, outputs: Sequence[int]) -> Witness:
        """As `Pair.shown`, the formula written out where it is short."""
        kept = {e: value for e, value in (shrink(entries, holds) if self.minimal else entries).items() if value}
        degree = degree_bound(self.layers[0].expr, depth=self.depth)
        if len(kept) <= _WRITTEN_ENTRIES and degree <= _WRITTEN_DEGREE:
            return witness(self.source.expr, kept, dim=dim, outputs=outputs)
        text = f"the stack's function, of degree {degree} at most"
        return Witness(
            dim=dim, entries=tuple(sorted(kept.items())), outputs=tuple((output, text) for output in outputs)
        )

    def source_piece(self, entries: Entries, directions: Sequence[Sequence[int]]) -> list[Polynomial] | None:
        """The piece of the source's function near x = Σ s_j directions[j] with every s_j > 0, as polynomials in s.

        None where that point is on a kink.
        """
        dim = len(directions[0])
        ring = flint.fmpq_mpoly_ctx.get([f"s_{j + 1}" for j in range(len(directions))], "degrevlex")
        point = [flint.fmpq(2 * j + 3, 2) for j in range(len(directions))]
        on_kink = False
        values = nested(self.source.expr, entries, dim=dim)

        def rule(layer: int, node: Activation, index: int, value: Any) -> Any:
            nonlocal on_kink
            value = value + 0 * ring.gens()[0]
            height = from_flint(value(*point))
            on_kink = on_kink or height == 0 or (node.kind == "relu6" and height == 6)
            if node.kind == "prelu":
                slope = values[in_layer(str(node.slope), suffixes(self.layers[0], self.depth)[layer])]
                return value if height > 0 else value * to_flint(slope)
            if node.kind == "relu6" and height > 6:
                return 0 * value + 6
            return value if height > 0 else 0 * value

        outputs = run(
            self.layers[0], mapped_values(values, to_flint), _inputs(ring, directions), self.depth, rule, to_flint
        )
        if on_kink:
            return None
        zero = 0 * ring.gens()[0]
        return [{tuple(map(int, m)): from_flint(c) for m, c in (f + zero).to_dict().items()} for f in outputs]

    def target_member(self, seed: str, directions: Sequence[Sequence[int]]) -> list[Polynomial]:
        """A random member of the polynomial family that holds every piece of the target, coefficients modulo `PRIME`."""
        check()
        return random_member(self.layers[1], self.depth, seed, directions)


def random_member(
    format: Format,
    depth: int,
    seed: str,
    directions: Sequence[Sequence[int]],
    *,
    gates: Callable[[random.Random], Gate] | None = None,
) -> list[Polynomial]:
    """As `pieces.random_pieces`, for a stack: activations are ``g ⊙ u + h`` with free g, and free h where they saturate."""
    dim = len(directions[0])
    generator = random.Random(seed)
    ring = flint.nmod_mpoly_ctx.get([f"s_{j + 1}" for j in range(len(directions))], modulus=PRIME, ordering="degrevlex")
    free: dict[tuple[int, Activation, int], tuple[int, int]] = {}

    def rule(layer: int, node: Activation, index: int, value: Any) -> Any:
        key = layer, node, index
        if key not in free:
            free[key] = generator.randrange(1, PRIME), generator.randrange(1, PRIME)
        g, h = free[key]
        return g * value + (h if node.kind == "relu6" else 0)

    values: dict[str, Any] = {}
    for suffix, own in zip(suffixes(format, depth), layer_widths(format, dim=dim, depth=depth), strict=False):
        for p in parameters(one_layer(format).expr):
            values[in_layer(p.name, suffix)] = _random(p.shape(own), generator)
    chosen = gates(generator) if gates else rule
    outputs = run(format, values, _inputs(ring, directions), depth, chosen, residue)
    zero = 0 * ring.gens()[0]
    return [{tuple(map(int, m)): int(c) for m, c in (f + zero).to_dict().items()} for f in outputs]


def run(
    format: Format,
    values: Mapping[str, Any],
    inputs: Sequence[Any],
    depth: int,
    rule: Gate,
    constant: Callable[[Fraction], Any],
) -> list[Any]:
    """The outputs of a stack, layer by layer.

    Args:
        format: the format of every layer.
        values: the parameters under their names with suffix.
        inputs: the stack's inputs.
        depth: the number of layers.
        rule: what activations do.
        constant: turns rational numbers into scalars.
    """
    current, expr = list(inputs), one_layer(format).expr
    for layer, suffix in enumerate(suffixes(format, depth)):
        check()
        own = {p.name: values[in_layer(p.name, suffix)] for p in parameters(expr)}

        def gate(node: Activation, index: int, value: Any, layer: int = layer) -> Any:
            return rule(layer, node, index, value)

        current = evaluate(
            expr,
            current,
            own,
            x0=inputs,
            activation=indexed(expr, len(current), gate),
            constant=constant,
        )
    return current


def axes(dim: int, count: int) -> tuple[tuple[int, ...], ...]:
    """The first unit vectors: x_1, ..., x_count are free, the other inputs are 0."""
    return tuple(tuple(int(i == j) for i in range(dim)) for j in range(count))


def _inputs(ring: Any, directions: Sequence[Sequence[int]]) -> list[Any]:
    zero = 0 * ring.gens()[0]
    return [
        sum((direction[i] * s for direction, s in zip(directions, ring.gens(), strict=True) if direction[i]), zero)
        for i in range(len(directions[0]))
    ]


def _random(shape: tuple[int, ...], generator: random.Random) -> Any:
    return [_random(shape[1:], generator) for _ in range(shape[0])] if shape else generator.randrange(1, PRIME)
