"""Relations of practitioners' formats against answers derived by hand: none is wrong, and what stays open is counted by kind."""

from __future__ import annotations

from collections import Counter

import pytest

import qnn_theory as qt
from tests.qnn_theory.relations.practitioners import BY_HAND, FORMATS, OPEN, SLOW

QUICK = [entry for entry in BY_HAND if entry[:2] not in OPEN and entry[:2] not in SLOW]


def kind(first: str, second: str, budget: float | None = None) -> str:
    return qt.relation(FORMATS.get(first, first), FORMATS.get(second, second), budget=budget).kind
