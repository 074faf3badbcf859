"""Rank and kernels of numpy matrices: exact over GF(p), or in float64 with a stated tolerance and a gap check.

The same questions over two kinds of scalars, so that one computation of Jacobians serves polynomial formats (exactly) and
formats with an activation (numerically). Matrices are 2-d arrays: int64 in [0, p) over GF(p), float64 otherwise.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Protocol, TypeAlias

import flint
import numpy as np
import numpy.typing as npt

from qnn_theory.algebra.modular import PRIME

Array: TypeAlias = npt.NDArray[Any]

TOLERANCE = 1e-9
"""Singular values below this fraction of the largest count as zero."""


class Scalars(Protocol):
    """Arithmetic and linear algebra over one kind of scalars."""

    exact: bool

    def parameters(self, generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """A random value of a parameter of this shape, inputs last."""

    def points(self, generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Random points, one a row."""

    def enough(self, points: int) -> int:
        """How many points to draw so that this many of them count."""

    def balanced(self, matrix: Array) -> Array:
        """The matrix with its rows scaled to comparable lengths, where lengths mean something."""

    def constant(self, factor: Fraction) -> Any:
        """A rational number as a scalar."""

    def reduce(self, values: Array) -> Array:
        """Values after one addition or multiplication, brought back to canonical form."""

    def total(self, values: Array, axis: int) -> Array:
        """The sum along an axis."""

    def matmul(self, a: Array, b: Array) -> Array:
        """The matrix product of 2-d arrays."""

    def vanishes(self, values: Array) -> bool:
        """Whether all values are zero."""

    def rank(self, matrix: Array) -> int:
        """The rank."""

    def kernel(self, matrix: Array) -> Array:
        """A basis of {v : matrix v = 0}, one vector a row."""

    def annihilator(self, matrix: Array) -> Array:
        """A basis of {u : u matrix = 0}, one vector a row."""


class PrimeField:
    """GF(p), exact."""

    exact = True

    def __init__(self, prime: int = PRIME) -> None:
        self.prime = prime

    def parameters(self, generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Uniform scalars other than zero."""
        return generator.integers(1, self.prime, shape)

    def points(self, generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Uniform points."""
        return self.parameters(generator, shape)

    def enough(self, points: int) -> int:
        """As many: every generic point counts."""
        return points

    def balanced(self, matrix: Array) -> Array:
        """The matrix itself: sizes mean nothing modulo p."""
        return matrix

    def constant(self, factor: Fraction) -> int:
        """A rational number modulo p."""
        return factor.numerator * pow(factor.denominator, -1, self.prime) % self.prime

    def reduce(self, values: Array) -> Array:
        """Values modulo p."""
        reduced: Array = values % self.prime
        return reduced

    def total(self, values: Array, axis: int) -> Array:
        """The sum along an axis, of at most 2^32 canonical values."""
        return self.reduce(values.sum(axis=axis))

    def matmul(self, a: Array, b: Array) -> Array:
        """The product by BLAS: 16-bit halves in float64, whose sums of up to 2^21 products are exact."""
        a_high, a_low = (part.astype(np.float64) for part in (a >> 16, a & 0xFFFF))
        b_high, b_low = (part.astype(np.float64) for part in (b >> 16, b & 0xFFFF))
        high = (a_high @ b_high).astype(np.int64) % self.prime
        middle = (a_high @ b_low + a_low @ b_high).astype(np.int64) % self.prime
        low = (a_low @ b_low).astype(np.int64) % self.prime
        product: Array = (((high << 16) + middle) % self.prime * (1 << 16) + low) % self.prime
        return product

    def vanishes(self, values: Array) -> bool:
        """Whether all values are zero modulo p."""
        return not values.any()

    def rank(self, matrix: Array) -> int:
        """The rank by elimination modulo p."""
        return int(self._flint(matrix).rank()) if matrix.size else 0

    def kernel(self, matrix: Array) -> Array:
        """A basis of the right kernel, exact."""
        rows, columns = matrix.shape
        if not rows or not columns:
            return np.eye(columns, dtype=np.int64)
        solutions, nullity = self._flint(matrix).nullspace()  # the basis is in the first `nullity` columns
        entries = solutions.entries()
        basis = [[int(entries[i * columns + j]) for i in range(columns)] for j in range(nullity)]
        return np.array(basis, dtype=np.int64).reshape(nullity, columns)

    def annihilator(self, matrix: Array) -> Array:
        """A basis of the left kernel, exact."""
        return self.kernel(matrix.T)

    def _flint(self, matrix: Array) -> Any:
        return flint.nmod_mat(matrix.shape[0], matrix.shape[1], matrix.ravel().tolist(), self.prime)


class Reals:
    """float64: a singular value counts as zero below `TOLERANCE` times the largest one (or times 1, where all are small).

    Attributes:
        smallest_gap: the smallest ratio seen between the last singular value that counted and the first that did not (or the
            rounding error, where all counted); a rank is trustworthy where this is large.
    """

    exact = False

    def __init__(self) -> None:
        self.smallest_gap = math.inf

    def parameters(self, generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Random signs, sizes from 1/2 to 3/2 over the root of the inputs: no gate is far from the origin."""
        sizes = generator.uniform(0.5, 1.5, shape) / math.sqrt(shape[-1] if shape else 1)
        values: Array = np.asarray(sizes * generator.choice([-1.0, 1.0], shape))
        return values

    def points(self, generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Normal directions at radii from 1/2 to 8, so that every gate is seen open and closed."""
        radii: Array = 2 ** generator.uniform(-1, 3, (shape[0], 1))
        points: Array = generator.standard_normal(shape) * radii
        return points

    def enough(self, points: int) -> int:
        """Four times as many and at least 256: at most points some gates are closed."""
        return max(4 * points, 256)

    def balanced(self, matrix: Array) -> Array:
        """The rows scaled to length 1, so that far points do not drown near ones; zero rows stay."""
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        balanced: Array = matrix / np.where(lengths > 0, lengths, 1)
        return balanced

    def constant(self, factor: Fraction) -> float:
        """A rational number, rounded."""
        return float(factor)

    def reduce(self, values: Array) -> Array:
        """The values themselves."""
        return values

    def total(self, values: Array, axis: int) -> Array:
        """The sum along an axis."""
        total: Array = values.sum(axis=axis)
        return total

    def matmul(self, a: Array, b: Array) -> Array:
        """The matrix product."""
        product: Array = a @ b
        return product

    def vanishes(self, values: Array) -> bool:
        """Whether all values are rounding errors of numbers around 1."""
        return bool((np.abs(values) < 1e-7).all())

    def rank(self, matrix: Array) -> int:
        """The number of singular values above the tolerance."""
        return self._count(np.linalg.svd(matrix, compute_uv=False)) if matrix.size else 0

    def kernel(self, matrix: Array) -> Array:
        """An orthonormal basis of the right kernel."""
        if not matrix.size:
            return np.eye(matrix.shape[1])
        square = np.linalg.qr(matrix, mode="r") if matrix.shape[0] > matrix.shape[1] else matrix
        _, values, rows = np.linalg.svd(square, full_matrices=True)
        basis: Array = rows[self._count(values) :]
        return basis

    def annihilator(self, matrix: Array) -> Array:
        """An orthonormal basis of the left kernel."""
        return self.kernel(matrix.T)

    def _count(self, values: Array) -> int:
        if not len(values):
            return 0
        scale = max(float(values[0]), 1.0)
        counted = int((values > TOLERANCE * scale).sum())
        if counted:
            floor = float(np.finfo(np.float64).eps) * scale
            noise = max(float(values[counted]), floor) if counted < len(values) else floor
            self.smallest_gap = min(self.smallest_gap, float(values[counted - 1]) / noise)
        return counted
