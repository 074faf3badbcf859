"""Parameter maps: the parameters of one format as formulas in the parameters of another.

A map is what a reader checks with pen and paper: ``W_a' = W_a + I``, ``b_a' = b_a + alpha - 1``. Each parameter is cut into
blocks of rows where a format joins halves (``[P; Q]`` stacks P over Q) and into blocks of columns where a map reads a joined
vector (``[P | Q]``); each block is a rational combination of a few natural building blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from qnn_theory.grammar.widths import Parameter, Role

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
        return _sum_text([(coefficient, formula.text) for coefficient, formula in self.terms])


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


@dataclass(frozen=True, slots=True)
class ParameterMap:
    """All parameters of a target format as formulas in the parameters of a source format."""

    assignments: tuple[Assignment, ...]

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


class BuildingBlocks:
    """The building blocks that a source format offers, by shape.

    Args:
        parameters: the source's parameters (of its normal form, so none is inside a row sum).
        parts: how many blocks of rows a vector of width d is cut into.
        products: also offer products of two of the source's parameters, as ``diag(b_a) W_b``.
    """

    def __init__(self, parameters: Sequence[Parameter], *, parts: int, products: bool) -> None:
        self._parameters, self._parts, self._products = tuple(parameters), parts, products

    def of(self, role: Role, axes: tuple[Fraction, ...], *, row_block: int) -> list[Formula]:
        """The building blocks of one block of rows of a parameter, the simplest first.

        Args:
            role: the parameter's role.
            axes: the shape of the block's rows: empty for a scalar, else ``(rows, columns...)`` as multiples of d.
            row_block: position of the block, to offer the same rows of the source first.
        """
        match role:
            case "bias" | "bilinear_bias" | "scale":
                found = list(self._vectors())
            case "affine":
                found = list(self._matrices(axes[1]))
            case "bilinear":
                found = list(self._bilinears(axes[1], axes[2]))
            case "slope":
                found = [
                    Formula(p.name, lambda values, dim, name=p.name: values[name])  # type: ignore[misc]
                    for p in self._parameters
                    if p.role == "slope"
                ] + [Formula("1", lambda values, dim: 1)]
        return sorted(found, key=lambda formula: formula.block not in (None, row_block))

    # Whole parameters: (stem, compute, number of row blocks). Columns of joined inputs are offered one part at a time.

    def _whole_vectors(self) -> Iterator[tuple[Fraction, Formula]]:
        for p in self._parameters:
            if p.role in ("bias", "bilinear_bias", "scale"):
                yield p.axes[0], Formula(p.name, _parameter(p.name))

    def _whole_matrices(self) -> Iterator[tuple[Fraction, Fraction, Formula]]:
        yield Fraction(1), Fraction(1), Formula("I", lambda values, dim: _identity(dim))
        for p in self._parameters:
            if p.role != "affine":
                continue
            out, inner = p.axes
            yield out, inner, Formula(p.name, _parameter(p.name))
            if inner > 1 and inner.denominator == 1:
                for c in range(int(inner)):
                    yield out, Fraction(1), Formula(f"{p.name}[:, {_columns_text(c, int(inner))}]", _columns(p.name, c))

    def _cut(self, rows: Fraction, whole: Formula) -> Iterator[Formula]:
        blocks = rows * self._parts
        if blocks == 1:
            yield whole
        elif blocks.denominator == 1:
            for j in range(int(blocks)):
                yield Formula(whole.stem, _row_block(whole.compute, j, self._parts), block=j, blocks=int(blocks))

    def _vectors(self) -> Iterator[Formula]:
        ones = Formula("1", lambda values, dim: [1] * (dim // self._parts))
        simple = [formula for rows, whole in self._whole_vectors() for formula in self._cut(rows, whole)]
        yield ones
        yield from simple
        if not self._products:
            return
        for i, left in enumerate(simple):
            for right in simple[i:]:
                yield _composed(left, right, "{0}⊙{1}", lambda v, w: [a * b for a, b in zip(v, w, strict=True)])
        for rows, columns, whole in self._whole_matrices():
            for matrix in self._cut(rows, whole) if whole.stem != "I" else ():
                for length, vector in self._whole_vectors():
                    if length == columns:
                        yield _composed(matrix, vector, "{0} {1}", _matrix_times_vector, whole_right=True)

    def _simple_matrices(self, columns: Fraction) -> Iterator[Formula]:
        for rows, inner, whole in self._whole_matrices():
            if inner == columns:
                yield from self._cut(rows, whole)
        if columns != 1 and columns * self._parts == 1:
            yield Formula("I", lambda values, dim: _identity(dim // self._parts))

    def _matrices(self, columns: Fraction) -> Iterator[Formula]:
        simple = list(self._simple_matrices(columns))
        yield from simple
        if not self._products:
            return
        vectors = [formula for rows, whole in self._whole_vectors() for formula in self._cut(rows, whole)]
        for matrix in simple:
            for vector in vectors:
                stem = "diag({0})" if matrix.stem == "I" else "diag({0}) {1}"
                yield _composed(vector, matrix, stem, _diagonal_times_matrix)
            for length, vector in self._whole_vectors():
                if length == columns and matrix.stem != "I":
                    yield _composed(matrix, vector, "{0} diag({1})", _matrix_times_diagonal, whole_right=True)
        for rows, inner, whole in self._whole_matrices():
            for middle, right_columns, right in self._whole_matrices():
                if middle == inner and right_columns == columns and "I" not in (whole.stem, right.stem):
                    for left in self._cut(rows, whole):
                        yield _composed(left, right, "{0} {1}", _matrix_times_matrix, whole_right=True)

    def _bilinears(self, left: Fraction, right: Fraction) -> Iterator[Formula]:
        own = [
            formula
            for p in self._parameters
            if p.role == "bilinear" and p.axes[1:] == (left, right)
            for formula in self._cut(p.axes[0], Formula(p.name, _parameter(p.name)))
        ]
        yield from (Formula(f"{f.stem}[k]", f.compute, f.block, f.blocks) for f in own)
        if not self._products:
            return
        lefts, rights = list(self._simple_matrices(left)), list(self._simple_matrices(right))
        for rows, inner, whole in self._whole_matrices():
            for square, columns, matrix in self._whole_matrices():
                if inner == square == left and columns == right and whole.stem != "I":
                    stem = "diag({0}[k])" if matrix.stem == "I" else "diag({0}[k]) {1}"
                    for block in self._cut(rows, whole):
                        yield _composed(block, matrix, stem, _diagonal_of_rows_times_matrix, whole_right=True)
        for one in lefts:
            for other in rights:
                yield _composed(one, other, "{0}[k]ᵀ {1}[k]", _outer_of_rows)
        vectors = [formula for rows, whole in self._whole_vectors() for formula in self._cut(rows, whole)]
        for vector in vectors:
            for form in own:
                yield _composed(vector, form, "{0}[k] {1}[k]", _scaled_forms)


def zero(parameter: Parameter, *, row_blocks: int, column_blocks: int) -> Assignment:
    """The assignment that sets a parameter to zero."""
    return Assignment(parameter, tuple((Combination(),) * column_blocks for _ in range(row_blocks)))


def _composed(
    left: Formula,
    right: Formula,
    stem: str,
    operation: Callable[[Any, Any], Any],
    *,
    whole_right: bool = False,
) -> Formula:
    def compute(values: Mapping[str, Any], dim: int) -> Any:
        return operation(left.compute(values, dim), right.compute(values, dim))

    if whole_right:
        return Formula(stem.format(left.stem, right.stem), compute, left.block, left.blocks)
    if (left.block, left.blocks) == (right.block, right.blocks):
        return Formula(stem.format(left.stem, right.stem), compute, left.block, left.blocks)
    return Formula(stem.format(left.text, right.text), compute)


def _parameter(name: str) -> Compute:
    return lambda values, dim: values[name]


def _columns(name: str, block: int) -> Compute:
    return lambda values, dim: [row[block * dim : (block + 1) * dim] for row in values[name]]


def _row_block(compute: Compute, block: int, parts: int) -> Compute:
    def value(values: Mapping[str, Any], dim: int) -> Any:
        size = dim // parts
        return compute(values, dim)[block * size : (block + 1) * size]

    return value


def _identity(dim: int) -> list[list[int]]:
    return [[int(i == j) for j in range(dim)] for i in range(dim)]


def _dot(a: Sequence[Any], b: Sequence[Any]) -> Any:
    total: Any = 0
    for left, right in zip(a, b, strict=True):
        total = left * right + total
    return total


def _matrix_times_vector(matrix: Any, vector: Any) -> Any:
    return [_dot(row, vector) for row in matrix]


def _matrix_times_matrix(left: Any, right: Any) -> Any:
    return [[_dot(row, column) for column in zip(*right, strict=True)] for row in left]


def _diagonal_times_matrix(vector: Any, matrix: Any) -> Any:
    return [[factor * entry for entry in row] for factor, row in zip(vector, matrix, strict=True)]


def _matrix_times_diagonal(matrix: Any, vector: Any) -> Any:
    return [[entry * factor for entry, factor in zip(row, vector, strict=True)] for row in matrix]


def _outer_of_rows(left: Any, right: Any) -> Any:
    return [[[a * b for b in second] for a in first] for first, second in zip(left, right, strict=True)]


def _diagonal_of_rows_times_matrix(rows: Any, matrix: Any) -> Any:
    return [_diagonal_times_matrix(row, matrix) for row in rows]


def _scaled_forms(vector: Any, forms: Any) -> Any:
    return [[[factor * entry for entry in row] for row in form] for factor, form in zip(vector, forms, strict=True)]


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
    return _sum_text(patterns[0]) if all(pattern == patterns[0] for pattern in patterns) else None


def _sum_text(terms: Sequence[tuple[Fraction, str]]) -> str:
    text = ""
    for coefficient, stem in terms:
        size = abs(coefficient)
        part = stem if size == 1 else str(size) if stem == "1" else f"{size} {stem}"
        mark = "-" if coefficient < 0 else "+"
        text = f"{text} {mark} {part}" if text else (f"-{part}" if coefficient < 0 else part)
    return text or "0"


def _rows_text(block: int, blocks: int) -> str:
    if blocks == 2:
        return ":d/2" if block == 0 else "d/2:"
    return f"block {block + 1} of {blocks}"


def _columns_text(block: int, blocks: int) -> str:
    if blocks == 2:
        return ":d" if block == 0 else "d:"
    return f"block {block + 1} of {blocks}"
