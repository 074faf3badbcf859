"""The natural building blocks that a format offers for a parameter of another: its own maps, I, and products of two of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from qnn_theory.grammar.widths import Parameter, Role
from qnn_theory.relations.containment.parameter_map import Compute, Formula


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


def dot(a: Sequence[Any], b: Sequence[Any]) -> Any:
    """Σ a_i b_i over any ring."""
    total: Any = 0
    for left, right in zip(a, b, strict=True):
        total = left * right + total
    return total


def _matrix_times_vector(matrix: Any, vector: Any) -> Any:
    return [dot(row, vector) for row in matrix]


def _matrix_times_matrix(left: Any, right: Any) -> Any:
    return [[dot(row, column) for column in zip(*right, strict=True)] for row in left]


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


def _columns_text(block: int, blocks: int) -> str:
    if blocks == 2:
        return ":d" if block == 0 else "d:"
    return f"block {block + 1} of {blocks}"
