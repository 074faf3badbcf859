"""The time budget of a pair: an open verdict that says so, nothing that lingers, nothing that is remembered wrongly."""

from __future__ import annotations

import threading
import time

import pytest
from click.testing import CliRunner

import qnn_theory as qt
from qnn_theory.algebra.deadline import BudgetSpentError, budget, check, limit
from qnn_theory.relations.certificates import Undecided
from studies.commands.theory import relate

QUICK = 'x * affine("Q_1", affine("Q_2", width=1/2)) + x'
LONG = 'row_sum(6, relu(affine("U") * affine("V")) * affine("W", relu(affine("P", width=2))))'


def test_an_open_verdict_says_that_it_is_the_budgets() -> None:
    found = qt.relation(QUICK, "T1", budget=1e-9)
    assert found.kind == "open"
    assert isinstance(found.certificate.forward, Undecided)
    assert "budget of 1e-09 s" in str(found.certificate)
    assert "(open: budget)" in str(found.certificate)
    assert found.certificate.to_dict()["forward"]["budget"] == 1e-9


def test_a_spent_budget_is_not_remembered() -> None:
    assert qt.relation(QUICK, "T9", budget=1e-9).kind == "open"
    assert qt.relation(QUICK, "T9").kind == "contained"
    assert qt.relation(QUICK, "T9", budget=1e-9).kind == "contained"  # but an answer is


def test_registered_pairs_do_not_depend_on_the_machine() -> None:
    assert qt.relation("T28", "T29", budget=1e-9) == qt.relation("T28", "T29")
    assert qt.relation("T28", "T29", budget=1e-9).kind != "open"


def test_a_long_pair_ends_in_time_and_leaves_nothing_running() -> None:
    threads = threading.active_count()
    started = time.monotonic()
    for target in ("T24", LONG.replace("6", "5")):
        qt.relation(LONG, target, budget=2.0)
    assert time.monotonic() - started < 30  # a step is bounded, and this machine may be shared
    assert threading.active_count() == threads


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_budget_is_a_positive_number(seconds: float) -> None:
    with pytest.raises(ValueError, match="positive number of seconds"):
        qt.relation("T9", "T1", budget=seconds)


def test_budgets_nest_and_end() -> None:
    check()
    with budget(1e-9):
        time.sleep(0.001)
        with pytest.raises(BudgetSpentError):
            check()
        with budget(None):
            check()
        assert limit(100, per_second=10**12) == 100
        assert limit(10**6, per_second=10) == 0
    check()
    assert limit(10**6, per_second=10) == 10**6


def test_the_command_has_a_budget() -> None:
    runner = CliRunner()
    spent = runner.invoke(relate, ['x * affine("R_1", affine("R_2", width=1/2)) + x', "T1", "--budget", "1e-9"])
    assert spent.exit_code == 0
    assert "budget" in spent.output
    assert runner.invoke(relate, ["T9", "T1", "--budget", "0"]).exit_code == 2
