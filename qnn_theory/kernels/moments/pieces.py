"""Into how many pieces of one law a vector falls, and how a head-major permutation moves them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from qnn_theory.grammar.expr import Concat, HeadMajor, Slice, walk
from qnn_theory.grammar.widths import divisor, head_major_order, width
from qnn_theory.kernels.moments.layer_rules import NoRuleError

PIECE_LIMIT = 64


def piece_count(expr: Any, ratios: Sequence[Fraction]) -> int:
    """The smallest number of pieces of d that every part of every layer is a whole number of."""
    step = divisor(expr)
    for count in range(1, PIECE_LIMIT + 1):
        if all((ratio * count).denominator == 1 and (ratio * count) % step == 0 for ratio in ratios[:-1]) and (
            (ratios[-1] * count).denominator == 1
        ):
            return count
    raise NoRuleError(f"The kernels cut a vector in at most {PIECE_LIMIT} pieces, however: this stack needs more.")


def cycles(expr: Any, permutations: set[HeadMajor], dim: int, depth: int) -> list[tuple[int, int]]:
    """Lengths of the permutation's cycles, with how many coordinates lie on such; long ones as if they had no end."""
    if any(isinstance(node, Slice | Concat) for node in walk(expr)) or width(expr) != 1:
        raise NoRuleError(
            "A head-major permutation has a rule in formats without blocks, however: this one joins or cuts some."
        )
    layouts = {(node.heads, node.embedding_dim) for node in permutations}
    if len(layouts) > 1 or any(width(node.of) != 1 for node in permutations):
        raise NoRuleError(
            "A head-major permutation has a rule where there is one of width d, however: there are several."
        )
    ((heads, embedding_dim),) = layouts
    order = head_major_order(dim, heads=heads, embedding_dim=embedding_dim)
    longest = 2 * depth + 1
    seen = [False] * dim
    counts: dict[int, int] = {}
    for start in range(dim):
        length, at = 0, start
        while not seen[at]:
            seen[at] = True
            at, length = order[at], length + 1
        if length:
            size = min(length, longest)
            counts[size] = counts.get(size, 0) + length
    return sorted(counts.items())


def shifts(sizes: Sequence[int]) -> tuple[int, ...]:
    """On each cycle a piece takes the next one."""
    order: list[int] = []
    for size in sizes:
        start = len(order)
        order += [start + (k + 1) % size for k in range(size)]
    return tuple(order)
