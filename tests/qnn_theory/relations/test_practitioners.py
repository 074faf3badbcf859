"""Relations of practitioners' formats against answers derived by hand: none is wrong, and what stays open is known by kind."""

from __future__ import annotations

from collections import Counter

import pytest

import qnn_theory as qt
from tests.qnn_theory.relations.practitioners import BY_HAND, FORMATS, STAY_OPEN

DECIDED = [entry for entry in BY_HAND if entry[:2] not in STAY_OPEN]
SAMPLE = [entry for entry in DECIDED if "ffn" not in f"{entry[0]} {entry[1]}"][::9]
MOST_OPEN = 18


def kind(first: str, second: str) -> str:
    return qt.relation(FORMATS.get(first, first), FORMATS.get(second, second), budget=None).kind


def test_the_list_is_large_and_sound() -> None:
    assert len(FORMATS) >= 60
    assert len(BY_HAND) >= 150
    pairs = [frozenset(entry[:2]) for entry in BY_HAND]
    assert len(set(pairs)) == len(pairs)
    assert {name for entry in BY_HAND for name in entry[:2]} >= set(FORMATS)
    assert all(why for *_, why in BY_HAND)
    assert STAY_OPEN.keys() <= {entry[:2] for entry in BY_HAND}
    assert len(STAY_OPEN) <= MOST_OPEN
    for formula in FORMATS.values():
        qt.get_format(formula)


@pytest.mark.parametrize(("first", "second", "answer", "why"), SAMPLE)
def test_decided_as_by_hand(first: str, second: str, answer: str, why: str) -> None:
    assert kind(first, second) == answer, why


@pytest.mark.slow
def test_no_answer_is_wrong_and_what_stays_open_is_known() -> None:
    found = {entry[:2]: (kind(*entry[:2]), entry[2]) for entry in BY_HAND}
    wrong = {pair: answers for pair, answers in found.items() if answers[0] not in ("open", answers[1])}
    assert not wrong
    open = {pair for pair, (answer, _) in found.items() if answer == "open"}
    print(f"{len(open)} of {len(found)} open: {Counter(STAY_OPEN.get(pair, 'new') for pair in open)}")
    assert open <= STAY_OPEN.keys()
