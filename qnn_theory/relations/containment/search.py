"""The search for a parameter map. It knows no format.

Where b is affine in some of its parameters once the others are fixed, the free ones are an unknown rational combination of
building blocks of a and follow from a linear system; the fixed ones, few, run over `guesses`.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from qnn_theory.algebra.deadline import check
from qnn_theory.algebra.modular import PRIME, solve
from qnn_theory.grammar.expr import Activation
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import normal_form, unrolled_parameters
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.grammar.widths import Parameter, parameters, width
from qnn_theory.relations.containment.free_parameters import free_sets
from qnn_theory.relations.containment.guesses import Guesses
from qnn_theory.relations.containment.parameter_map import (
    Assignment,
    Combination,
    Formula,
    ParameterMap,
    constants_last,
    zero,
)
from qnn_theory.relations.containment.problem import SEED, Choice, Problem, Slot
from qnn_theory.relations.containment.sample import equal, minus
from qnn_theory.relations.containment.terms import parameter


def find_map(source: Format, target: Format, *, tries: int = 2000) -> ParameterMap | None:
    """A map from the parameters of `source` to those of `target` under which both are the same function, or None.

    None only says that the search found nothing. Row sums are written out: the copies of W are W[1], W[2], ....

    Args:
        source: the format whose functions are to be written in the other.
        target: the other format.
        tries: how many choices of the parameters that the target is not affine in are tried.
    """
    a, b = normal_form(source.expr), normal_form(target.expr)
    if width(a) != width(b):
        return None
    slopes: list[tuple[str, str]] = []
    # F_a ⊆ F_b gives act(F_a) ⊆ act(F_b): a common last activation is left out of the search.
    while isinstance(a, Activation) and isinstance(b, Activation) and a.kind == b.kind:
        if a.slope is not None and b.slope is not None:
            if b.slope in {parameter.name for parameter in parameters(b.of)}:
                break
            slopes.append((b.slope, a.slope))
        a, b = a.of, b.of
    for products in (False, True):
        found = Search(Problem(a, b, products=products), tries=tries).run()
        if found is not None:
            assigned = (*found.assignments, *(_same_slope(*names) for names in slopes))
            return ParameterMap((*assigned, *_cancelled(target, assigned)))
    return None


def _cancelled(target: Format, assigned: Sequence[Assignment]) -> list[Assignment]:
    """Zero for the parameters that cancel in the target's normal form: they do not matter."""
    names = {assignment.parameter.name for assignment in assigned}
    return [zero(p, row_blocks=1, column_blocks=1) for p in unrolled_parameters(target.expr) if p.name not in names]


def _same_slope(target: str, source: str) -> Assignment:
    own = Formula(source, parameter(source))
    return Assignment(Parameter(name=target, role="slope", axes=()), ((Combination(((Fraction(1), own),)),),))


class Search:
    """One search for the parameters of ``problem.b``."""

    def __init__(self, problem: Problem, *, tries: int) -> None:
        self.problem, self.tries = problem, tries
        self.guesses = Guesses(problem)

    def run(self) -> ParameterMap | None:
        """The map, or None where the search found none."""
        chosen: Choice = {}
        for outputs, slots in self.components():
            found = self._solve_component(outputs, slots)
            if found is None:
                return None
            chosen |= found
        return ParameterMap(tuple(self.problem.assignment(p, chosen) for p in self.problem.parameters.values()))

    def components(self) -> list[tuple[list[int], list[Slot]]]:
        """Output blocks that share no block of a parameter are separate problems."""
        slots = self.problem.slots()
        count = int(width(self.problem.b) * self.problem.parts)
        if count == 1:
            return [([0], slots)]
        generator = np.random.default_rng(SEED + 2)
        base = fill_parameters(
            self.problem.b, dim=self.problem.sample.dim, entry=lambda name, index: int(generator.integers(1, PRIME))
        )
        reference = self.problem.evaluate(base)
        size = len(reference) // count
        touched: dict[tuple[str, int], set[int]] = {}
        for slot in slots:
            key = (slot.parameter.name, slot.row)
            if key in touched:
                continue
            changed = dict(base)
            changed[slot.parameter.name] = _replaced_rows(
                base[slot.parameter.name], slot, self.problem.shape(slot.parameter)[0], generator
            )
            outputs = self.problem.evaluate(changed)
            touched[key] = {i // size for i in range(len(reference)) if not equal(reference[i], outputs[i])}
        groups: list[set[int]] = [{block} for block in range(count)]
        for blocks in touched.values():
            joined = [group for group in groups if group & blocks]
            if len(joined) > 1:
                groups = [group for group in groups if not group & blocks] + [set().union(*joined)]
        return [
            (sorted(group), [s for s in slots if touched[s.parameter.name, s.row] & group])
            for group in sorted(groups, key=min)
        ]

    def _solve_component(self, outputs: Sequence[int], slots: Sequence[Slot]) -> Choice | None:
        size = len(self.problem.sample.outputs) // int(width(self.problem.b) * self.problem.parts)
        rows = [block * size + i for block in outputs for i in range(size)]
        target = [self.problem.sample.outputs[i] for i in rows]
        tries = 0
        for free in free_sets(self.problem.b, {slot.parameter.name for slot in slots}):
            unknown = [slot for slot in slots if slot.parameter.name in free]
            fixed = [slot for slot in slots if slot.parameter.name not in free]
            columns = [(slot, formula) for slot in unknown for formula in self.problem.candidates(slot)]
            for choice in self.guesses.of(fixed):
                check()
                tries += 1
                if tries > self.tries:
                    return None
                solution = self._solve_free(choice, columns, rows, target)
                if solution is not None:
                    return self._tidied(choice | solution, rows, target)
        return None

    def _tidied(self, choice: Choice, rows: Sequence[int], target: Sequence[Any]) -> Choice:
        """The choice without the values that do not matter (a factor whose other factor is zero)."""
        for slot in list(choice):
            fewer = {other: value for other, value in choice.items() if other != slot}
            outputs = self.problem.evaluate(self.problem.fill(fewer))
            if all(equal(target[k], outputs[i]) for k, i in enumerate(rows)):
                choice = fewer
        return choice

    def _solve_free(
        self, choice: Choice, columns: Sequence[tuple[Slot, Formula]], rows: Sequence[int], target: Sequence[Any]
    ) -> Choice | None:
        base_values = self.problem.fill(choice)
        base = self.problem.evaluate(base_values)
        missing = self.problem.stacked([minus(target[k], base[i]) for k, i in enumerate(rows)])
        effects = []
        for slot, formula in columns:
            check()
            one = {slot: Combination(((Fraction(1), formula),))}
            name = slot.parameter.name
            value = self.problem.value(slot.parameter, one)
            outputs = self.problem.evaluate(base_values | {name: value})
            effects.append(self.problem.stacked([minus(outputs[i], base[i]) for i in rows]))
        if not effects:
            return {} if not missing.any() else None
        solution = solve(effects, missing)
        if solution is None:
            return None
        terms: dict[Slot, list[tuple[Fraction, Formula]]] = {}
        for (slot, formula), coefficient in zip(columns, solution, strict=True):
            if coefficient:
                terms.setdefault(slot, []).append((coefficient, formula))
        return {slot: Combination(constants_last(found)) for slot, found in terms.items()}


def _replaced_rows(value: Any, slot: Slot, blocks: int, generator: np.random.Generator) -> Any:
    """The value with random numbers in one block of rows."""

    def randomized(part: Any) -> Any:
        return [randomized(p) for p in part] if isinstance(part, list) else int(generator.integers(1, PRIME))

    if not isinstance(value, list):
        return randomized(value)
    size = len(value) // blocks
    return [randomized(row) if i // size == slot.row else row for i, row in enumerate(value)]
