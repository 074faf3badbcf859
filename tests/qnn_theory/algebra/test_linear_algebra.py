"""Linear algebra over GF(p) against Python integers, and the float64 rank against its stated tolerance and gap."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn_theory.algebra.linear_algebra import TOLERANCE, PrimeField, Reals
from qnn_theory.algebra.modular import PRIME

FIELD = PrimeField()
ENTRIES = st.one_of(st.integers(0, 3), st.integers(PRIME - 3, PRIME - 1), st.integers(0, PRIME - 1))


def matrices(rows: int, columns: int) -> st.SearchStrategy[np.ndarray]:
    return st.lists(ENTRIES, min_size=rows * columns, max_size=rows * columns).map(
        lambda entries: np.array(entries, dtype=np.int64).reshape(rows, columns)
    )


@given(matrices(3, 5), matrices(5, 4))
def test_products_are_exact(a: np.ndarray, b: np.ndarray) -> None:
    expected = [[sum(int(x) * int(y) for x, y in zip(row, column, strict=True)) % PRIME for column in b.T] for row in a]
    assert FIELD.matmul(a, b).tolist() == expected


@given(matrices(4, 2), matrices(2, 6))
def test_kernels_vanish_and_have_the_right_size(a: np.ndarray, b: np.ndarray) -> None:
    matrix = FIELD.matmul(a, b)
    rank = FIELD.rank(matrix)
    assert rank <= 2
    kernel, annihilator = FIELD.kernel(matrix), FIELD.annihilator(matrix)
    assert (len(kernel), len(annihilator)) == (6 - rank, 4 - rank)
    assert FIELD.rank(kernel) == len(kernel)
    assert FIELD.vanishes(FIELD.matmul(matrix, kernel.T))
    assert FIELD.vanishes(FIELD.matmul(annihilator, matrix))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_empty_matrices(shape: tuple[int, int]) -> None:
    for scalars in (FIELD, Reals()):
        empty = np.zeros(shape, dtype=np.int64 if scalars.exact else np.float64)
        assert scalars.rank(empty) == 0
        assert scalars.kernel(empty).tolist() == np.eye(shape[1]).tolist()


def test_constants_and_sums() -> None:
    third = FIELD.constant(Fraction(1, 3))
    assert 3 * third % PRIME == 1
    assert FIELD.total(np.full((2, 5), PRIME - 1), 1).tolist() == [PRIME - 5] * 2


def test_a_float_rank_reports_how_close_it_was() -> None:
    generator = np.random.default_rng(0)
    low_rank = generator.standard_normal((30, 4)) @ generator.standard_normal((4, 9))
    reals = Reals()
    assert reals.rank(low_rank) == 4
    assert reals.smallest_gap > 1e10
    assert np.abs(low_rank @ reals.kernel(low_rank).T).max() < 1e-10
    assert np.abs(reals.annihilator(low_rank) @ low_rank).max() < 1e-10
    close = Reals()
    assert close.rank(np.diag([1.0, 5 * TOLERANCE, 0.2 * TOLERANCE])) == 2
    assert close.smallest_gap == pytest.approx(25)
