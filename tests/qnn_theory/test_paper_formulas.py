"""Every registered expression is the paper's formula, written a second time by hand."""

from __future__ import annotations

import pytest

import qnn_theory as qt
from qnn_theory.grammar.format import Format
from tests.qnn_theory import format_checks
from tests.qnn_theory.paper_formulas import FORMULAS
from tests.qnn_theory.paper_ids import PAPER

FORMATS = [qt.get_format(id) for id in PAPER]


def test_every_format_of_the_paper_has_a_formula_by_hand() -> None:
    assert tuple(FORMULAS) == PAPER


@pytest.mark.parametrize("format", FORMATS, ids=lambda f: f.id)
def test_the_expression_is_the_formula(format: Format) -> None:
    assert format_checks.is_the_papers_formula(format)
    assert format_checks.has_the_papers_number_of_parameters(format)


@pytest.mark.parametrize("format", FORMATS, ids=lambda f: f.id)
def test_the_support_is_that_of_the_formula(format: Format) -> None:
    assert format_checks.has_the_monomials_of_its_formula(format)
