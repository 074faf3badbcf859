"""Claims about the self-ensemble loss, decided by differentiating it."""

from __future__ import annotations

import sympy

from qnn_theory.paper_claims.claim import ClaimGroup, Finding

CLAIMS = ClaimGroup()


@CLAIMS.claim(
    "self-ensemble-minimum",
    "The self-ensemble term is least where both passes equal the stopped mean",
    source="li2025qnn, loss",
    computed_by="sympy, qnn_theory.paper_claims.about_loss",
)
def _self_ensemble_minimum() -> Finding:
    p, s = sympy.symbols("p s", positive=True)
    slope = sympy.simplify(sympy.diff(_cross_entropy(p, s), p))
    roots = sympy.solve(sympy.numer(sympy.together(slope)), p)
    curvature = sympy.simplify(sympy.diff(_cross_entropy(p, s), p, 2).subs(p, s))
    # 1 / (s (1 - s)) is positive for a probability s.
    convex = sympy.simplify(curvature * s * (1 - s)) == 1
    evidence = (
        f"d/dp BCE(p, s) = {slope} vanishes at p = {', '.join(map(str, roots))} only, where the second derivative "
        f"{curvature} is positive for 0 < s < 1"
    )
    return roots == [s] and convex, evidence


@CLAIMS.claim(
    "self-ensemble-pull",
    "The self-ensemble term pushes predictions towards 0 and 1",
    source="li2025qnn, motivation of the loss",
    computed_by="sympy, qnn_theory.paper_claims.about_loss",
)
def _self_ensemble_pull() -> Finding:
    u, v = sympy.symbols("u v", real=True)
    first, second = 1 / (1 + sympy.exp(-u)), 1 / (1 + sympy.exp(-v))
    stopped = sympy.Symbol("s", positive=True)
    term = _cross_entropy(first, stopped) + _cross_entropy(second, stopped)
    mean = (first + second) / 2
    pull_first = sympy.simplify((sympy.diff(term, u) - (first - stopped)).rewrite(sympy.exp))
    together = sympy.simplify((sympy.diff(term, u) + sympy.diff(term, v)).subs(stopped, mean))
    evidence = (
        "its gradient in the logits is (p1 - s, p2 - s) with s = (p1 + p2)/2: the two entries add up to "
        f"{together}, so a step moves the passes towards each other and leaves their common level to the label term"
    )
    return not (pull_first == 0 and together == 0), evidence


def _cross_entropy(p: sympy.Expr, target: sympy.Expr) -> sympy.Expr:
    return -target * sympy.log(p) - (1 - target) * sympy.log(1 - p)
