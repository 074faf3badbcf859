"""Claims about what formats can express and cost, decided from the expressions."""

from __future__ import annotations

from collections.abc import Callable

import sympy

from qnn_theory.costs import cost
from qnn_theory.grammar.expr import uses_activation
from qnn_theory.grammar.format import Format, with_post_activation
from qnn_theory.grammar.widths import head_major_order
from qnn_theory.paper_claims.claim import Claim, verdict
from qnn_theory.published.numbers import logged_runs, vocabulary_sizes
from qnn_theory.registry import formats, get_format, qnn_alpha
from qnn_theory.relations.relation import Relation, relation
from qnn_theory.smoothness_classes.smoothness import ANALYTIC, smoothness

_RELATION = "qnn_theory.relation"


def format_claims() -> tuple[Claim, ...]:
    """Every claim that follows from the formats' expressions."""
    checks: tuple[Callable[[], Claim], ...] = (
        _rows_inert,
        _heads_and_cost,
        _aligned_heads,
        _released_heads,
        _t17_as_printed,
        _t22,
        _t6,
        _t10,
        _t4_post_relu,
        _t26_rows,
        _cross_layer,
        _smooth,
        _self_ensemble_minimum,
        _self_ensemble_pull,
    )
    return tuple(check() for check in checks)


def _rows_inert() -> Claim:
    found = [relation(qnn_alpha(rows=rows, mid_activation=None), "T9") for rows in (2, 4)]
    return Claim(
        id="rows-inert",
        statement="Without mid-activation, the Khatri-Rao rows of QNN-alpha are inert: with any number of rows it is T9",
        source="li2025qnn, table 4 (w/o Mid Act)",
        verdict=verdict(all(r.kind == "equivalent" for r in found)),
        evidence=f"with 4 rows {_map_text(found[1])}: the rows add up to one map; the same with 2 rows",
        computed_by=_RELATION,
    )


def _heads_and_cost() -> Claim:
    heads = (1, 2, 4)
    costs = [cost(qnn_alpha(rows=4, heads=h, head_layout="released", embedding_dim=16)) for h in heads]
    aligned = [cost(qnn_alpha(rows=4, heads=h)) for h in heads]
    falls = any(c.parameters != costs[0].parameters or c.flops != costs[0].flops for c in (*costs, *aligned))
    runs = [run for run in logged_runs() if run["num_heads"] not in ("", "None", "1")]
    exact = sum(run["params_minus_formula"] == "0" for run in runs)
    return Claim(
        id="heads-cut-cost",
        statement="H heads cut the parameters and operations of a QNN-alpha layer by the factor H",
        source="li2025qnn, section on multi-head",
        verdict=verdict(falls),
        evidence=f"with 4 rows a layer has {sympy.factor(costs[0].parameters)} parameters and {costs[0].flops} operations for "
        f"H = {', '.join(map(str, heads))}, aligned or as released; {exact} of {len(runs)} logged runs with H > 1 have the "
        "count of H = 1",
        computed_by="qnn_theory.cost; published_runs.csv (num_heads, params_minus_formula)",
    )


def _aligned_heads() -> Claim:
    found = relation(qnn_alpha(rows=2, heads=2), qnn_alpha(rows=2, heads=1))
    return Claim(
        id="aligned-heads",
        statement="Heads as printed (each with its own gate and residual) change what a layer can express",
        source="li2025qnn, eq. 10",
        verdict=verdict(found.kind != "equivalent"),
        evidence=f"H = 2 and H = 1 are {found.kind}: {_map_text(found)}",
        computed_by=_RELATION,
    )


def _released_heads() -> Claim:
    fields = {
        name: sum(row["dataset"] == name for row in vocabulary_sizes())
        for name in dict.fromkeys(row["dataset"] for row in vocabulary_sizes())
    }
    moved = []
    for run in logged_runs():
        if run["num_heads"] in ("", "None", "1"):
            continue
        width = int(run["embedding_dim"])
        dim = fields[run["dataset"]] * width
        order = head_major_order(dim, heads=int(run["num_heads"]), embedding_dim=width)
        moved.append(
            f"{run['dataset']}, H = {run['num_heads']}: {sum(i != k for i, k in enumerate(order))} of {dim} coordinates"
        )
    found = relation("QNN-alpha-released", "QNN-alpha")
    return Claim(
        id="released-heads",
        statement="The released multi-head layer is the printed one",
        source="li2025qnn-code, against li2025qnn, eq. 10",
        verdict=verdict(found.kind == "equivalent"),
        evidence="it computes x_i + x_p(i) g_i(x), where the permutation p moves coordinates ("
        + "; ".join(dict.fromkeys(moved))
        + f"); at "
        f"embedding width 2, H = 2 it and QNN-alpha are {found.kind}: {' '.join(found.certificate.forward.lines)}",
        computed_by="qnn_theory.grammar.widths.head_major_order; qnn_theory.relation",
    )


def _t17_as_printed() -> Claim:
    return _distinct("T17-paper", "T9", "T17 as printed is another format than T9", "li2025qnn, table 1")


def _t22() -> Claim:
    return _distinct("T22", "T9", "The learned residual of T22 lets it express more than T9", "li2025qnn, table 1")


def _t6() -> Claim:
    return _distinct("T6", "T2", "T6 is another format than T2", "li2025qnn, table 1")


def _t10() -> Claim:
    return _distinct("T17", "T10", "T17 as released is another format than T10", "li2025qnn-code, table 1")


def _t4_post_relu() -> Claim:
    return _distinct(
        with_post_activation(get_format("T4"), "relu"),
        "T4",
        "T4 with a ReLU after it is another network than T4 without",
        "li2025qnn, table 1 (post-activation of T4)",
    )


def _t26_rows() -> Claim:
    found = relation("T26", qnn_alpha(rows=2))
    return Claim(
        id="T26-averages",
        statement="Averaging two rows (T26) and summing them (QNN-alpha) express the same functions",
        source="li2025qnn-code, T26",
        verdict=verdict(found.kind == "equivalent"),
        evidence=f"relu is positively homogeneous: {_map_text(found)}",
        computed_by=_RELATION,
    )


def _cross_layer() -> Claim:
    found = relation("CrossNetV2", "T9")
    return Claim(
        id="first-cross-layer",
        statement="The first layer of CrossNetV2 is T9",
        source="li2025qnn, table 1",
        verdict=verdict(found.kind == "equivalent"),
        evidence=f"there X_1 = X: {_map_text(found)}; in deeper layers the two differ",
        computed_by=_RELATION,
    )


def _smooth() -> Claim:
    of_paper = [format for format in formats() if format.id in {f"T{k}" for k in range(1, 26)}] + [
        get_format("QNN-alpha")
    ]
    rough = {f.id: smoothness(f).order for f in of_paper if smoothness(f).order != ANALYTIC}
    smooth = sum(not uses_activation(f.expr) for f in of_paper)
    return Claim(
        id="smooth",
        statement="Quadratic neurons are smooth, those with a ReLU inside included",
        source="li2025qnn, smoothness argument (not defined there)",
        verdict=verdict(not rough),
        evidence=f"{smooth} of {len(of_paper)} formats are polynomials; with a ReLU inside they are only "
        + ", ".join(f"C^{order} ({name})" for name, order in rough.items()),
        computed_by="qnn_theory.smoothness",
    )


def _self_ensemble_minimum() -> Claim:
    p, s = sympy.symbols("p s", positive=True)
    slope = sympy.simplify(sympy.diff(_cross_entropy(p, s), p))
    roots = sympy.solve(sympy.numer(sympy.together(slope)), p)
    curvature = sympy.simplify(sympy.diff(_cross_entropy(p, s), p, 2).subs(p, s))
    # 1 / (s (1 - s)) is positive for a probability s.
    convex = sympy.simplify(curvature * s * (1 - s)) == 1
    return Claim(
        id="self-ensemble-minimum",
        statement="The self-ensemble term is least where both passes equal the stopped mean",
        source="li2025qnn, loss",
        verdict=verdict(roots == [s] and convex),
        evidence=f"d/dp BCE(p, s) = {slope} vanishes at p = {', '.join(map(str, roots))} only, where the second derivative "
        f"{curvature} is positive for 0 < s < 1",
        computed_by="sympy, qnn_theory.paper_claims.about_formats",
    )


def _self_ensemble_pull() -> Claim:
    u, v = sympy.symbols("u v", real=True)
    first, second = 1 / (1 + sympy.exp(-u)), 1 / (1 + sympy.exp(-v))
    stopped = sympy.Symbol("s", positive=True)
    term = _cross_entropy(first, stopped) + _cross_entropy(second, stopped)
    mean = (first + second) / 2
    pull_first = sympy.simplify((sympy.diff(term, u) - (first - stopped)).rewrite(sympy.exp))
    together = sympy.simplify((sympy.diff(term, u) + sympy.diff(term, v)).subs(stopped, mean))
    return Claim(
        id="self-ensemble-pull",
        statement="The self-ensemble term pushes predictions towards 0 and 1",
        source="li2025qnn, motivation of the loss",
        verdict=verdict(not (pull_first == 0 and together == 0)),
        evidence="its gradient in the logits is (p1 - s, p2 - s) with s = (p1 + p2)/2: the two entries add up to "
        f"{together}, so a step moves the passes towards each other and leaves their common level to the label term",
        computed_by="sympy, qnn_theory.paper_claims.about_formats",
    )


def _cross_entropy(p: sympy.Expr, target: sympy.Expr) -> sympy.Expr:
    return -target * sympy.log(p) - (1 - target) * sympy.log(1 - p)


def _distinct(first: str | Format, second: str, statement: str, source: str) -> Claim:
    found = relation(first, second)
    return Claim(
        id=f"{found.first}-differs-from-{found.second}",
        statement=statement,
        source=source,
        verdict=verdict(found.kind != "equivalent"),
        evidence=f"{found.text}; {_map_text(found)}",
        computed_by=_RELATION,
    )


def _map_text(found: Relation) -> str:
    """The parameter map of the first direction."""
    return found.certificate.forward.lines[0]
