from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import qnn_theory as qt
from qnn_theory.grammar.expr import uses_activation
from qnn_theory.kernels.moments.layer_rules import NoRuleError

SETTING = {"fields": 8, "embedding_dim": 16, "depth": 3, "embedding_std": 0.8}


@pytest.mark.parametrize(
    ("format", "shares"),
    [
        ("T9", [0.12, 0.26, 0.31, 0.21, 0.08]),
        ("T8", [0.12, 0.26, 0.31, 0.21, 0.08]),
        ("T23", [0.12, 0.26, 0.31, 0.21, 0.08]),
        ("T19", [0.57, 0.25, 0.12, 0.04]),
        ("T5", [0, 0, 0.02, 0.17, 0.42]),
        ("Linear", [1, 0, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_published_prototype(format, shares):
    found = qt.interaction_spectrum(format, **SETTING).shares
    assert found[0] == 0
    assert sum(found) == pytest.approx(1)
    assert list(found[1 : len(shares) + 1]) == pytest.approx(shares, abs=0.006)


def test_the_constant_part():
    assert qt.interaction_spectrum("T4", **SETTING).constant == pytest.approx(0.44, abs=0.006)
    assert qt.interaction_spectrum("T9", **SETTING).constant == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("format", [format.id for format in qt.formats()])
def test_the_variances_are_those_of_the_kernel(format):
    """Σ_k C(s, k)/C(f, k) V_k = K(s), no variance is negative, and orders end where the support ends."""
    fields = 4
    arguments = {"fields": fields, "embedding_dim": 4, "depth": 2, "embedding_std": 0.5}
    kernel = qt.covariance(format, width_correction=False, **arguments).values
    spectrum = qt.interaction_spectrum(format, **arguments)
    for s in range(fields + 1):
        value = sum(math.comb(s, k) / math.comb(fields, k) * v for k, v in enumerate(spectrum.variance))
        assert value == pytest.approx(kernel[s], abs=1e-9 * kernel[-1])
    assert min(spectrum.variance) > -1e-9 * kernel[-1]
    found = qt.get_format(format)
    if not uses_activation(found.expr):
        monomials = qt.feature_space(found, dim=fields, depth=2).monomials
        order = max(sum(1 for exponent in monomial if exponent) for monomial in monomials)
        assert spectrum.shares[order] > 1e-7
        assert all(abs(share) < 1e-10 for share in spectrum.shares[order + 1 :])


@pytest.mark.parametrize("format", ["T9", "T4", "T19", "T30"])
def test_two_valued_fields_have_the_eigenvalues_of_the_boolean_cube(format):
    """Yang & Salman: the kernel is diagonal in products of signs; brute force over the cube."""
    fields = 5
    arguments = {"fields": fields, "embedding_dim": 4, "depth": 2, "embedding_std": 0.6}
    kernel = qt.covariance(format, width_correction=False, **arguments).values
    found = qt.interaction_spectrum(format, collision=0.5, **arguments).variance
    cube = np.array(list(itertools.product([1, -1], repeat=fields)))
    values = np.array([kernel[int(np.sum(row == 1))] for row in cube])
    for order in range(fields + 1):
        sign = np.prod(cube[:, :order], axis=1)
        eigenvalue = np.mean(values * sign)
        assert found[order] == pytest.approx(math.comb(fields, order) * eigenvalue, abs=1e-9 * kernel[-1])


def test_many_fields_lose_no_digits():
    """Differences of forty numbers would: the variances of a polynomial of degree 8 are zero above 8."""
    found = qt.interaction_spectrum("T9", fields=39, embedding_dim=16, depth=3, embedding_std=0.8)
    assert max(map(abs, found.shares[9:])) < 1e-13
    relu = qt.interaction_spectrum("T19", fields=200, embedding_dim=4, depth=3, embedding_std=0.8)
    assert sum(relu.shares) == pytest.approx(1)
    assert min(relu.shares) > -1e-8


def test_the_tangent_kernel_has_a_spectrum_too():
    found = qt.interaction_spectrum("T9", kernel="tangent", **SETTING)
    values = qt.tangent_kernel("T9", **SETTING).values
    assert sum(found.variance) == pytest.approx(values[-1])
    assert found.variance[0] == pytest.approx(values[0], abs=1e-9)
    assert found.shares[1] < qt.interaction_spectrum("T9", **SETTING).shares[1]


def test_a_finite_width_spectrum_belongs_to_the_finite_width_kernel():
    arguments = {"fields": 6, "embedding_dim": 32, "depth": 2, "embedding_std": 0.5}
    found = qt.interaction_spectrum("T23", width_correction=True, **arguments)
    kernel = qt.covariance("T23", **arguments)
    for s in range(7):
        value = sum(math.comb(s, k) / math.comb(6, k) * v for k, v in enumerate(found.variance))
        assert value == pytest.approx(kernel.values[s], rel=1e-3)
    assert found.variance[0] > 0  # rows that share nothing are correlated by the weights' diagonal


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"collision": 1.0}, "probability of a collision"),
        ({"kernel": "neural"}, "'covariance' or 'tangent'"),
        ({"kernel": "tangent", "width_correction": True}, "at leading order"),
        ({"post_activation": "relu"}, "relu of an expression with other parts"),
        ({"format": "T21", "width_correction": True}, "1/d term is smaller"),
    ],
)
def test_what_has_no_spectrum_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        qt.interaction_spectrum(**{"format": "T9", **SETTING, **arguments})


def test_a_slope_for_all_coordinates_has_no_tangent_rule():
    with pytest.raises(NoRuleError, match="slope of a prelu"):
        qt.tangent_kernel("T19~prelu", fields=4)
