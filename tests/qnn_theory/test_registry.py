"""Formats asked for by id with activations attached, and the widths they are shown at."""

from __future__ import annotations

import pytest

import qnn_theory as qt
from qnn_theory.grammar.widths import check_dim, smallest_width
from qnn_theory.registry import get_format


def test_activations_attached_to_an_id() -> None:
    assert get_format("T9") is qt.get_format("T9")
    assert (
        get_format("T19~gelu+relu6").expr
        == qt.with_post_activation(qt.with_mid_activation(qt.get_format("T19"), "gelu"), "relu6").expr
    )
    assert get_format("QNN-alpha-released").id == "QNN-alpha-released"
    with pytest.raises(ValueError, match=r"one of relu, .*, however: 'softmax' in 'T9\+softmax'"):
        get_format("T9+softmax")
    with pytest.raises(KeyError, match="nearest is 'T9'"):
        get_format("T99+relu")


def test_the_smallest_width_is_accepted() -> None:
    for format in qt.formats():
        for least in (1, 2, 5):
            width = smallest_width(format.expr, least)
            check_dim(format.expr, width)
            assert least <= width
    assert smallest_width(qt.get_format("T13").expr, 5) == 6
