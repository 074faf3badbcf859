"""What a building block computes, as data: a small closed language that a certificate is written in.

A term is an operation with its arguments: other terms, a name, or numbers. Two readers give it its meaning, and share no code:
`Term.__call__`, for the search, and `qnn_theory.checking.terms`, for whoever doubts the search. A certificate
has two more, for maps that are read off coefficients: ``slope F`` and ``value F`` of a formula F in the source's parameters.

================== ==========================================================================================
``parameter name`` a parameter of the source
``one``            the number 1
``ones n``         the vector of d/n ones
``identity n``     the unit matrix of size d/n
``columns M c``    columns c d to (c + 1) d of a matrix
``rows v j n``     rows j d/n to (j + 1) d/n of a vector, a matrix or of matrices
``hadamard v w``   v ⊙ w
``apply M v``      M v
``compose M N``    M N
``scale_rows v M`` diag(v) M
``scale_columns``  M diag(v)
``outer M N``      the matrix (row k of M)ᵀ (row k of N), for every k
``diagonals M N``  diag(row k of M) N, for every k
``scale_forms``    v_k times the k-th matrix
================== ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Argument: TypeAlias = "Term | str | int"


@dataclass(frozen=True, slots=True)
class Term:
    """A vector, a matrix or matrices, made of a source's parameters.

    Attributes:
        operation: a name of the table above.
        arguments: what it is applied to.
    """

    operation: str
    arguments: tuple[Argument, ...] = ()

    def __call__(self, values: Mapping[str, Any], dim: int) -> Any:
        """The value, nested lists, from the source's parameter values and d."""
        if self.operation == "parameter":
            return values[str(self.arguments[0])]
        arguments = [a(values, dim) if isinstance(a, Term) else a for a in self.arguments]
        return _OPERATIONS[self.operation](dim, *arguments)

    @property
    def data(self) -> list[Any]:
        """Plain values for JSON: ``["apply", ["parameter", "W_a"], ["parameter", "b_b"]]``."""
        return [self.operation, *(a.data if isinstance(a, Term) else a for a in self.arguments)]


def parameter(name: str) -> Term:
    """A parameter of the source."""
    return Term("parameter", (name,))


def dot(a: Sequence[Any], b: Sequence[Any]) -> Any:
    """Σ a_i b_i over any ring."""
    total: Any = 0
    for left, right in zip(a, b, strict=True):
        total = left * right + total
    return total


def _scale_rows(dim: int, vector: Any, matrix: Any) -> Any:
    return [[factor * entry for entry in row] for factor, row in zip(vector, matrix, strict=True)]


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "one": lambda dim: 1,
    "ones": lambda dim, parts: [1] * (dim // parts),
    "identity": lambda dim, parts: [[int(i == j) for j in range(dim // parts)] for i in range(dim // parts)],
    "columns": lambda dim, matrix, block: [row[block * dim : (block + 1) * dim] for row in matrix],
    "rows": lambda dim, value, block, parts: value[block * (dim // parts) : (block + 1) * (dim // parts)],
    "hadamard": lambda dim, v, w: [a * b for a, b in zip(v, w, strict=True)],
    "apply": lambda dim, matrix, vector: [dot(row, vector) for row in matrix],
    "compose": lambda dim, left, right: [[dot(row, c) for c in zip(*right, strict=True)] for row in left],
    "scale_rows": _scale_rows,
    "scale_columns": lambda dim, matrix, vector: [[e * f for e, f in zip(row, vector, strict=True)] for row in matrix],
    "outer": lambda dim, left, right: [
        [[a * b for b in second] for a in first] for first, second in zip(left, right, strict=True)
    ],
    "diagonals": lambda dim, rows, matrix: [_scale_rows(dim, row, matrix) for row in rows],
    "scale_forms": lambda dim, vector, forms: [
        [[factor * entry for entry in row] for row in form] for factor, form in zip(vector, forms, strict=True)
    ],
}
