"""Which separations hold for limits too: the target does not even approach the function that it lacks.

Each reason below is about limits that are uniform on compact sets, at a fixed d. Where none is known the separation says nothing
about limits, whatever its rule is: a bound on smoothness, for instance, is lost when two kinks meet.
"""

from __future__ import annotations

from collections.abc import Callable

from qnn_theory.feature_spaces.pieces import is_piecewise_polynomial
from qnn_theory.grammar.expr import Expr, uses_activation
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import normal_form
from qnn_theory.registry import get_format
from qnn_theory.relations.certificates import CarriedSeparation
from qnn_theory.relations.invariants.coefficients import by_coefficients
from qnn_theory.relations.invariants.dimensions import by_dimension
from qnn_theory.relations.invariants.factors import by_factors
from qnn_theory.relations.invariants.kinks import by_kinks, has_affine_arguments, relus_of_outputs
from qnn_theory.relations.invariants.output_width import by_width
from qnn_theory.relations.invariants.pair import Pair, Separation
from qnn_theory.relations.invariants.ranks import by_rank
from qnn_theory.relations.invariants.signs import by_sign
from qnn_theory.relations.invariants.smoothness_class import by_smoothness
from qnn_theory.relations.limits.closed_classes import why_closed

CANDIDATES: tuple[Callable[[Pair], Separation | None], ...] = (
    by_width,
    by_smoothness,
    by_coefficients,
    by_sign,
    by_rank,
    by_factors,
    by_kinks,
    by_dimension,
)
"""The invariants whose separations may hold for limits."""

_OF_COEFFICIENTS = ("degree", "divisibility", "monomial", "fixed coefficient", "related coefficients", "rank")
_POLYNOMIALS = "polynomials of bounded degree form a space of finite dimension, which is closed, as the rule is in it"
_PIECES = (
    "a limit of functions with a bounded number of polynomial pieces is, on some ball within every open set, a limit of "
    "polynomials that obey the rule, and the rule is a closed condition"
)


def why_it_survives(separation: Separation, target: Format) -> str | None:
    """Why no limit of the target's functions is the separation's function; None where that is not known."""
    b = normal_form(target.expr)
    closed = why_closed(b)
    if closed is not None:
        return f"every limit of functions of {target.id} is one of its functions: {closed}"
    if isinstance(separation, CarriedSeparation):
        return _of_carried(separation)
    match separation.invariant:
        case "output width":
            return "limits have the same number of outputs"
        case "sign":
            return "a limit obeys the same inequality"
    if not uses_activation(b):
        if separation.invariant in (*_OF_COEFFICIENTS, "smoothness", "kinks", "sign"):
            return _POLYNOMIALS
        if separation.invariant == "factors":
            return "a limit of products of polynomials of bounded degree is one: scaled to size 1, the factors converge"
        if separation.invariant == "dimension":
            return "the closure of a set of polynomials with polynomial parameters has the same dimension"
        return None
    if not is_piecewise_polynomial(b):
        return None
    if separation.invariant in _OF_COEFFICIENTS:
        return _PIECES
    return _of_kinks(separation, b)


def _of_kinks(separation: Separation, b: Expr) -> str | None:
    """Separations from a format of relus of affine forms."""
    if separation.witness is None or not has_affine_arguments(b):
        return None
    outputs = [output for output, _ in separation.witness.outputs]
    relus = [relus_of_outputs(b, separation.witness.dim)[output] for output in outputs]
    one_kink = all(len(own) <= 1 for own in relus)
    match separation.invariant:
        case "smoothness" if one_kink:
            return (
                "with one relu an output is two polynomials, one on each side of a hyperplane; the hyperplanes and both "
                "polynomials converge, and how often their difference is divisible by the hyperplane's form survives"
            )
        case "kinks":
            data = separation.data
            if data is None:
                return None
            output = data["output"]
            every = relus_of_outputs(b, separation.witness.dim)
            count = len({relu for own in every for relu in own} if output is None else every[output])
            if len(data["hyperplanes"]) > count:
                return (
                    "the hyperplanes of the relus converge or leave every compact set, and off them a limit is smooth"
                )
    return None


def _of_carried(separation: CarriedSeparation) -> str | None:
    """From s ⊄ t, s ⊆ a and b ⊆ t: the limits of b are limits of t."""
    if separation.above is None:
        return None
    try:
        target = get_format(separation.carried.target)
    except (KeyError, ValueError):
        return None
    return why_it_survives(separation.carried, target)
