"""Parameter maps: the parameters of one format as formulas in the parameters of another.

A map is what a reader checks with pen and paper: ``W_a' = W_a + I``, ``b_a' = b_a + alpha - 1``. Each parameter is cut into
blocks of rows where a format joins halves (``[P; Q]`` stacks P over Q) and into blocks of columns where a map reads a joined
vector (``[P | Q]``); each block is a rational combination of a few natural building blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, TypeAlias

from qnn_theory.algebra.polynomials import sum_text
from qnn_theory.grammar.widths import Parameter

Constant: TypeAlias = Callable[[Fraction], Any]
"""Turns a rational number into a scalar of the ring that a map is computed in."""

Compute: TypeAlias = Callable[[Mapping[str, Any], int], Any]


@dataclass(frozen=True, slots=True)
class Formula:
    """One building block: a vector, a matrix, or one matrix per output, of as many rows as one block of rows has.

    Attributes:
        stem: its text, ``diag(b_a) W_b``, without the mark that says which rows are meant.
        compute: its value, nested lists, from the parameter values and d.
        block: which block of rows of the stem, or None when the stem is the block.
        blocks: how many blocks of rows the stem has.
    """

    stem: str
    compute: Compute
    block: int | None = None
    blocks: int = 1

    @property
    def text(self) -> str:
        """The stem and its rows."""
        if self.block is None:
            return self.stem
        stem = f"({self.stem})" if " " in self.stem else self.stem
        return f"{stem}[{_rows_text(self.block, self.blocks)}]"


@dataclass(frozen=True, slots=True)
class Combination:
    """A rational combination of building blocks; no terms is zero."""

    terms: tuple[tuple[Fraction, Formula], ...] = ()

    @property
    def text(self) -> str:
        """The combination as printed, ``W_a + 1/2 I``."""
        return sum_text([(coefficient, formula.text) for coefficient, formula in self.terms], times=" ")


@dataclass(frozen=True, slots=True)
class Assignment:
    """The formula of one parameter.

    Attributes:
        parameter: the parameter that is set.
        blocks: its blocks, by block of rows, then by block of columns.
    """

    parameter: Parameter
    blocks: tuple[tuple[Combination, ...], ...]

    @property
    def text(self) -> str:
        """``W_a' = W_a + I``."""
        name = self.parameter.name
        left = f"{name}'[k]" if self.parameter.role == "bilinear" else f"{name}'"
        return f"{left} = {self._right()}"

    def value(self, values: Mapping[str, Any], dim: int, constant: Constant) -> Any:
        """The parameter as nested lists, at the given values of the other format's parameters."""
        if not self.parameter.axes:
            return _scalar(self.blocks[0][0], values, dim, constant)
        result: list[Any] = []
        rows = int(self.parameter.axes[0] * dim) // len(self.blocks)
        inner = tuple(int(axis * dim) for axis in self.parameter.axes[1:])
        for row_block in self.blocks:
            columns = (inner[0] // len(row_block), *inner[1:]) if inner else ()
            parts = [_block(part, (rows, *columns), values, dim, constant) for part in row_block]
            result.extend(_beside(parts) if len(parts) > 1 else parts[0])
        return result

    def _right(self) -> str:
        if len(self.blocks) > 1:
            merged = [_merged([row[c] for row in self.blocks]) for c in range(len(self.blocks[0]))]
            if all(text is not None for text in merged):
                return (
                    " | ".join(str(text) for text in merged)
                    if len(merged) == 1
                    else f"[{' | '.join(map(str, merged))}]"
                )
        rows = [" | ".join(part.text for part in row) for row in self.blocks]
        return rows[0] if len(rows) == 1 and len(self.blocks[0]) == 1 else f"[{'; '.join(rows)}]"


class AnyMap(Protocol):
    """What every kind of parameter map is: lines to read, and values to compute."""

    @property
    def lines(self) -> tuple[str, ...]:
        """One line a parameter."""
        ...

    @property
    def entry_degree(self) -> int:
        """The largest degree of a target's parameter in the source's parameters."""
        ...

    def apply(
        self,
        values: Mapping[str, Any],
        *,
        dim: int,
        constant: Constant = ...,
    ) -> dict[str, Any]:
        """The target's parameter values from the source's, as nested lists."""
        ...


@dataclass(frozen=True, slots=True)
class ParameterMap:
    """All parameters of a target format as formulas in the parameters of a source format."""

    assignments: tuple[Assignment, ...]

    @property
    def entry_degree(self) -> int:
        """The largest degree of an entry in the source's parameters: blocks are products of two at most."""
        return 2

    @property
    def lines(self) -> tuple[str, ...]:
        """One line a parameter."""
        return tuple(assignment.text for assignment in self.assignments)

    def apply(
        self,
        values: Mapping[str, Any],
        *,
        dim: int,
        constant: Constant = lambda number: number,
    ) -> dict[str, Any]:
        """The target's parameter values, as nested lists.

        Args:
            values: the source's parameter values (rows of a row sum under names of their own, as `unrolled_values` gives).
            dim: the input width d.
            constant: turns the map's rational coefficients into scalars.
        """
        return {a.parameter.name: a.value(values, dim, constant) for a in self.assignments}


def zero(parameter: Parameter, *, row_blocks: int, column_blocks: int) -> Assignment:
    """The assignment that sets a parameter to zero."""
    return Assignment(parameter, tuple((Combination(),) * column_blocks for _ in range(row_blocks)))


def constants_last(terms: Sequence[tuple[Fraction, Formula]]) -> tuple[tuple[Fraction, Formula], ...]:
    """The terms with those in 1 and I last, as one writes ``W_a + I``."""
    return tuple(sorted(terms, key=lambda term: term[1].stem in ("1", "I")))


def _scalar(combination: Combination, values: Mapping[str, Any], dim: int, constant: Constant) -> Any:
    total = constant(Fraction(0))
    for coefficient, formula in combination.terms:
        total = total + constant(coefficient) * formula.compute(values, dim)
    return total


def _block(
    combination: Combination, shape: tuple[int, ...], values: Mapping[str, Any], dim: int, constant: Constant
) -> Any:
    total = _zeros(shape)
    for coefficient, formula in combination.terms:
        total = _add_scaled(total, formula.compute(values, dim), constant(coefficient))
    return total


def _zeros(shape: tuple[int, ...]) -> Any:
    return [_zeros(shape[1:]) for _ in range(shape[0])] if shape else 0


def _add_scaled(total: Any, value: Any, factor: Any) -> Any:
    if isinstance(total, list):
        return [_add_scaled(t, v, factor) for t, v in zip(total, value, strict=True)]
    # The value may be a plain 0 or 1 while the factor is a ring element of another type.
    return total if isinstance(value, int) and value == 0 else factor * value + total


def _beside(parts: Sequence[Any]) -> list[Any]:
    return [[entry for part in parts for entry in part[r]] for r in range(len(parts[0]))]


def _merged(column: Sequence[Combination]) -> str | None:
    """The text of stacked blocks that are the consecutive rows of one formula, or None."""
    patterns = []
    for j, combination in enumerate(column):
        pattern = []
        for coefficient, formula in combination.terms:
            whole = formula.stem == "1" and formula.block is None
            if not whole and (formula.block != j or formula.blocks != len(column)):
                return None
            pattern.append((coefficient, formula.stem))
        patterns.append(pattern)
    return sum_text(patterns[0], times=" ") if all(pattern == patterns[0] for pattern in patterns) else None


def _rows_text(block: int, blocks: int) -> str:
    if blocks == 2:
        return ":d/2" if block == 0 else "d/2:"
    return f"block {block + 1} of {blocks}"
