"""Whether every stack of L layers of one format is one of another: ``F_a^L ⊆ F_b^L``.

Each layer has parameters of its own, ``x0`` is the input of the stack. A map that makes one layer of b one of a makes a stack of
b one of a, layer by layer; where either reads ``x0``, the map must hold for an ``x0`` that has nothing to do with x, as in all
layers but the first. Signs may alternate between layers. Otherwise stacks are separated, or related as two formats within the
budget.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any, TypeAlias

from qnn_theory.algebra.deadline import BudgetSpentError
from qnn_theory.algebra.deadline import budget as within
from qnn_theory.grammar.expr import Input, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.stacking import layer_widths
from qnn_theory.grammar.widths import smallest_width, width
from qnn_theory.registry import is_registered
from qnn_theory.relations.certificates import Containment, Direction, Undecided
from qnn_theory.relations.containment.parameter_map import AnyMap, Assignment, Combination, Constant, ParameterMap
from qnn_theory.relations.containment.terms import Term
from qnn_theory.relations.invariants.pair import Separation
from qnn_theory.relations.stacks.separations import find_stack_separation
from qnn_theory.relations.stacks.stacked import (
    in_layer,
    of_layer,
    one_layer,
    reads_first_input,
    reads_input,
    stacked,
    suffixes,
    with_own_first_input,
    with_signs,
)
from qnn_theory.relations.uniform import is_uniform

Decide: TypeAlias = Callable[[Format, Format, float | None], Direction]
"""Whether one layer of a format is contained in another, within a budget in seconds."""

DEPTH_LIMIT = 12
"""The largest number of layers that are compared."""

SIZE_LIMIT = 3_000
"""The largest number of places where a written-out stack reads x."""

_SIGNED_LAYERS = 6
"""The layers between which signs are tried."""


@dataclass(frozen=True, slots=True)
class LayerwiseMap:
    """A map for every layer.

    Attributes:
        layers: from the parameters of a layer of the source to those of the target.
        source: the suffixes of the source's parameters, layer by layer.
        target: those of the target's.
        widths: the input width of each layer, as a multiple of d.
        doubled: whether the maps are of layers that read ``x | x0``, of twice the width.
    """

    layers: tuple[AnyMap, ...]
    source: tuple[str, ...]
    target: tuple[str, ...]
    widths: tuple[Fraction, ...]
    doubled: bool

    @property
    def lines(self) -> tuple[str, ...]:
        """The layers' lines."""
        if len({layer.lines for layer in self.layers}) == 1:
            return tuple(f"in every layer {line}" for line in self.layers[0].lines)
        return tuple(f"in layer {k} {line}" for k, layer in enumerate(self.layers, start=1) for line in layer.lines)

    @property
    def entry_degree(self) -> int:
        """The largest of the layers' maps."""
        return max(layer.entry_degree for layer in self.layers)

    def apply(
        self, values: Mapping[str, Any], *, dim: int, constant: Constant = lambda number: number
    ) -> dict[str, Any]:
        """The target's parameters, of all layers."""
        found: dict[str, Any] = {}
        for layer, ours, theirs, factor in zip(self.layers, self.source, self.target, self.widths, strict=True):
            own = {inner: value for name, value in values.items() if (inner := of_layer(name, ours)) is not None}
            size = int(dim * factor) * (2 if self.doubled else 1)
            found |= {in_layer(k, theirs): v for k, v in layer.apply(own, dim=size, constant=constant).items()}
        return found

    def written_out(self) -> ParameterMap | None:
        """The map of the stacks as formats, or None where a layer's is of a kind that cannot be renamed."""
        if self.doubled or set(self.widths) != {Fraction(1)}:
            return None
        assignments: list[Assignment] = []
        for layer, ours, theirs in zip(self.layers, self.source, self.target, strict=True):
            renamed = _renamed(layer, ours, theirs)
            if renamed is None:
                return None
            assignments += renamed
        return ParameterMap(tuple(assignments))


@dataclass(frozen=True, slots=True, kw_only=True)
class StackContainment(Containment):
    """Every stack of the source is one of the target, layer by layer.

    Attributes:
        signs: c_0, ..., c_L, from 1 to 1: layer l of the target times c_l is layer l of the source at c_(l-1) times its input.
    """

    signs: tuple[int, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The maps, and their proof."""
        doubled = isinstance(self.map, LayerwiseMap) and self.map.doubled
        inputs = "inputs, x0 being any vector," if doubled else "inputs"
        symbolic, modular = (", ".join(map(str, dims)) for dims in (self.proof.symbolic_dims, self.proof.modular_dims))
        what = f"each layer of {self.target} is that of {self.source}"
        if set(self.signs) != {1}:
            what = (
                f"with signs c = {', '.join(map(str, self.signs))}, c_l times layer l of {self.target} is layer l of "
                f"{self.source} at c_(l-1) times its input, so the signs cancel between the layers"
            )
        return (
            f"put into {self.target}: {'; '.join(self.map.lines)}",
            *dict.fromkeys(gate.text for gate in self.gates),
            f"then {what}, for all parameters and {inputs}: multiplied out with all of them as indeterminates at a width of "
            f"{symbolic}, and evaluated at random points at {modular} (chance of an error below "
            f"{max(self.proof.error_bound, 1e-99):.0e}); every formula reads the same at every d",
        )


def decide_stacks(
    source: Format, target: Format, depth: int, decide: Decide, *, minimal: bool, budget: float | None, thorough: bool
) -> Direction:
    """Whether every stack of the source is one of the target.

    Args:
        source: the format of every layer of the stacks that may be contained.
        target: that of the stacks that may contain them.
        depth: the number of layers, at least 2.
        decide: decides whether one layer is contained in another.
        minimal: make the witness of a separation sparse.
        budget: seconds; None is as many as it takes. What is quick takes none of it for registered formats.
        thorough: where nothing quick decides, relate the stacks as two formats, written out, too.
    """
    a, b = stacked(source, depth), stacked(target, depth)
    started = time.monotonic()
    if not (reads_input(source.expr) and reads_input(target.expr)):
        return decide(a, b, budget)
    quick = None if is_registered(source) and is_registered(target) else budget
    lifted = _lifted(source, target, depth, decide, quick)
    if lifted is not None:
        return lifted
    if not (is_uniform(a.expr) and is_uniform(b.expr)):
        return Undecided(source=a.id, target=b.id)
    left = None if quick is None else max(quick - (time.monotonic() - started), 0.0)
    found: Separation | None = None
    try:
        with within(left):
            found = find_stack_separation(source, target, depth, minimal=minimal)
    except BudgetSpentError:
        return Undecided(source=a.id, target=b.id, budget=budget)
    if found is not None:
        return found
    if thorough:
        # Stacks written out are slow to search, and the other direction needs time too.
        return decide(a, b, None if budget is None else budget / 4)
    return Undecided(source=a.id, target=b.id)


def _lifted(source: Format, target: Format, depth: int, decide: Decide, budget: float | None) -> Direction | None:
    """Maps of layers as one of stacks, or None where there are none that lift."""
    apart = reads_first_input(source.expr) or reads_first_input(target.expr)
    started = time.monotonic()

    @cache
    def layer_map(sign: int, then: int) -> Direction:
        """Whether the source at `sign` times its input is `then` times the target."""
        left = None if budget is None else max(budget - (time.monotonic() - started), 0.0)
        first, second = with_signs(source, sign, 1), with_signs(target, 1, then)
        if apart:
            first, second = with_own_first_input(first), with_own_first_input(second)
        return decide(first, second, left)

    for signs in _signs(depth):
        found: list[Containment] = []
        for pair in itertools.pairwise(signs):
            step = layer_map(*pair)
            if not isinstance(step, Containment):
                break
            found.append(step)
        if len(found) == depth:
            break
    else:
        return None
    factor = width(source.expr)
    return StackContainment(
        source=stacked(source, depth).id,
        target=stacked(target, depth).id,
        map=LayerwiseMap(
            layers=tuple(step.map for step in found),
            source=suffixes(source, depth),
            target=suffixes(target, depth),
            widths=tuple(factor**k for k in range(depth)),
            doubled=apart,
        ),
        proof=max((step.proof for step in found), key=lambda proof: proof.error_bound),
        gates=tuple(dict.fromkeys(gate for step in found for gate in step.gates)),
        signs=signs,
    )


def _signs(depth: int) -> list[tuple[int, ...]]:
    """All signs from 1 to 1, the fewest changes first."""
    between = itertools.product((1, -1), repeat=min(depth, _SIGNED_LAYERS) - 1)
    every = [(1, *signs, *(1,) * (depth - len(signs))) for signs in between]
    return sorted(every, key=lambda signs: sum(a != b for a, b in itertools.pairwise(signs)))


def _renamed(layer: AnyMap, ours: str, theirs: str) -> list[Assignment] | None:
    if not isinstance(layer, ParameterMap):
        return None
    result = []
    for assignment in layer.assignments:
        formulas = [f for row in assignment.blocks for part in row for _, f in part.terms]
        if not all(isinstance(f.compute, Term) for f in formulas):
            return None
        blocks = tuple(
            tuple(
                Combination(tuple((c, replace(f, compute=_term(f.compute, ours))) for c, f in part.terms))
                for part in row
            )
            for row in assignment.blocks
        )
        name = in_layer(assignment.parameter.name, theirs)
        result.append(Assignment(replace(assignment.parameter, name=name), blocks))
    return result


def _term(term: Any, suffix: str) -> Any:
    """A term of the stack's parameters in place of the layer's."""
    if not isinstance(term, Term):
        return term
    if term.operation == "parameter":
        return Term("parameter", (in_layer(str(term.arguments[0]), suffix),))
    return Term(term.operation, tuple(_term(argument, suffix) for argument in term.arguments))


def check_depth(format: Format, depth: int) -> None:
    """Reject a depth that a format cannot have.

    Raises:
        ValueError: see `layer_widths`; or a stack beyond `DEPTH_LIMIT` or `SIZE_LIMIT`.
    """
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise ValueError(f"The depth is a positive integer, however: depth={depth!r}.")
    layer_widths(format, dim=smallest_width(format.expr, 2), depth=depth)
    if depth == 1:
        return
    if depth > DEPTH_LIMIT:
        raise ValueError(f"Stacks are related up to {DEPTH_LIMIT} layers, however: depth={depth}; use fewer layers.")
    reads = sum(isinstance(node, Input) for node in walk(one_layer(format).expr))
    if reads**depth > SIZE_LIMIT:
        raise ValueError(
            f"A stack is written out with at most {SIZE_LIMIT} occurrences of x, however: {format.id} at depth={depth} has "
            f"{reads}^{depth}; use fewer layers."
        )
