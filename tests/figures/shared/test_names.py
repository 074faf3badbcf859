"""Names and numbers as a reader sees them."""

from __future__ import annotations

import pytest

from figures.shared.names import joined, printed, short_count, two_digits


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (0.5, "0.5"), (999, "999"), (1000, "1 k"), (1024, "1.02 k"), (20_000, "20 k"), (500_000, "500 k"),
        (3e6, "3 M"), (8.19e6, "8.19 M"), (2e9, "2 G"), (5e10, "50 G"),
    ],
)  # fmt: skip
def test_large_numbers_have_a_unit(value: float, text: str) -> None:
    assert short_count(value) == text
    assert short_count(value, gap="") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1.00"), (0.004, "0.00"), (-0.004, "0.00"), (-0.03, "−0.03"), (-1.239, "−1.24")]
)
def test_two_digits_have_a_true_minus_and_zero_has_none(value: float, text: str) -> None:
    assert two_digits(value) == text


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        (["T1"], "T1"),
        (["T1", "T2"], "T1, T2"),
        (["T1", "T2", "T3"], "T1–T3"),
        (["T9", "T10", "T11", "T13", "QNN-alpha"], "T9–T11, T13, QNN-α"),
        (["T17", "T17-paper", "T18"], "T17, T17-paper, T18"),
        (["Mine", "Tail"], "Mine, Tail"),
    ],
)
def test_runs_of_formats_are_drawn_together(ids: list[str], text: str) -> None:
    assert joined(ids, width=80) == text


def test_a_name_that_nobody_translated_stays_as_it_is() -> None:
    assert printed("my-data_1") == "my-data_1"
