"""Containment by constant gates: where a smooth gate has a constant argument, it is a constant.

silu, gelu and mish take the value 1 somewhere and tanh the value 1/2, at an argument s that no formula in rational numbers
names; a map with a bias takes the constant value s when its weight is 0 and its bias s. With such a constant in place of the
gate, the target is a format whose functions are among its own, and the usual search finds the rest of the map (sigmoid(0) = 1/2
needs none of this).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from qnn_theory.grammar.expr import Activation, ActivationKind, Affine, Constant, Expr, bias_name, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import normal_form
from qnn_theory.grammar.rewrite import replace
from qnn_theory.grammar.widths import Parameter, parameters, width
from qnn_theory.relations.containment.parameter_map import Assignment, Combination, Formula, ParameterMap, zero
from qnn_theory.relations.containment.proof import MapProof, can_prove, prove_map
from qnn_theory.relations.containment.search import find_map
from qnn_theory.relations.smooth_functions import bracket

_VALUES: dict[ActivationKind, Fraction] = {
    "silu": Fraction(1),
    "gelu": Fraction(1),
    "mish": Fraction(1),
    "tanh": Fraction(1, 2),
}
_GATE_LIMIT = 4
_DIGITS = 20


@dataclass(frozen=True, slots=True)
class ConstantGate:
    """A gate of the target that is made a constant.

    Attributes:
        kind: its activation.
        map: the affine map that is its argument, whose weight is set to 0.
        value: the constant.
        low: a decimal at which the activation is below the value.
        high: the next one, at which it is above.
    """

    kind: ActivationKind
    map: str
    value: Fraction
    low: Fraction
    high: Fraction

    @property
    def name(self) -> str:
        """The argument, as it stands in the map."""
        return f"{self.kind}⁻¹({self.value})"

    @property
    def text(self) -> str:
        """What the argument is and why it exists."""
        low, high = _decimal(self.low), _decimal(self.high)
        return (
            f"{self.kind} is continuous, below {self.value} at {low} and above at {high} (interval arithmetic); "
            f"{self.name} is a number in between where it is {self.value}"
        )


def contained_by_constant_gates(
    source: Format, target: Format, *, tries: int
) -> tuple[ParameterMap, MapProof, tuple[ConstantGate, ...]] | None:
    """A proved map from the parameters of `source` to those of `target` that makes some gates constant, or None.

    Args:
        source: the format whose functions are to be written in the other.
        target: the other format.
        tries: as in `find_map`.
    """
    plain = normal_form(target.expr)
    if width(plain) != width(normal_form(source.expr)):
        return None
    for gates in _choices(plain):
        special = Format(target.id, _specialised(plain, gates))
        found = find_map(source, special, tries=tries)
        if found is not None and can_prove(source, special):
            proof = prove_map(source, special, found)
            return _completed(found, plain, gates), proof, gates
    return None


def _choices(expr: Expr) -> Iterator[tuple[ConstantGate, ...]]:
    """Sets of gates that can be constants at the same time, the largest first."""
    names = _free_gates(expr)
    for size in range(min(len(names), _GATE_LIMIT), 0, -1):
        for chosen in itertools.combinations(names.items(), size):
            yield tuple(_gate(kind, name) for name, kind in chosen)


@cache
def _gate(kind: ActivationKind, name: str) -> ConstantGate:
    low, high = bracket(kind, _VALUES[kind], digits=_DIGITS)
    return ConstantGate(kind, name, _VALUES[kind], low, high)


def _free_gates(expr: Expr) -> dict[str, ActivationKind]:
    """Maps with a bias that occur as the argument of activations of one kind and nowhere else."""
    found: dict[str, set[ActivationKind]] = {}
    uses: dict[str, int] = {}
    for node in walk(expr):
        if isinstance(node, Affine):
            uses[node.name] = uses.get(node.name, 0) + 1
        if isinstance(node, Activation) and isinstance(node.of, Affine) and node.of.bias and node.kind in _VALUES:
            found.setdefault(node.of.name, set()).add(node.kind)
            uses[node.of.name] = uses.get(node.of.name, 0) - 1
    return {name: next(iter(kinds)) for name, kinds in found.items() if len(kinds) == 1 and not uses[name]}


def _specialised(expr: Expr, gates: tuple[ConstantGate, ...]) -> Expr:
    values = {gate.map: gate.value for gate in gates}

    def rule(node: Expr) -> Expr:
        match node:
            case Activation(of=Affine(name=name)) if name in values:
                return Constant(value=values[name], width=width(node))
            case _:
                return node

    return replace(expr, rule)


def _completed(found: ParameterMap, expr: Expr, gates: tuple[ConstantGate, ...]) -> ParameterMap:
    """The map with the parameters that the constant gates leave out."""
    known = {assignment.parameter.name for assignment in found.assignments}
    biases = {bias_name(gate.map): gate for gate in gates}
    rest = []
    for parameter in parameters(expr):
        if parameter.name in biases:
            rest.append(_argument(parameter, biases[parameter.name]))
        elif parameter.name not in known:
            rest.append(zero(parameter, row_blocks=1, column_blocks=1))
    return ParameterMap((*found.assignments, *rest))


def _argument(parameter: Parameter, gate: ConstantGate) -> Assignment:
    """The bias that is the gate's argument; where numbers are wanted, it is the middle of its bracket."""
    middle = (gate.low + gate.high) / 2

    def compute(values: Any, dim: int) -> Any:
        return [middle] * int(parameter.axes[0] * dim)

    return Assignment(parameter, ((Combination(((Fraction(1), Formula(gate.name, compute)),)),),))


def _decimal(number: Fraction) -> str:
    whole, rest = divmod(int(number * 10**_DIGITS), 10**_DIGITS)
    return f"{whole}.{rest:0{_DIGITS}d}"
