"""What a card says of a network at its start is what the kernels say, with a warning where the signal is lost."""

from __future__ import annotations

import math

import pytest

import qnn_theory as qt
from qnn_theory.cards import signal_rows
from qnn_theory.cards.format_card import format_card
from qnn_theory.cards.signal_rows import EMBEDDING_DIM, EMBEDDING_STD, FIELDS, gain_text, orders_text, start_signals


@pytest.mark.parametrize("id", ["T9", "T5", "T4", "Linear", "CrossNetV2", 'x * affine("W") ** 2 + x'])
def test_gains_and_orders_are_those_of_the_kernels(id: str) -> None:
    signals, why = start_signals(qt.get_format(id))
    assert [signal.depth for signal in signals] == list(range(1, len(signals) + 1))
    assert len(signals) == 4 or "takes longer" in why
    for signal in signals[:2]:
        setting = {
            "fields": FIELDS,
            "embedding_dim": EMBEDDING_DIM,
            "embedding_std": EMBEDDING_STD,
            "depth": signal.depth,
        }
        kernel = qt.covariance(id, width_correction=False, **setting)  # type: ignore[arg-type]
        assert signal.gain == pytest.approx(kernel.values[-1] / EMBEDDING_STD**2, rel=1e-6)
        assert math.fsum(signal.shares) == pytest.approx(1)


@pytest.mark.parametrize(
    ("id", "warning"),
    [("T5", "the signal dies from depth 2"), ("T1", "the signal explodes from depth 2"), ("T9", None)],
)
def test_a_lost_signal_is_a_warning(id: str, warning: str | None) -> None:
    text = gain_text(*start_signals(qt.get_format(id)))
    assert (warning in text) if warning else ("warning" not in text)


def test_a_node_without_a_rule_says_so() -> None:
    signals, why = start_signals(qt.get_format('x * relu(x * affine("W"))'))
    assert signals == []
    assert "relu of an expression with other parts" in why
    card = format_card('x * relu(x * affine("W"))', neighbours=False)
    assert card.data["start"]["beyond"] == why


def test_a_slow_depth_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal_rows, "_SECONDS", -1.0)
    signals, why = start_signals(qt.get_format("T9"))
    assert [signal.depth for signal in signals] == [1]
    assert why == "depth 2 takes longer; ask qt.interaction_spectrum"
    assert "(depth 1)" in gain_text(signals, why)
    assert orders_text(signals[0]).startswith("1: 92.0%, 2: 8.0%")
