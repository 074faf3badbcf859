"""The neighbours of a format, against answers derived by hand."""

from __future__ import annotations

import pytest

import qnn_theory as qt
from qnn_theory.cards.nearest import nearest


def names(format: str, where: str, **more: float) -> set[str]:
    return {neighbour.id for neighbour in getattr(nearest(qt.get_format(format), **more), where)}


@pytest.mark.parametrize(
    ("format", "same"),
    [
        ('x * affine("P") * sigmoid(affine("Q")) + x', {"GDCN"}),
        ('affine("P") * (affine("Q") + 1)', {"T5", "Bilinear", "Pi-NCP"}),
        ('x * affine("P") + 2 * x', {"T9", "T22", "CrossNetV2", "T17-paper", "Pi-CCP"}),
        ("T5", {"Bilinear", "Pi-NCP"}),
        ("SwiGLU", set()),  # no other name
        ("Bilinear", {"T5", "Pi-NCP"}),
    ],
)
def test_equivalent(format: str, same: set[str]) -> None:
    assert names(format, "equivalent") == same


def test_above_and_below() -> None:
    """T9 is x (w + 1): a product of two maps (T5), and with a free map beside it T10; a map's rank d/2 makes it smaller."""
    narrow = 'x * affine("V", affine("U", width=1/2)) + x'
    assert "T9" in names(narrow, "above")
    assert not {"T1", "T5", "T10", "Linear"} & names(narrow, "above")  # above T9
    assert names("GDCN", "below") >= {"T9", "GateNet"}
    assert not {"T5", "T10"} & names("GDCN", "below")
    assert names("T9", "below") == set()
    assert {"T5", "T10"} <= names("T9", "above")
    assert not {"T1", "T7", "T8"} & names("T9", "above")  # above T5


def test_without_time_nothing_is_placed_but_what_is_known() -> None:
    hurried = nearest(qt.get_format('x * affine("NEVER_SEEN") * sigmoid(affine("Q")) + x'), seconds=1e-9)
    assert not (hurried.equivalent or hurried.above or hurried.below)
    assert {neighbour.id for neighbour in hurried.open} >= {"T9", "T5", "GLU"}
    assert names("T9", "equivalent", seconds=1e-9) >= {"T22"}


def test_a_format_beyond_the_limits_says_so() -> None:
    with pytest.raises(ValueError, match="Relations are computed up to"):
        nearest(qt.get_format("x ** 16 * x ** 16 * x"))
