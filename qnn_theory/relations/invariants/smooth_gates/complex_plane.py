"""Separation by what smooth gates are in the complex plane: gelu is entire, the others are quotients of exponentials with poles.

Along a line, sigmoid, silu, tanh and mish of affine forms are rational functions of t and of some exp(a t); mish is one since
tanh(log(1 + e^u)) = (e^2u + 2 e^u) / (e^2u + 2 e^u + 2). Three facts separate, each for a witness that is no polynomial, proved
in interval arithmetic:

* Poles. A function of such gates tends to polynomials exponentially fast on both ends of the line. Were it entire, it would be of
  exponential type, and a derivative of high order would decay exponentially on both ends: its Fourier transform would have
  compact support (Paley and Wiener) and be analytic, so it would be 0, and the function a polynomial. So it is not entire, as all
  functions of gelu gates are.
* Rate. A function of gelu gates differs from the polynomials that it tends to by a polynomial times e^(-c t²) at most; a rational
  function of t and exponentials that decays so fast is 0.
* Spacing. With one gate u = a t + b, sigmoid, silu and tanh have their poles, all but finitely many, at equal distances on one
  vertical line (e^u = -1, or e^2u = -1); mish has them at distances that alternate as 1 : 3 (e^u = -1 ± i).
"""

from __future__ import annotations

from collections.abc import Sequence

from qnn_theory.feature_spaces.degrees import degree_bound
from qnn_theory.grammar.expr import Activation, ActivationKind, Expr, walk
from qnn_theory.grammar.widths import width
from qnn_theory.relations.invariants.kinks import has_affine_gates, relus_of_outputs
from qnn_theory.relations.invariants.pair import Pair, Separation
from qnn_theory.relations.invariants.smooth_gates.finite_differences import no_polynomial, no_polynomial_data

_LOGISTIC: frozenset[ActivationKind] = frozenset(("sigmoid", "silu", "tanh"))
_MISH: frozenset[ActivationKind] = frozenset(("mish",))
_GELU: frozenset[ActivationKind] = frozenset(("gelu",))
_GATE_DIMS = (4, 6)


def by_complex_plane(pair: Pair) -> Separation | None:
    """Poles where the target has none, a rest that decays too fast, or poles at other distances."""
    ours, theirs = _kinds(pair.source.expr), _kinds(pair.b)
    if not ours or not theirs or not has_affine_gates(pair.a):
        return None
    everywhere = range(int(width(pair.a) * pair.dims(2)[0]))
    target, kinds = pair.target.id, ", ".join(sorted(theirs))
    if ours <= _LOGISTIC | _MISH and theirs <= _GELU:
        rule = f"every function of {target} continues to an entire function: its gates, gelu, do"
        return _found(pair, "poles", everywhere, rule, "which a function of such gates without a pole would be")
    if ours <= _GELU and not theirs & _GELU and has_affine_gates(pair.b):
        rule = (
            f"far out on a line, a function of {target} is a rational function of t and exponentials of t (gates: {kinds}), "
            "so it differs from the polynomial it tends to by no less than some e^(-c t), or not at all"
        )
        return _found(pair, "rate", everywhere, rule, "but nearer than every e^(-c t) to the polynomials it tends to")
    for first, second, spacing in ((_MISH, _LOGISTIC, "equal distances"), (_LOGISTIC, _MISH, "distances as 1 to 3")):
        single = _single_gates(pair, second) if ours <= first and has_affine_gates(pair.b) else []
        if single:
            rule = (
                f"in every function of {target}, such an output depends on one gate ({kinds}) of an affine form u: along a "
                f"line it has no poles or, all but finitely many, at {spacing}"
            )
            return _found(
                pair, "spacing of poles", single, rule, "and has its poles at other distances", least=_GATE_DIMS[0]
            )
    return None


def _found(
    pair: Pair, invariant: str, outputs: Sequence[int], rule: str, words: str, *, least: int = 2
) -> Separation | None:
    (dim,) = pair.dims(least)
    degree = degree_bound(pair.a, depth=1)
    found = no_polynomial(pair, dim, degree, outputs)
    if found is None:
        return None
    shown, difference = found
    finding = f"the witness is no polynomial (it would have degree at most {degree}, and {difference}), {words}"
    output = shown.outputs[0][0]
    data = no_polynomial_data(pair, shown, output, degree, invariant) if invariant in ("poles", "rate") else None
    return pair.separation(invariant, rule, finding, shown, [dim], closed=False, data=data)


def _single_gates(pair: Pair, kinds: frozenset[ActivationKind]) -> list[int]:
    """The outputs that depend on one gate in both formats, in the target on one of these kinds, whatever d is.

    Looked at for two d, as a bottleneck has one unit at d = 2 and more later.
    """
    found = []
    for dim in pair.dims(*_GATE_DIMS):
        gates = zip(relus_of_outputs(pair.a, dim), relus_of_outputs(pair.b, dim), strict=True)
        found.append([i for i, (a, b) in enumerate(gates) if len(a) == len(b) == 1 and b[0][0].kind in kinds])
    return [i for i in found[0] if i in found[1]]


def _kinds(expr: Expr) -> frozenset[ActivationKind]:
    return frozenset(node.kind for node in walk(expr) if isinstance(node, Activation))
