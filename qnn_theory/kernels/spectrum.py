"""Variance by interaction order, from a kernel as a power series in the share of agreeing fields.

A kernel of two rows that agree on s of f fields has K(s) = Σ_k C(s, k) v_k, and V_k = C(f, k) v_k is the variance that k-way
interactions carry. Differences of forty numbers lose all digits, so V is taken from the series K = Σ_p c_p t^p, t = s/f, of which
no coefficient is negative at leading order: t^p is the probability that p draws among the fields all hit agreeing ones, so

    V_k = Σ_p c_p · P(p draws among f fields hit k distinct ones).

The coefficients are read off the kernel on a circle of complex t by a Fourier transform, which amplifies no rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

RADIUS = 0.97
POINTS = 512
POINT_LIMIT = 4096


def circle(degree: int | None) -> tuple[Any, float]:
    """Half a circle of complex shares (the other half is its conjugate), and its radius.

    Args:
        degree: of the kernel as a polynomial in t, or None where it is a series.
    """
    points, radius = POINTS, RADIUS
    if degree is not None and degree < POINT_LIMIT:
        points = 1 << max(3, degree.bit_length())
        radius = 1.0
    # Not through t = 1, where rows are equal and Gaussian pairs have no density.
    angles = 2 * np.pi * (np.arange(points // 2) + 0.5) / points
    return radius * np.exp(1j * angles), radius


def coefficients(values: Any, radius: float) -> Any:
    """The series of a kernel from its values on `circle`."""
    points = 2 * len(values)
    k = np.arange(points)
    whole = np.concatenate([values, np.conj(values[::-1])])
    return (np.fft.fft(whole) * np.exp(-1j * np.pi * k / points)).real / points / radius**k


def variances(series: Any, fields: int, total: float) -> tuple[float, ...]:
    """V_0 .. V_fields of a series; what the series lacks of the total lies in its highest power."""
    hits = np.zeros(fields + 1)
    hits[0] = 1
    result = np.zeros(fields + 1)
    k = np.arange(fields + 1)
    for coefficient in series:
        result += coefficient * hits
        missed = np.concatenate([[0.0], hits[:-1] * (fields - k[:-1]) / fields])
        hits = hits * k / fields + missed
    return tuple(float(v) for v in result + (total - float(np.sum(series))) * hits)


def with_collisions(variance: tuple[float, ...], collision: float) -> tuple[float, ...]:
    """The variances where two independent rows agree on a field with some probability, as with small vocabularies.

    Agreement on a field is then its mean, `collision`, plus a centred part of the rest, so each field of an interaction is
    lost to lower orders with that probability.
    """
    if not collision:
        return variance
    count = len(variance)
    spread = np.zeros((count, count))
    spread[0, 0] = 1
    for a in range(1, count):
        spread[a] = collision * spread[a - 1]
        spread[a, 1:] += (1 - collision) * spread[a - 1, :-1]
    return tuple(float(v) for v in np.array(variance) @ spread)
