"""Guards on the speed of the exact algebra, as ratios within one run."""

from __future__ import annotations

import time

import pytest
import sympy

from qnn_theory.feature_spaces.feature_space import FeatureSpace, _feature_space
from qnn_theory.feature_spaces.sparse_expansion import expand
from qnn_theory.feature_spaces.symbolic import inputs, to_sympy
from qnn_theory.registry import get_format

LEAST_SPEEDUP = 20
SECONDS_AT_DEPTH_3 = 5


def fresh_feature_space(id: str, dim: int, depth: int) -> FeatureSpace:
    """The computation itself, past the cache."""
    return _feature_space.__wrapped__(get_format(id), dim, depth)


@pytest.mark.parametrize(("id", "dim", "depth"), [("T9", 2, 3), ("T5", 2, 2), ("T16", 2, 2)])
def test_supports_are_much_faster_than_sympy_expand(benchmark, id: str, dim: int, depth: int) -> None:
    space = benchmark.pedantic(fresh_feature_space, args=(id, dim, depth), rounds=5)
    outputs = to_sympy(id, dim=dim, depth=depth)
    started = time.perf_counter()
    polynomials = [sympy.expand(output) for output in outputs]
    sympy_seconds = time.perf_counter() - started
    supports = tuple(frozenset(sympy.Poly(p, *inputs(dim)).monoms()) for p in polynomials)
    assert supports == space.per_coordinate
    started = time.perf_counter()
    assert expand(id, dim=dim, depth=depth).per_coordinate == supports
    expansion_seconds = time.perf_counter() - started
    benchmark.extra_info.update(sympy_s=sympy_seconds, expansion_s=expansion_seconds)
    assert sympy_seconds / benchmark.stats.stats.min >= LEAST_SPEEDUP
    assert sympy_seconds / expansion_seconds >= LEAST_SPEEDUP


@pytest.mark.parametrize("id", ["T9", "T16", "T21", "T27"])
def test_depth_3_at_width_8_is_exact_within_seconds(benchmark, id: str) -> None:
    space = benchmark.pedantic(fresh_feature_space, args=(id, 8, 3), rounds=1)
    assert space.dimension > 10_000
    assert benchmark.stats.stats.min < SECONDS_AT_DEPTH_3
