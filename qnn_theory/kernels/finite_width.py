r"""The 1/d term of a kernel, and how much it varies from draw to draw.

An overlap Q^k = (1/d) Σ_i A^k(ω_i; Q^{<k}) is a mean over coordinates that are independent given the overlaps before it, on which
the variances of the coordinates' Gaussians depend. With E^k(Q) the mean of A^k, δ^k the deviation of Q^k from its limit and
D^k = A^k - E A^k + Σ_j ∂_j E^k D^j the deviation that one coordinate causes (its influence), the second-order delta method gives

    d · Cov(δ^k, δ^l) = Cov(D^k, D^l)
    d · E[δ^k] = Σ_j ∂_j E^k d E[δ^j] + ½ Σ_jl ∂_j ∂_l E^k d Cov(δ^j, δ^l) + Σ_j Cov(∂_j A^k, D^j).

Derivatives by an overlap are derivatives by the arguments (Price's theorem), so all of it is moments of one coordinate. The
covariances are those of coordinates given in which fields the rows agree, as that is no accident of the draw.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from qnn_theory.kernels.moments.laws import Entry, Pattern, Value, Weight
from qnn_theory.kernels.moments.stack import Stack


class FiniteWidth:
    """The fluctuations of a stack's overlaps, to first order in 1/d.

    Args:
        stack: the moments.
        targets: overlaps that are asked for beside those that laws depend on.
    """

    def __init__(self, stack: Stack, targets: tuple[Entry, ...]) -> None:
        stack.check_maps_are_fresh()
        self.stack = stack
        self.size = np.size(stack.share)
        needed = {entry for entry in stack.entries() if entry.level <= max(target.level for target in targets)}
        self.entries = sorted(needed | set(targets), key=stack.order_of)
        self.position = {entry: k for k, entry in enumerate(self.entries)}
        self._sources = needed

    @cached_property
    def slopes(self) -> Any:
        """``∂_j E^k``; shape (share, k, j)."""
        return self._table(2, lambda k, j: self.stack.mean_of(k, (j,)) if self._earlier(j, k) else 0)

    @cached_property
    def influences(self) -> Any:
        """D in terms of the centred A: the inverse of 1 - slopes."""
        return np.linalg.inv(np.eye(len(self.entries)) - self.slopes)

    @cached_property
    def fresh(self) -> Any:
        """``Cov(A^k, A^j)`` for coordinates."""
        lower = self._table(2, lambda k, j: self._covariance(k, (), j) if self._at_or_before(j, k) else 0)
        return lower + np.swapaxes(np.tril(lower, -1), 1, 2)

    @cached_property
    def covariances(self) -> Any:
        """``d · Cov(δ^k, δ^j)``."""
        return self.influences @ self.fresh @ np.swapaxes(self.influences, 1, 2)

    @cached_property
    def shifts(self) -> Any:
        """``d · E[δ^k]``; shape (share, k)."""
        count = len(self.entries)
        own = np.zeros((self.size, count), dtype=self._dtype)
        for k, entry in enumerate(self.entries):
            before = [j for j in range(k) if self._earlier(self.entries[j], entry)]
            for position, j in enumerate(before):
                for other in before[position:]:
                    second = self.stack.mean_of(entry, (self.entries[j], self.entries[other]))
                    own[:, k] += (0.5 if j == other else 1) * second * self.covariances[:, j, other]
                for m in range(j + 1):
                    if np.any(self.influences[:, j, m]):
                        mixed = self._covariance(entry, (self.entries[j],), self.entries[m])
                        own[:, k] += mixed * self.influences[:, j, m]
        return (self.influences @ own[:, :, None])[:, :, 0]

    def shift(self, entry: Entry) -> Any:
        """``d · E[δ]`` of one overlap."""
        return self.shifts[:, self.position[entry]]

    @property
    def _dtype(self) -> Any:
        return np.asarray(self.stack.share).dtype

    def _table(self, _axes: int, value: Any) -> Any:
        count = len(self.entries)
        table = np.zeros((self.size, count, count), dtype=self._dtype)
        for k, entry in enumerate(self.entries):
            for j, other in enumerate(self.entries[: k + 1]):
                table[:, k, j] = value(entry, other)
        return table

    def _earlier(self, j: Entry, k: Entry) -> bool:
        return j in self._sources and self.position[j] < self.position[k]

    def _at_or_before(self, j: Entry, k: Entry) -> bool:
        return self.position[j] <= self.position[k]

    def _covariance(self, k: Entry, marks: tuple[Entry, ...], j: Entry) -> Value:
        """``Cov(∂ A^k, A^j)`` over one coordinate of k and those of j that share a number with it."""
        stack = self.stack
        total: Value = 0
        for piece, weight in stack.counted(k):
            product = stack.product(Weight(k, piece))
            roots = stack.roots(k.level, product)
            touched = stack.touched(k.level, product)
            for other in range(len(stack.layers[j.level - 1].vectors[j.left])):
                second = stack.product(Weight(j, other))
                if touched.isdisjoint(stack.touched(j.level, second)):
                    continue
                all_roots: Pattern = roots | stack.roots(j.level, second)
                for pattern, share in stack.patterns(all_roots):
                    joint = stack.expect(k.level, product, pattern, marks, Weight(j, other))
                    apart = stack.expect(k.level, product, pattern, marks) * stack.expect(j.level, second, pattern)
                    total = total + weight * share * (joint - apart)
        return total
