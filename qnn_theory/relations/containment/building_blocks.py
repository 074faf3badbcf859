"""The natural building blocks that a format offers for a parameter of another: its own maps, I, and products of two of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from qnn_theory.grammar.widths import Parameter, Role
from qnn_theory.relations.containment.parameter_map import Formula
from qnn_theory.relations.containment.terms import Term, parameter
from qnn_theory.relations.containment.terms import dot as dot


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
                found = [Formula(p.name, parameter(p.name)) for p in self._parameters if p.role == "slope"]
                found.append(Formula("1", Term("one")))
        return sorted(found, key=lambda formula: formula.block not in (None, row_block))

    # Whole parameters: (stem, compute, number of row blocks). Columns of joined inputs are offered one part at a time.

    def _whole_vectors(self) -> Iterator[tuple[Fraction, Formula]]:
        for p in self._parameters:
            if p.role in ("bias", "bilinear_bias", "scale"):
                yield p.axes[0], Formula(p.name, parameter(p.name))

    def _whole_matrices(self) -> Iterator[tuple[Fraction, Fraction, Formula]]:
        yield Fraction(1), Fraction(1), Formula("I", Term("identity", (1,)))
        for p in self._parameters:
            if p.role != "affine":
                continue
            out, inner = p.axes
            yield out, inner, Formula(p.name, parameter(p.name))
            if inner > 1 and inner.denominator == 1:
                for c in range(int(inner)):
                    columns = Term("columns", (parameter(p.name), c))
                    yield out, Fraction(1), Formula(f"{p.name}[:, {_columns_text(c, int(inner))}]", columns)

    def _cut(self, rows: Fraction, whole: Formula) -> Iterator[Formula]:
        blocks = rows * self._parts
        if blocks == 1:
            yield whole
        elif blocks.denominator == 1:
            for j in range(int(blocks)):
                yield Formula(whole.stem, Term("rows", (_term(whole), j, self._parts)), block=j, blocks=int(blocks))

    def _vectors(self) -> Iterator[Formula]:
        ones = Formula("1", Term("ones", (self._parts,)))
        simple = [formula for rows, whole in self._whole_vectors() for formula in self._cut(rows, whole)]
        yield ones
        yield from simple
        if not self._products:
            return
        for i, left in enumerate(simple):
            for right in simple[i:]:
                yield _composed(left, right, "{0}⊙{1}", "hadamard")
        for rows, columns, whole in self._whole_matrices():
            for matrix in self._cut(rows, whole) if whole.stem != "I" else ():
                for length, vector in self._whole_vectors():
                    if length == columns:
                        yield _composed(matrix, vector, "{0} {1}", "apply", whole_right=True)

    def _simple_matrices(self, columns: Fraction) -> Iterator[Formula]:
        for rows, inner, whole in self._whole_matrices():
            if inner == columns:
                yield from self._cut(rows, whole)
        if columns != 1 and columns * self._parts == 1:
            yield Formula("I", Term("identity", (self._parts,)))

    def _matrices(self, columns: Fraction) -> Iterator[Formula]:
        simple = list(self._simple_matrices(columns))
        yield from simple
        if not self._products:
            return
        vectors = [formula for rows, whole in self._whole_vectors() for formula in self._cut(rows, whole)]
        for matrix in simple:
            for vector in vectors:
                stem = "diag({0})" if matrix.stem == "I" else "diag({0}) {1}"
                yield _composed(vector, matrix, stem, "scale_rows")
            for length, vector in self._whole_vectors():
                if length == columns and matrix.stem != "I":
                    yield _composed(matrix, vector, "{0} diag({1})", "scale_columns", whole_right=True)
        for rows, inner, whole in self._whole_matrices():
            for middle, right_columns, right in self._whole_matrices():
                if middle == inner and right_columns == columns and "I" not in (whole.stem, right.stem):
                    for left in self._cut(rows, whole):
                        yield _composed(left, right, "{0} {1}", "compose", whole_right=True)

    def _bilinears(self, left: Fraction, right: Fraction) -> Iterator[Formula]:
        own = [
            formula
            for p in self._parameters
            if p.role == "bilinear" and p.axes[1:] == (left, right)
            for formula in self._cut(p.axes[0], Formula(p.name, parameter(p.name)))
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
                        yield _composed(block, matrix, stem, "diagonals", whole_right=True)
        for one in lefts:
            for other in rights:
                yield _composed(one, other, "{0}[k]ᵀ {1}[k]", "outer")
        vectors = [formula for rows, whole in self._whole_vectors() for formula in self._cut(rows, whole)]
        for vector in vectors:
            for form in own:
                yield _composed(vector, form, "{0}[k] {1}[k]", "scale_forms")


def _composed(left: Formula, right: Formula, stem: str, operation: str, *, whole_right: bool = False) -> Formula:
    term = Term(operation, (_term(left), _term(right)))
    if whole_right or (left.block, left.blocks) == (right.block, right.blocks):
        return Formula(stem.format(left.stem, right.stem), term, left.block, left.blocks)
    return Formula(stem.format(left.text, right.text), term)


def _term(formula: Formula) -> Term:
    if not isinstance(formula.compute, Term):
        raise TypeError(
            f"A building block of building blocks is a term, however: {formula.stem} is {formula.compute!r}."
        )
    return formula.compute


def _columns_text(block: int, blocks: int) -> str:
    if blocks == 2:
        return ":d" if block == 0 else "d:"
    return f"block {block + 1} of {blocks}"
