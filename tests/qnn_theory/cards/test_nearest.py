"""The neighbours of a format, against answers derived by hand."""

from __future__ import annotations

import pytest

import qnn_theory as qt
from qnn_theory.cards.nearest import nearest

NARROW = 'x * affine("V", affine("U", width=1/2)) + x'
GATED = 'x * affine("P") * sigmoid(affine("Q")) + x'
AMONG = ("T1", "T5", "T7", "T8", "T9", "T10", "T22", "Linear", "GLU", "GDCN", "GateNet", "DCNv2-low-rank")


def names(format: str, where: str, among: tuple[str, ...] = AMONG) -> set[str]:
    found = nearest(qt.get_format(format), among=[qt.get_format(id) for id in among], seconds=120)
    return {neighbour.id for neighbour in getattr(found, where)}


@pytest.mark.parametrize(
    ("format", "same"),
    [
        (GATED, {"GDCN"}),
        (NARROW, {"DCNv2-low-rank"}),
        ("SwiGLU", set()),  # no other name
        ("T5", {"Bilinear", "Pi-NCP"}),
        ("T9", {"T22", "Pi-CCP"}),
    ],
)
def test_equivalent(format: str, same: set[str]) -> None:
    assert names(format, "equivalent") == same


def test_above_and_below() -> None:
    """T9 is x (w + 1): a product of two maps (T5), and with a free map beside it T10; a map's rank d/2 makes it smaller."""
    assert "T9" in names(NARROW, "above")
    assert not {"T1", "T5", "T10", "Linear"} & names(NARROW, "above")  # above T9
    assert names(GATED, "below") >= {"T9", "GateNet"}
    assert not {"T5", "T10"} & names(GATED, "below")
    assert names("T9", "below") == {"DCNv2-low-rank"}
    assert {"T5", "T10"} <= names("T9", "above")
    assert not {"T1", "T7", "T8"} & names("T9", "above")  # above T5


def test_without_time_nothing_is_placed_but_what_is_known() -> None:
    hurried = nearest(qt.get_format('x * affine("NEVER_SEEN") * sigmoid(affine("Q")) + x'), seconds=1e-9)
    assert hurried.equivalent == hurried.above == hurried.below == ()
    assert {neighbour.id for neighbour in hurried.open} >= {"T9", "T5", "GLU"}
    known = nearest(qt.get_format("T9"), seconds=1e-9)
    assert {neighbour.id for neighbour in known.equivalent} == {"T22", "CrossNetV2", "T17-paper", "Pi-CCP"}
    assert known.open == ()


def test_a_format_beyond_the_limits_says_so() -> None:
    with pytest.raises(ValueError, match="Relations are computed up to"):
        nearest(qt.get_format("x ** 16 * x ** 16 * x"))
