"""A format with everything an indeterminate over the rationals: its parameters, the inputs, and what activations do.

For relu, ``relu(u) = g u`` with the indicator ``g`` of u > 0, one for all arguments that are positive multiples of each other
and ``1 - g`` for the negative ones; the value of a smooth activation is an unknown of its own, up to the identities of
`smooth_steps`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flint

from qnn_theory.algebra.polynomials import to_flint
from qnn_theory.grammar.evaluate import ParameterValues, evaluate
from qnn_theory.grammar.expr import Activation, Expr, walk
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.grammar.widths import width
from qnn_theory.relations.containment.smooth_steps import Step, by_step


class Indeterminates:
    """The ring of a source format, with unknowns for the activations of all formats that are compared.

    Args:
        source: the format whose parameters are indeterminates.
        others: further formats that will be evaluated.
        dim: the input width d.
    """

    def __init__(self, source: Expr, *others: Expr, dim: int) -> None:
        names = [f"x{i}" for i in range(dim)]
        entries: dict[tuple[str, tuple[int, ...]], str] = {}

        def name_of(name: str, index: tuple[int, ...]) -> str:
            entries[name, index] = f"p{len(entries)}"
            return entries[name, index]

        fill_parameters(source, dim=dim, entry=name_of)
        nodes = [node for expr in (source, *others) for node in walk(expr)]
        atoms = sum(int(width(node) * dim) for node in nodes if isinstance(node, Activation))
        ring = flint.fmpq_mpoly_ctx.get([*names, *entries.values(), *(f"g{i}" for i in range(atoms))], "degrevlex")
        generators = dict(zip(ring.names(), ring.gens(), strict=True))
        self._unknowns = [generators[f"g{i}"] for i in range(atoms)]
        self._first_gate = len(names) + len(entries)
        self._known: dict[tuple[str, Any], Any] = {}
        self.inputs = [generators[name] for name in names]
        self.zero = 0 * self.inputs[0]
        """Added to an output without an input or a parameter, which is a plain number, it makes a polynomial."""
        self.values = fill_parameters(source, dim=dim, entry=lambda name, index: generators[entries[name, index]])

    def evaluate(self, expr: Expr, values: ParameterValues) -> list[Any]:
        """The outputs of a layer at the indeterminate inputs."""
        return evaluate(expr, self.inputs, values, activation=self.activate, constant=to_flint)

    def activate(self, node: Activation, value: Any, own: ParameterValues) -> Any:
        """What an activation makes of a polynomial."""
        value = value + self.zero
        if node.kind not in ("relu", "prelu"):
            smooth = by_step(node.kind, value, self._step, minus_one=-1)
            return self._unknown(node.kind, value) if smooth is None else smooth
        if value.is_constant():
            gate: Any = int(not value.is_zero() and value.leading_coefficient() > 0)
        else:
            lead = value.leading_coefficient()
            gate = self._unknown("relu", value * (1 / lead))
            gate = gate if lead > 0 else 1 - gate
        if node.kind == "relu":
            return gate * value
        slope = own[str(node.slope)]
        return value * (slope + gate - slope * gate)

    def vanish(self, differences: Sequence[Any]) -> bool:
        """Whether polynomials are zero once ``g² = g`` is used for the indicators (not for values of smooth activations)."""
        indicators = {self._first_gate + i for i, (kind, _) in enumerate(self._known) if kind == "relu"}
        return all(_vanishes(difference + self.zero, indicators) for difference in differences)

    def _unknown(self, kind: str, value: Any) -> Any:
        key = kind, frozenset((tuple(m), str(c)) for m, c in value.to_dict().items())
        if key not in self._known:
            self._known[key] = self._unknowns[len(self._known)]
        return self._known[key]

    def _step(self, kind: Step, value: Any) -> Any:
        if value.is_zero():
            return flint.fmpq(1, 2)
        if value.leading_coefficient() > 0:
            return self._unknown(kind, value)
        return 1 - self._unknown(kind, -value)


def _vanishes(difference: Any, indicators: set[int]) -> bool:
    if difference == 0:
        return True
    reduced: dict[tuple[int, ...], Any] = {}
    for monomial, coefficient in difference.to_dict().items():
        key = tuple(min(e, 1) if i in indicators else e for i, e in enumerate(monomial))
        reduced[key] = reduced.get(key, 0) + coefficient
    return not any(reduced.values())
