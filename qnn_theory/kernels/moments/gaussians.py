"""Moments of a map's Gaussian numbers, and their derivatives by overlaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from qnn_theory.kernels.moments.functions import Factor, mean, pair_moment
from qnn_theory.kernels.moments.laws import Entry, Law, Value
from qnn_theory.kernels.moments.layer_rules import NoRuleError


class Gaussians:
    """Moments of the outputs of maps, for given overlaps of their arguments.

    Args:
        laws: of the maps, by label.
        overlap: the value of an overlap.
        symbolic: whether values are SymPy expressions.
    """

    def __init__(self, laws: Mapping[int, Law], overlap: Callable[[Entry], Value], *, symbolic: bool) -> None:
        self._laws, self._overlap, self._symbolic = laws, overlap, symbolic
        first_of: dict[Law, int] = {}
        self._same_law = {label: first_of.setdefault(law, label) for label, law in laws.items()}
        self._known: dict[Any, Value] = {}

    def differentiated(self, groups: tuple[Any, ...], marks: tuple[Entry, ...]) -> list[Any]:
        """The derivative by overlaps: terms of a number, overlaps, and groups with the orders of their derivatives."""
        terms: list[Any] = [(1, (), ((),) * len(groups))]
        for mark in marks:
            following: list[Any] = []
            for value, factors, orders in terms:
                for position, entry in enumerate(factors):
                    if entry == mark:
                        following.append((value, factors[:position] + factors[position + 1 :], orders))
                for place, (label, content) in enumerate(groups):
                    law = self._laws[label]
                    if not any(mark.left in use or mark.right in use for use in law.arguments):
                        continue
                    names = [name for name, _, _ in content]
                    for i, a in enumerate(names):
                        for b in names[i:]:
                            entries = law.entries(a, b)
                            for position, entry in enumerate(entries):
                                if entry != mark:
                                    continue
                                half = 0.5 if a == b else 1
                                rest = entries[:position] + entries[position + 1 :]
                                moved = tuple(sorted((*orders[place], a, b)))
                                following.append(
                                    (
                                        value * half * law.factor,
                                        factors + rest,
                                        (*orders[:place], moved, *orders[place + 1 :]),
                                    )
                                )
            terms = following
        return [
            (value, factors, [(*group, order) for group, order in zip(groups, orders, strict=True)])
            for value, factors, orders in terms
        ]

    def moment(self, label: int, content: Any, derivatives: tuple[tuple[int, int], ...]) -> Value:
        """A moment of jointly Gaussian numbers, or of its derivative."""
        key = (self._same_law[label], content, derivatives)
        if key not in self._known:
            law = self._laws[self._same_law[label]]
            if any(gates for _, _, gates in content):
                self._known[key] = self._gated(law, content, derivatives)
            else:
                powers = {name: power for name, power, _ in content}
                number = 1
                for name in derivatives:
                    number *= powers[name]
                    powers[name] = max(powers[name] - 1, 0)
                names = tuple(name for name, power in powers.items() for _ in range(power))
                self._known[key] = number * self._isserlis(law, names) if number else 0
        return self._known[key]

    def _covariance(self, law: Law, a: tuple[int, int], b: tuple[int, int]) -> Value:
        total: Value = law.factor
        for entry in law.entries(a, b):
            total = total * self._overlap(entry)
        return total

    def _isserlis(self, law: Law, names: tuple[tuple[int, int], ...]) -> Value:
        if len(names) % 2:
            return 0
        if not names:
            return 1
        key = (id(law), names)
        if key not in self._known:
            first, *rest = names
            total: Value = 0
            for other in dict.fromkeys(rest):
                left = list(rest)
                left.remove(other)
                count = rest.count(other)
                total = total + count * self._covariance(law, first, other) * self._isserlis(law, tuple(left))
            self._known[key] = total
        return self._known[key]

    def _gated(self, law: Law, content: Any, derivatives: tuple[tuple[int, int], ...]) -> Value:
        if self._symbolic:
            raise NoRuleError("A closed form has a rule for polynomial formats, however: this one has an activation.")
        uses = {use for (use, _), _, _ in content}
        if len(uses) > 1:
            raise NoRuleError(
                "An activation has a rule where its affine map has one argument, however: one map is applied to several."
            )
        orders = [sum(1 for name in derivatives if name[1] == row) for row in (0, 1)]
        functions = [(name, Factor(power, gates)) for name, power, gates in content]
        if len(functions) == 1:
            ((name, factor),) = functions
            variance = _scalar(self._covariance(law, name, name))
            return mean(factor, orders[name[1]], variance)
        (a, left), (b, right) = functions
        variances = (_scalar(self._covariance(law, a, a)), _scalar(self._covariance(law, b, b)))
        return pair_moment(left, orders[0], right, orders[1], self._covariance(law, a, b), variances)


def _scalar(value: Value) -> float:
    """The variance of a Gaussian in one row; it does not depend on the other row."""
    flat = np.ravel(np.asarray(value))
    return float(flat[0].real)
