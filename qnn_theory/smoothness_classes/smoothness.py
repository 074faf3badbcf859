r"""Smoothness class of a format: how often it is continuously differentiable, where it has kinks, how large the first jump is.

Claim: for all parameter values the stack is C^r, and where `exact` is set, for an open set of parameters it is not C^(r+1);
`witness` is such a choice of parameters, with a point and a direction along which derivative r + 1 jumps.

The bound follows one kink set at a time, by the composition rules of `near_kink`: where two sides of the set {s = 0} differ
first at s^m, f^+ - f^- divides by s^m, so f = f^- + relu(s)^m·(...) is C^(m-1), and the m-th derivative along v jumps by
m!·C·(∂_v s)^m. An argument that keeps its sign has no kink: relu of a square is the square. What cancels is left out before
(`grammar.cancelling`): relu(s) - relu(-s) is s.

Exactness is shown by `one_sided.find_witness`. Source of the question: li2025qnn argues with smoothness but does not define it.
Checked in tests/qnn_theory/smoothness_classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction
from functools import lru_cache, total_ordering

from qnn_theory.grammar.cancelling.cancellation import cancelled
from qnn_theory.grammar.expr import Activation, ActivationKind, Concat, Expr, walk
from qnn_theory.grammar.format import Format, with_mid_activation, with_post_activation
from qnn_theory.grammar.rewrite import replace as rewrite
from qnn_theory.grammar.stacking import fill_parameters, layer_widths, parameter_count
from qnn_theory.grammar.widths import smallest_width
from qnn_theory.registry import get_format
from qnn_theory.smoothness_classes.kinks import Kink, kinks
from qnn_theory.smoothness_classes.layer_analysis import KINKED
from qnn_theory.smoothness_classes.near_kink import Formula
from qnn_theory.smoothness_classes.one_sided import Witness, find_witness

KINKED_DEPTH_LIMIT = 20
"""The largest number of layers that kinks are followed through; numbers on the way have 2^layers digits."""

_WITNESS_PARAMETERS = 20_000  # of a stack; a larger one is given no witness, so its class is a lower bound


@total_ordering
class Analytic(Enum):
    """The order of a function without a kink; above every integer."""

    ANALYTIC = "analytic"

    def __repr__(self) -> str:
        return "ANALYTIC"

    __str__ = __repr__

    def __lt__(self, other: object) -> bool:
        return False if isinstance(other, int | Analytic) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return isinstance(other, int) if isinstance(other, int | Analytic) else NotImplemented


ANALYTIC = Analytic.ANALYTIC


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothness:
    """Smoothness class of a stack of layers of one format.

    Attributes:
        order: the largest r such that the stack is C^r, or `ANALYTIC`; 0 is continuous but not C^1.
        exact: whether `order` cannot be raised; otherwise it is a lower bound.
        kinks: the kink sets, the least smooth first; empty when analytic.
        witness: parameters, point and direction where derivative order + 1 jumps.
    """

    order: int | Analytic
    exact: bool
    kinks: tuple[Kink, ...]
    witness: Witness | None

    @property
    def first_jump(self) -> Formula | None:
        """The jump of derivative order + 1 across the first kink set, as a formula; None when analytic."""
        return next((kink.jump for kink in self.kinks if kink.jump is not None), None)


def smoothness(
    format: str | Format,
    *,
    depth: int = 1,
    post_activation: ActivationKind | None = None,
    mid_activation: ActivationKind | None = None,
) -> Smoothness:
    """Smoothness class of a stack of layers.

    Args:
        format: a registered id or a format of your own.
        depth: number of layers.
        post_activation: activation after every layer, the last one included.
        mid_activation: takes the place of every activation inside the format.

    Returns:
        The class, with its kink sets and a witness.

    Raises:
        KeyError: unknown id.
        ValueError: depth below 1, or above `KINKED_DEPTH_LIMIT` for a format with kinks.
    """
    chosen = get_format(format)
    if mid_activation is not None:
        chosen = with_mid_activation(chosen, mid_activation)
    return _smoothness(with_post_activation(chosen, post_activation), depth)


@lru_cache(maxsize=4096)
def _smoothness(format: Format, depth: int) -> Smoothness:
    widths = layer_widths(format, dim=smallest_width(format.expr, 2), depth=depth)
    kinked = any(isinstance(node, Activation) and node.kind in KINKED for node in walk(format.expr))
    if kinked and depth > KINKED_DEPTH_LIMIT:
        raise ValueError(
            f"Kinks are followed through at most {KINKED_DEPTH_LIMIT} layers, however: {format.id} at depth={depth}; "
            "use fewer layers."
        )
    expr = cancelled(rewrite(format.expr, _into_parts))
    found = kinks(expr, depth)
    if not found:
        return Smoothness(order=ANALYTIC, exact=True, kinks=(), witness=None)
    found.sort(key=lambda pair: (pair[0].order, pair[0].jump is None, pair[0].layer))
    order = found[0][0].order
    targets = [target for kink, targets in found if kink.order == order for target in targets]
    smooth = any(isinstance(node, Activation) and node.kind not in KINKED for node in walk(expr))
    witness = None
    ways = (False,) if smooth else (True, False)
    for exact in ways if parameter_count(expr, widths) <= _WITNESS_PARAMETERS else ():
        witness = find_witness(expr, widths=widths, targets=targets, derivative=order + 1, exact=exact)
        if witness is not None:
            witness = _with_all_parameters(witness, format.expr, widths)
            break
    return Smoothness(order=order, exact=witness is not None, kinks=tuple(kink for kink, _ in found), witness=witness)


def _with_all_parameters(witness: Witness, expr: Expr, widths: Sequence[int]) -> Witness:
    """The parameters that cancelled are there too, as zeros: a reader evaluates the format as it was given."""
    zeros = [fill_parameters(expr, dim=dim, entry=lambda name, index: Fraction(0)) for dim in widths[:-1]]
    return replace(
        witness, parameters=tuple({**other, **own} for other, own in zip(zeros, witness.parameters, strict=True))
    )


def _into_parts(node: Expr) -> Expr:
    """An activation of joined parts is the joined activations of the parts."""
    match node:
        case Activation(of=Concat(parts=parts)):
            return Concat(parts=tuple(replace(node, of=part) for part in parts))
        case _:
            return node
