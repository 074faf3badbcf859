"""One-parameter families: parameters of a target as Laurent polynomials in t whose coefficients are parameter maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qnn_theory.relations.containment.parameter_map import Assignment, Constant, ParameterMap
from qnn_theory.relations.limits.series import Series


@dataclass(frozen=True, slots=True)
class Family:
    """``W' = Σ_k t^k W'_k`` for t → 0 from above.

    Attributes:
        parts: powers of t, ascending, each with the map that gives its coefficients; every map sets all parameters.
    """

    parts: tuple[tuple[int, ParameterMap], ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """One line a parameter: ``W_a' = t^-1 (W_a - I) + W_b``."""
        result = []
        for place, first in enumerate(self.parts[0][1].assignments):
            terms = [(power, map.assignments[place]) for power, map in self.parts]
            shown = [_term(power, own) for power, own in terms if _is_set(own)]
            left = first.text.partition(" = ")[0]
            result.append(f"{left} = {' + '.join(shown) or '0'}".replace("+ -", "- "))
        return tuple(result)

    @property
    def entry_degree(self) -> int:
        """The largest degree of an entry in the source's parameters."""
        return max(map.entry_degree for _, map in self.parts)

    def apply(self, values: Mapping[str, Any], *, dim: int, constant: Constant) -> dict[str, Any]:
        """The target's parameters as nested lists of `Series`.

        Args:
            values: the source's parameter values.
            dim: the input width d.
            constant: turns rational coefficients into scalars.
        """
        applied = [(power, map.apply(values, dim=dim, constant=constant)) for power, map in self.parts]
        return {name: _joined([(power, found[name]) for power, found in applied]) for name in applied[0][1]}

    def at(self, values: Mapping[str, Any], t: Any, *, dim: int) -> dict[str, Any]:
        """The target's parameters at one number t, to try them out."""

        def summed(parts: list[tuple[int, Any]]) -> Any:
            if isinstance(parts[0][1], list):
                columns = zip(*(value for _, value in parts), strict=True)
                return [summed([(power, c) for (power, _), c in zip(parts, column, strict=True)]) for column in columns]
            return sum(value * t**power for power, value in parts)

        applied = [(power, map.apply(values, dim=dim)) for power, map in self.parts]
        return {name: summed([(power, found[name]) for power, found in applied]) for name in applied[0][1]}


def _joined(parts: list[tuple[int, Any]]) -> Any:
    if isinstance(parts[0][1], list):
        columns = zip(*(value for _, value in parts), strict=True)
        return [_joined([(power, c) for (power, _), c in zip(parts, column, strict=True)]) for column in columns]
    return Series(dict(parts))


def _is_set(assignment: Assignment) -> bool:
    return any(part.terms for row in assignment.blocks for part in row)


def _term(power: int, assignment: Assignment) -> str:
    right = assignment.text.partition(" = ")[2]
    if power == 0:
        return right
    grouped = f"({right})" if " " in right or right[0] in "-[" else right
    return f"{'t' if power == 1 else f't^{power}'} {grouped}"
