"""Values so far below the rest that an axis which held them would hide all else."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

REACH = 3.0
"""How many interquartile ranges below the lower quartile a value may lie."""


def floor_of(values: Iterable[float]) -> float:
    """The smallest of the values that is no outlier; an axis or a colour scale may start there."""
    known = np.sort(np.array(list(values), dtype=float))
    lower, upper = np.quantile(known, (0.25, 0.75))
    return float(known[known >= lower - REACH * (upper - lower)][0])
