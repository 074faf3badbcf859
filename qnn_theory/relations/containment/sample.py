"""A format at random parameters and inputs modulo p, where what an activation does is an unknown of its own.

For relu, ``relu(u) = g u`` with ``g`` the indicator of u > 0, so that ``relu(-u) = (1 - g)(-u)``, equal arguments up to a
positive factor share their ``g``, and every identity in these unknowns is one of functions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qnn_theory.algebra.modular import PRIME, Residues, random_residues, to_fraction, to_residue
from qnn_theory.grammar.evaluate import ParameterValues, evaluate
from qnn_theory.grammar.expr import Activation, Expr
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.relations.containment.smooth_steps import Step, by_step


class Sample:
    """Random parameters of the source and random inputs, its outputs there, and what its activations do."""

    def __init__(self, source: Expr, dim: int, *, points: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self._generator, self._points, self.dim = generator, points, dim
        self._atoms: dict[tuple[str, bytes], tuple[int, Residues]] = {}
        self.inputs = [random_residues(generator, points) for _ in range(dim)]
        self.values = fill_parameters(source, dim=dim, entry=lambda name, index: random_residues(generator, points))
        self.outputs = self.evaluate(source, self.values)

    def evaluate(self, expr: Expr, values: ParameterValues) -> list[Any]:
        """The outputs of a layer at the sample's inputs; activations of known arguments are known."""
        return evaluate(expr, self.inputs, values, activation=self.activate, constant=to_residue)

    def activate(self, node: Activation, value: Any, values: ParameterValues) -> Any:
        """What an activation makes of a scalar at all points."""
        vector = self._vector(value)
        first = int(vector[0])
        number = to_fraction(first) if np.all(vector == first) else None
        if node.kind not in ("relu", "prelu"):
            smooth = by_step(node.kind, value, self._step, minus_one=PRIME - 1)
            return self._atom(node.kind, vector)[1] if smooth is None else smooth
        if number is not None:
            gate: Any = int(number > 0)
        else:
            # Arguments that are positive multiples of each other are one atom, a negative multiple is its complement.
            lead = int(vector[np.flatnonzero(vector)[0]])
            base, gate = self._atom("relu", vector * pow(lead, -1, PRIME) % PRIME, scale=lead)
            ratio = to_fraction(lead * pow(base, -1, PRIME) % PRIME)
            if ratio is None:
                gate = self._random(indicator=True)
            elif ratio < 0:
                gate = Residues(1 - gate.values)
        if node.kind == "relu":
            return gate * value
        slope = values[str(node.slope)]
        return value * (slope + gate + (PRIME - 1) * (slope * gate))

    def _step(self, step: Step, value: Any) -> Any:
        """The step at an argument; of the arguments u and -u one is an unknown, the other its complement."""
        vector = self._vector(value)
        if not vector.any():
            return pow(2, -1, PRIME)
        turned = int(vector[np.flatnonzero(vector)[0]]) > PRIME // 2
        known = self._atom(step, -vector % PRIME if turned else vector)[1]
        return 1 + (PRIME - 1) * known if turned else known

    def _vector(self, value: Any) -> Any:
        return value.values if isinstance(value, Residues) else np.full(self._points, value % PRIME, dtype=np.int64)

    def _atom(self, kind: str, vector: Any, *, scale: int = 1) -> tuple[int, Residues]:
        key = (kind, vector.tobytes())
        if key not in self._atoms:
            self._atoms[key] = (scale, self._random(indicator=kind == "relu"))
        return self._atoms[key]

    def _random(self, *, indicator: bool) -> Residues:
        if indicator:
            return Residues(self._generator.integers(0, 2, size=self._points))
        return random_residues(self._generator, self._points)


def minus(left: Any, right: Any) -> Any:
    """The difference of two scalars modulo p, plain integers or residues at all points."""
    if isinstance(left, Residues):
        return left - right
    return left + (PRIME - 1) * right


def equal(left: Any, right: Any) -> bool:
    """Whether two scalars are the same modulo p."""
    difference = minus(left, right)
    return not difference.values.any() if isinstance(difference, Residues) else difference % PRIME == 0
