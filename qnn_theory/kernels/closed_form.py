"""Covariance kernels of polynomial formats as SymPy polynomials."""

from __future__ import annotations

from typing import Any, TypeAlias

from qnn_theory.grammar.expr import ActivationKind, HeadMajor, walk
from qnn_theory.grammar.format import Format, with_post_activation
from qnn_theory.grammar.widths import divisor
from qnn_theory.kernels.moments.layer_rules import NoRuleError
from qnn_theory.kernels.moments.stack import Stack
from qnn_theory.kernels.setting import blocks_are_alike
from qnn_theory.registry import get_format

Formula: TypeAlias = Any  # a SymPy expression; SymPy ships no types


def covariance_formula(
    format: str | Format, *, depth: int = 1, post_activation: ActivationKind | None = None
) -> Formula:
    """The leading order of K as a SymPy polynomial in t = s / f, `sigma` and `d`.

    `sigma` is the embeddings' standard deviation; the width `d` occurs where a format has a bilinear map.

    Raises:
        NoRuleError: the format is no polynomial.
    """
    import sympy

    given = with_post_activation(get_format(format), post_activation)
    if any(isinstance(node, HeadMajor) for node in walk(given.expr)):
        raise NoRuleError(
            "A closed form has a rule where no coordinates are permuted, however: head_major depends on d."
        )
    t, sigma, d = (sympy.Symbol(name) for name in ("t", "sigma", "d"))
    stack = Stack(
        given,
        fields=divisor(given.expr) ** depth,
        embedding_dim=1,
        depth=depth,
        second_moment=sigma**2,
        share=t,
        dim=d,
    )
    if any(stack.mixes(level) for level in range(1, depth + 1)) or not blocks_are_alike(given, depth):
        raise NoRuleError(
            "A closed form in t has a rule where the kernel depends on how many fields agree, however: this format has blocks "
            "for which it matters which."
        )
    return sympy.expand(stack.kernel(depth))
