"""Widths along a stack and the filling of parameters."""

from __future__ import annotations

import numpy as np
import pytest

from qnn_theory.grammar.expr import affine, x, x0
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.stacking import fill_parameters, layer_widths
from qnn_theory.grammar.widths import divisor, parameters
from qnn_theory.registry import formats, get_format


@pytest.mark.parametrize("format", formats(), ids=lambda format: format.id)
def test_every_entry_of_every_parameter_is_filled_once(format: Format) -> None:
    dim = divisor(format.expr)
    seen: list[tuple[str, tuple[int, ...]]] = []
    filled = fill_parameters(format.expr, dim=dim, entry=lambda name, index: seen.append((name, index)) or len(seen))
    assert {p.name: np.shape(filled[p.name]) for p in parameters(format.expr)} == {
        p.name: p.shape(dim) for p in parameters(format.expr)
    }
    assert len(seen) == len(set(seen)) == sum(np.size(values) for values in filled.values())


def test_widths() -> None:
    assert layer_widths(get_format("T9"), dim=3, depth=4) == (3,) * 5
    assert layer_widths(get_format("T18-paper"), dim=3, depth=3) == (3, 6, 12, 24)


def test_errors_name_rule_and_value() -> None:
    with pytest.raises(ValueError, match="depth is a positive integer, however: depth=True"):
        layer_widths(get_format("T9"), dim=3, depth=True)
    with pytest.raises(ValueError, match="d must be even, however: d=3"):
        layer_widths(get_format("T14"), dim=3, depth=1)
    wide = Format("wide", x0 * affine("W_a") | x)
    assert layer_widths(wide, dim=3, depth=1) == (3, 6)
    with pytest.raises(ValueError, match="must keep the width of 3, however: a layer's output has width 6"):
        layer_widths(wide, dim=3, depth=2)
