"""What follows from relations with a third format: a ⊆ m ⊆ b gives a ⊆ b, and a ⊇ s ⊄ t ⊇ b gives a ⊄ b.

The third formats are the registered ones. One counts only if it admits every d that both formats admit.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from qnn_theory.grammar.evaluate import evaluate, relu_of_numbers
from qnn_theory.grammar.expr import Activation, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import rolled_values, unrolled_values
from qnn_theory.grammar.widths import divisor, parameters, width
from qnn_theory.relations.certificates import CarriedSeparation, Containment, Direction
from qnn_theory.relations.containment.parameter_map import AnyMap, Constant
from qnn_theory.relations.containment.proof import MapProof
from qnn_theory.relations.invariants.pair import Separation
from qnn_theory.relations.witness import Witness, entries_of, witness

Decide: TypeAlias = Callable[[Format, Format], Direction]

_EXACT = ("relu", "relu6", "prelu")


@dataclass(frozen=True, slots=True)
class ComposedMap:
    """One parameter map after another: the first gives the parameters of the format in between."""

    maps: tuple[AnyMap, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines of all maps, in order; a name is that of the format of its step."""
        return tuple(f"step {k}: {line}" for k, one in enumerate(self.maps, start=1) for line in one.lines)

    @property
    def entry_degree(self) -> int:
        """The largest degree of an entry in the source's parameters."""
        return math.prod(max(one.entry_degree, 1) for one in self.maps)

    def apply(
        self, values: Mapping[str, Any], *, dim: int, constant: Constant = lambda number: number
    ) -> dict[str, Any]:
        """The target's parameter values, as nested lists."""
        result = dict(values)
        for one in self.maps:
            result = one.apply(result, dim=dim, constant=constant)
        return result


def chain(*links: Containment) -> Containment:
    """The containment that follows from two or more, each of which is proved."""
    flat = [step for link in links for step in (link.links or (link,))]
    proofs = [link.proof for link in links]
    return Containment(
        source=links[0].source,
        target=links[-1].target,
        map=ComposedMap(tuple(link.map for link in flat)),
        proof=MapProof(
            symbolic_dims=proofs[-1].symbolic_dims,
            modular_dims=proofs[-1].modular_dims,
            error_bound=sum(proof.error_bound for proof in proofs),
        ),
        gates=tuple(dict.fromkeys(gate for link in flat for gate in link.gates)),
        links=tuple(flat),
    )


def by_transitivity(
    source: Format, target: Format, known: Decide, between: Sequence[Format]
) -> Containment | Separation | None:
    """What the formats in between say about a pair, or None.

    Args:
        source: the format that may be contained.
        target: the format that may contain it.
        known: decides a pair without this function.
        between: the formats to ask.
    """
    step = math.lcm(divisor(source.expr), divisor(target.expr))
    others = [
        m
        for m in between
        if m.expr not in (source.expr, target.expr)
        and width(m.expr) == width(source.expr) == width(target.expr)
        and step % divisor(m.expr) == 0
    ]
    above = {m.id: link for m in others if isinstance(link := known(source, m), Containment)}
    for m in others:
        if m.id in above and isinstance(last := known(m, target), Containment):
            return chain(above[m.id], last)
    inside = [(m, link) for m in others if isinstance(link := known(m, source), Containment)]
    outside = [(m, link) for m in others if isinstance(link := known(target, m), Containment)]
    lower: list[tuple[Format, Containment | None]] = [(source, None), *inside]
    upper: list[tuple[Format, Containment | None]] = [(target, None), *outside]
    for s, below in lower:
        for t, over in upper:
            if (below is None and over is None) or s.id == t.id:
                continue
            apart = known(s, t)
            if isinstance(apart, Separation):
                found = carry(source, target, s, apart, below, over)
                if found is not None:
                    return found
    return None


def carry(
    source: Format,
    target: Format,
    lower: Format,
    apart: Separation,
    below: Containment | None,
    above: Containment | None,
) -> CarriedSeparation | None:
    """Take s ⊄ t for a separation of a ⊇ s from b ⊆ t, its function written in the parameters of a.

    None where the d of the function is none of a's, or where the function cannot be written so.
    """
    step = math.lcm(divisor(source.expr), divisor(target.expr))
    shown = apart.witness
    if any(dim % step for dim in apart.dims):
        return None
    if shown is not None and below is not None:
        shown = _moved(source, lower, shown, below)
        if shown is None:
            return None
    return CarriedSeparation(
        source=source.id,
        target=target.id,
        invariant=apart.invariant,
        rule=apart.rule if above is None else f"{apart.rule}; {target.id} has no other functions than {above.target}",
        finding=apart.finding if below is None else f"{apart.finding}; {source.id} has every function of {lower.id}",
        witness=shown,
        dims=apart.dims,
        closed=apart.closed,
        grows=apart.grows,
        carried=apart,
        below=below,
        above=above,
    )


def _moved(source: Format, lower: Format, shown: Witness, below: Containment) -> Witness | None:
    """The function of a smaller format as one of the source, with the source's parameters; they must be rational numbers."""
    dim = shown.dim
    if dim % divisor(source.expr) or below.gates:
        return None
    values = shown.values(lower.expr)
    mapped = below.map.apply(unrolled_values(lower.expr, values), dim=dim)
    mapped |= {p.name: _zeros(p.shape(dim)) for p in parameters(source.expr) if p.rows is None and p.name not in mapped}
    own = rolled_values(source.expr, mapped)
    if not _agree(lower, values, source, own, dim):
        return None
    entries = {entry: Fraction(value) for entry, value in entries_of(own).items()}
    return witness(source.expr, entries, dim=dim, outputs=[output for output, _ in shown.outputs])


def _agree(lower: Format, values: Mapping[str, Any], source: Format, own: Mapping[str, Any], dim: int) -> bool:
    """Whether both are the same function at random points; not asked of activations without exact values."""
    kinds = {n.kind for expr in (lower.expr, source.expr) for n in walk(expr) if isinstance(n, Activation)}
    if not kinds <= set(_EXACT):
        return True
    generator = random.Random("carried")
    for _ in range(4):
        point = [Fraction(generator.randint(-9, 9), 2) for _ in range(dim)]
        ours, theirs = (
            evaluate(format.expr, point, given, activation=relu_of_numbers)
            for format, given in ((lower, values), (source, own))
        )
        if ours != theirs:
            return False
    return True


def _zeros(shape: tuple[int, ...]) -> Any:
    return [_zeros(shape[1:]) for _ in range(shape[0])] if shape else Fraction(0)
