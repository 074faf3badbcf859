"""The search for a one-parameter family. It knows no format.

As the search for a map: where the target is affine in some of its parameters once the others are fixed, the free ones are an
unknown combination of ``t^k`` times building blocks of the source, and follow from a linear system: the negative powers of t
cancel, the coefficient of t^0 is the source. The fixed ones run over guesses: ``t g``, ``g / t`` and ``g + t h``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from qnn_theory.algebra.deadline import check
from qnn_theory.algebra.modular import solve, to_residue
from qnn_theory.grammar.expr import Activation, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import normal_form
from qnn_theory.grammar.widths import width
from qnn_theory.relations.containment.free_parameters import free_sets, map_of_each
from qnn_theory.relations.containment.parameter_map import Combination, Formula, ParameterMap, constants_last
from qnn_theory.relations.containment.problem import Choice, Problem, Slot
from qnn_theory.relations.containment.search import Search
from qnn_theory.relations.limits.family import Family
from qnn_theory.relations.limits.proof import series_outputs
from qnn_theory.relations.limits.series import NoSeriesError, Series

Powers: TypeAlias = dict[int, Choice]
"""Power of t -> the blocks with that power."""

_SHIFTS = (0, -1, -2, 1)
_TRIES = 160


def find_family(source: Format, target: Format, *, tries: int = _TRIES) -> Family | None:
    """A family of the target's parameters at which it tends to `source`, or None where the search found none.

    Args:
        source: the format whose functions are to be limits.
        target: the other format.
        tries: how many choices of the parameters that the target is not affine in are tried.
    """
    a, b = normal_form(source.expr), normal_form(target.expr)
    if width(a) != width(b):
        return None
    return _FamilySearch(Problem(a, b, products=False), tries).run()


class _FamilySearch:
    """One search for a family of the parameters of ``problem.b``."""

    def __init__(self, problem: Problem, tries: int) -> None:
        self.problem, self.tries = problem, tries
        self.maps = Search(problem, tries=1)
        self.size = len(problem.sample.outputs) // int(width(problem.b) * problem.parts)

    def run(self) -> Family | None:
        chosen: Powers = {}
        for outputs, slots in self.maps.components():
            found = self._solve_component(outputs, slots)
            if found is None:
                return None
            for power, choice in found.items():
                chosen[power] = chosen.get(power, {}) | choice
        return self._family(chosen)

    def _family(self, powers: Powers) -> Family:
        parameters = self.problem.parameters.values()

        def map_of(choice: Choice) -> ParameterMap:
            return ParameterMap(tuple(self.problem.assignment(p, choice) for p in parameters))

        return Family(tuple((power, map_of(powers.get(power, {}))) for power in sorted({0, *powers})))

    def _solve_component(self, outputs: Sequence[int], slots: Sequence[Slot]) -> Powers | None:
        rows = [block * self.size + i for block in outputs for i in range(self.size)]
        tries = 0
        for free in free_sets(self.problem.b, {slot.parameter.name for slot in slots}):
            unknown = [slot for slot in slots if slot.parameter.name in free]
            fixed = [slot for slot in slots if slot.parameter.name not in free]
            columns = [(slot, formula) for slot in unknown for formula in self.problem.candidates(slot)]
            for powers in self._guesses(fixed):
                check()
                tries += 1
                if tries > self.tries:
                    return None
                try:
                    found = self._solve_free(powers, columns, rows)
                except NoSeriesError:
                    continue
                if found is not None:
                    return found
        return None

    def _outputs(self, powers: Powers) -> list[Series]:
        sample = self.problem.sample
        values = self._family(powers).apply(sample.values, dim=sample.dim, constant=to_residue)
        return series_outputs(self.problem.b, sample, values)

    def _solve_free(
        self, powers: Powers, columns: Sequence[tuple[Slot, Formula]], rows: Sequence[int]
    ) -> Powers | None:
        base = self._outputs(powers)
        base = [base[i] for i in rows]
        if any(f.order is not None and f.order < 1 for f in base):
            return None
        effects: list[tuple[Slot, Formula, int, list[Series]]] = []
        for slot, formula in columns:
            check()
            one = {slot: Combination(((Fraction(1), formula),))}
            changed = self._outputs(powers | {0: powers.get(0, {}) | one})
            change = [changed[i] + f * -1 for i, f in zip(rows, base, strict=True)]
            orders = [f.order for f in change if f.order is not None]
            lows = [f.lowest for f in change if f.lowest is not None]
            effects += [
                (slot, formula, shift, [f.shifted(shift) for f in change])
                for shift in _SHIFTS
                if lows and min(lows) + shift <= 0 and all(order + shift >= 1 for order in orders)
            ]
        needed = {k for f in base for k in f.coefficients if k < 0} | {0}
        needed |= {k for *_, change in effects for f in change for k in f.coefficients if k < 0}
        order = sorted(needed)
        wanted = [self.problem.sample.outputs[i] for i in rows]
        missing = self._stacked([Series({0: w}) + f * -1 for w, f in zip(wanted, base, strict=True)], order)
        if not effects:
            return powers if not missing.any() else None
        solution = solve([self._stacked(change, order) for *_, change in effects], missing)
        if solution is None:
            return None
        result: Powers = {power: dict(choice) for power, choice in powers.items()}
        terms: dict[tuple[int, Slot], list[tuple[Fraction, Formula]]] = {}
        for (slot, formula, shift, _), coefficient in zip(effects, solution, strict=True):
            if coefficient:
                terms.setdefault((shift, slot), []).append((coefficient, formula))
        for (shift, slot), found in terms.items():
            result.setdefault(shift, {})[slot] = Combination(constants_last(found))
        return result

    def _stacked(self, series: Sequence[Series], powers: Sequence[int]) -> Any:
        return np.concatenate([self.problem.stacked([f.coefficients.get(k, 0) for f in series]) for k in powers])

    # ---------------------------------------------------------------------------------------------------- guesses

    def _guesses(self, fixed: Sequence[Slot]) -> Iterator[Powers]:
        units = map_of_each(self.problem.b)
        places = list(dict.fromkeys((units[slot.parameter.name], slot.row) for slot in fixed))
        if not places:
            yield {}
            return
        options = [list(self._unit(name, row)) for name, row in places]
        # The likeliest of each first: by the sum of the positions, not the last place fastest.
        longest = sum(len(some) - 1 for some in options)
        for total in range(longest + 1):
            for positions in _positions([len(some) for some in options], total):
                joined: Powers = {}
                for some, position in zip(options, positions, strict=True):
                    for power, choice in some[position].items():
                        joined[power] = joined.get(power, {}) | choice
                yield joined

    def _unit(self, name: str, row: int) -> Iterator[Powers]:
        """Values of one map with its bias: in an activation small or large ones first, elsewhere those near a fixed one."""
        guesses = self.maps.guesses
        plain = [choice for choice in guesses.unit_choices(name, row) if choice]
        inside = any(
            getattr(inner, "name", None) == name
            for node in walk(self.problem.b)
            if isinstance(node, Activation)
            for inner in walk(node.of)
        )
        own = [choice for choice in plain if choice not in guesses.simple_forms(name, row)]
        simple = [choice for choice in plain if choice not in own]
        turns = [*own, *(_combined(g, h, -1) for g, h in itertools.permutations(own, 2))]
        near: list[Powers] = [{0: g, 1: h} for h in turns for g in (*reversed(simple), *own) if g != h]
        moved: list[Powers] = [{k: _combined({}, g, s)} for s in (1, -1) for k in (1, -1) for g in (*own, *simple)]
        still: list[Powers] = [{0: g} for g in (*own, *simple)]
        yield from (*moved, {}, *still, *near) if inside else (*near, *still, *moved, {})


def _combined(left: Choice, right: Choice, factor: int) -> Choice:
    """The sum of a value of some blocks and a multiple of another."""
    result = dict(left)
    for slot, value in right.items():
        terms = {formula: coefficient for coefficient, formula in result.get(slot, Combination()).terms}
        for coefficient, formula in value.terms:
            terms[formula] = terms.get(formula, Fraction(0)) + factor * coefficient
        result[slot] = Combination(constants_last([(c, formula) for formula, c in terms.items() if c]))
    return result


def _positions(lengths: Sequence[int], total: int) -> Iterator[tuple[int, ...]]:
    """All choices of positions with this sum."""
    for head in itertools.product(*(range(min(length - 1, total) + 1) for length in lengths[:-1])):
        last = total - sum(head)
        if 0 <= last < lengths[-1]:
            yield (*head, last)
