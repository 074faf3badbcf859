"""What one search is about: two expressions, the parameters to be found, cut into blocks, and a sample to try values on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from qnn_theory.algebra.modular import PRIME, Residues, to_residue
from qnn_theory.grammar.evaluate import ParameterValues
from qnn_theory.grammar.expr import Expr, Slice, walk
from qnn_theory.grammar.widths import Parameter, divisor, parameters, width
from qnn_theory.relations.containment.building_blocks import BuildingBlocks
from qnn_theory.relations.containment.parameter_map import Assignment, Combination, Formula
from qnn_theory.relations.containment.sample import Sample

SEED = 20250517
_POINTS = 64


@dataclass(frozen=True, slots=True)
class Slot:
    """One block of one parameter of the target."""

    parameter: Parameter
    row: int
    column: int


Choice: TypeAlias = dict[Slot, Combination]
"""Values of some blocks; the others are zero."""


class Problem:
    """Writing every function of `a` in the form `b`.

    Args:
        a: the source, in normal form.
        b: the target, in normal form.
        products: also offer products of two of the source's parameters as building blocks.
    """

    def __init__(self, a: Expr, b: Expr, *, products: bool) -> None:
        self.a, self.b = a, b
        self.parts = math.lcm(*(width(node).denominator for node in (*walk(a), *walk(b))), *_slices(a), *_slices(b))
        self.blocks = BuildingBlocks(parameters(a), parts=self.parts, products=products)
        self.parameters = {p.name: p for p in parameters(b)}

    @cached_property
    def sample(self) -> Sample:
        """Random parameters of `a` and random inputs, at the smallest d from 3 up that fits."""
        step = math.lcm(divisor(self.a), divisor(self.b), self.parts)
        return Sample(self.a, step * -(-3 // step), points=_POINTS, seed=SEED)

    def shape(self, parameter: Parameter) -> tuple[int, int]:
        """Into how many blocks of rows and of columns a parameter is cut."""
        rows = int(parameter.axes[0] * self.parts) if parameter.axes else 1
        joined = parameter.role == "affine" and parameter.axes[1] > 1 and parameter.axes[1].denominator == 1
        return rows, int(parameter.axes[1]) if joined else 1

    def slots(self) -> list[Slot]:
        """All blocks of all parameters."""
        result = []
        for p in self.parameters.values():
            rows, columns = self.shape(p)
            result += [Slot(p, r, c) for r in range(rows) for c in range(columns)]
        return result

    def candidates(self, slot: Slot) -> list[Formula]:
        """The building blocks of `a` that have the block's shape."""
        axes = slot.parameter.axes
        columns = self.shape(slot.parameter)[1]
        inner = (axes[1] / columns, *axes[2:]) if len(axes) > 1 else ()
        shape = (Fraction(1, self.parts), *inner) if axes else ()
        return self.blocks.of(slot.parameter.role, shape, row_block=slot.row)

    def assignment(self, parameter: Parameter, chosen: Choice) -> Assignment:
        """The formula of one parameter, its blocks put together."""
        rows, columns = self.shape(parameter)
        return Assignment(
            parameter,
            tuple(tuple(chosen.get(Slot(parameter, r, c), Combination()) for c in range(columns)) for r in range(rows)),
        )

    def fill(self, choice: Choice) -> dict[str, Any]:
        """All parameters at a choice, as nested lists of residues."""
        return {p.name: self.value(p, choice) for p in self.parameters.values()}

    def value(self, parameter: Parameter, choice: Choice) -> Any:
        """One parameter at a choice."""
        return self.assignment(parameter, choice).value(self.sample.values, self.sample.dim, to_residue)

    def evaluate(self, values: ParameterValues) -> list[Any]:
        """The outputs of `b` at the sample's inputs."""
        return self.sample.evaluate(self.b, values)

    def stacked(self, values: Sequence[Any]) -> Any:
        """Scalars, constant or one value a point of the sample, as one vector."""
        return np.concatenate(
            [v.values if isinstance(v, Residues) else np.full(_POINTS, v % PRIME, dtype=np.int64) for v in values]
        )


def _slices(expr: Expr) -> list[int]:
    return [node.blocks for node in walk(expr) if isinstance(node, Slice)]
