"""What the theory says beside the measurements: the same at every width where it says so, and soon."""

from __future__ import annotations

import time

import pytest

from qnn_theory.feature_spaces.feature_space import feature_space
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import formats
from studies.declaring.load import load_config
from studies.declaring.plan import plan
from studies.declaring.theory_columns import LARGEST_DEGREE, STACK_DIM, theory_columns


@pytest.mark.parametrize("depth", [1, 2])
def test_the_degree_of_a_stack_is_the_same_at_every_width(depth: int) -> None:
    checked = 0
    for format in formats():
        if STACK_DIM % divisor(format.expr) == 0 and 2 % divisor(format.expr) == 0:
            assert (
                feature_space(format, dim=2, depth=depth).degree
                == feature_space(format, dim=STACK_DIM, depth=depth).degree
            )
            checked += 1
    assert checked > 30


def test_columns_of_every_study_take_seconds() -> None:
    """Eight layers have a degree, but their monomials are not counted."""
    deep = [spec for spec in plan(load_config("scalability")) if spec.option("layers") == 8]
    started = time.process_time()
    columns = theory_columns(deep[0])
    assert time.process_time() - started < 30
    assert columns["theory_degree"] == 256 > LARGEST_DEGREE
    assert columns["theory_support_stack_d8"] is None
    assert columns["theory_support"] is not None
