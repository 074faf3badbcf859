"""Formats asked for by id with activations attached, and the widths they are shown at."""

from __future__ import annotations

import pytest

import qnn_theory as qt
from qnn_theory.cards.read_format import read_format, smallest_width
from qnn_theory.grammar.widths import check_dim


def test_activations_attached_to_an_id() -> None:
    assert read_format("T9") is qt.get_format("T9")
    assert (
        read_format("T19~gelu+relu6").expr
        == qt.with_post_activation(qt.with_mid_activation(qt.get_format("T19"), "gelu"), "relu6").expr
    )
    assert read_format("QNN-alpha-released").id == "QNN-alpha-released"
    with pytest.raises(ValueError, match=r"one of relu, .*, however: 'softmax' in 'T9\+softmax'"):
        read_format("T9+softmax")
    with pytest.raises(KeyError, match="nearest is 'T9'"):
        read_format("T99+relu")


def test_the_smallest_width_is_accepted() -> None:
    for format in qt.formats():
        for least in (1, 2, 5):
            width = smallest_width(format, least)
            check_dim(format.expr, width)
            assert least <= width
    assert smallest_width(qt.get_format("T13"), 5) == 6
