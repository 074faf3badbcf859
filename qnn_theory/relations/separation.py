"""Separation F_a ⊄ F_b: an explicit function of a, and a property of all functions of b that it lacks.

Every invariant below is a function from two formats to a `Separation` or None; `find_separation` asks them in turn, the easiest
to follow first. None of them knows a format: each reads the two expressions, so it also places a format that a user adds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from qnn_theory.algebra.deadline import check
from qnn_theory.grammar.format import Format
from qnn_theory.relations.invariants.coefficients import by_coefficients, by_polynomial_members
from qnn_theory.relations.invariants.dimensions import by_dimension
from qnn_theory.relations.invariants.equations import by_equations
from qnn_theory.relations.invariants.factors import by_factors
from qnn_theory.relations.invariants.half_spaces import by_half_spaces
from qnn_theory.relations.invariants.hinges import by_hinge_balance, by_hinge_signs
from qnn_theory.relations.invariants.kinks import by_kinks
from qnn_theory.relations.invariants.output_width import by_width
from qnn_theory.relations.invariants.pair import Pair, Separation
from qnn_theory.relations.invariants.ranks import by_rank
from qnn_theory.relations.invariants.shared_squares import by_shared_squares
from qnn_theory.relations.invariants.signs import by_sign
from qnn_theory.relations.invariants.smooth_gates.complex_plane import by_complex_plane
from qnn_theory.relations.invariants.smooth_gates.fans import by_directions
from qnn_theory.relations.invariants.smooth_gates.finite_differences import by_finite_differences
from qnn_theory.relations.invariants.smooth_gates.shells import by_shell
from qnn_theory.relations.invariants.smooth_gates.tails import by_sides, by_tails
from qnn_theory.relations.invariants.smoothness_class import by_smoothness

Effort: TypeAlias = Literal["quick", "thorough", "all"]

_QUICK: tuple[Callable[[Pair], Separation | None], ...] = (
    by_width,
    by_smoothness,
    by_coefficients,
    by_sign,
    by_rank,
    by_tails,
)
_THOROUGH: tuple[Callable[[Pair], Separation | None], ...] = (
    by_factors,
    by_kinks,
    by_half_spaces,
    by_hinge_signs,
    by_hinge_balance,
    by_finite_differences,
    by_complex_plane,
    by_polynomial_members,
    by_dimension,
    by_shared_squares,
    by_equations,
    by_sides,
    by_directions,
)


def find_separation(
    source: Format, target: Format, *, minimal: bool = True, effort: Effort = "all"
) -> Separation | None:
    """A reason why some function of `source` is none of `target`, or None when no invariant shows one.

    Args:
        source: the format that should have the function.
        target: the format that should not.
        minimal: make the witness sparse and small; otherwise the first that was drawn.
        effort: ask all invariants, only the quick ones or only the others.
    """
    pair = Pair(source, target, minimal)
    for invariant in {"quick": _QUICK, "thorough": _THOROUGH, "all": _QUICK + _THOROUGH}[effort]:
        check()
        found = invariant(pair)
        if found is not None:
            return found
    if effort == "quick":
        return None
    return by_shell(pair, lambda a, b: find_separation(a, b, minimal=minimal))
