"""Claims about QNN-alpha's rows and heads, decided from the expressions."""

from __future__ import annotations

import sympy

from qnn_theory.costs import cost
from qnn_theory.grammar.widths import head_major_order
from qnn_theory.paper_claims.claim import ClaimGroup, Finding
from qnn_theory.paper_claims.logged import RUNS, fields_of
from qnn_theory.published.numbers import logged_runs
from qnn_theory.registry import qnn_alpha
from qnn_theory.relations.relation import relation

CLAIMS = ClaimGroup()
_RELATION = "qnn_theory.relation"


@CLAIMS.claim(
    "rows-inert",
    "Without mid-activation, the Khatri-Rao rows of QNN-alpha are inert: with any number of rows it is T9",
    source="li2025qnn, table 4 (w/o Mid Act)",
    computed_by=_RELATION,
)
def _rows_inert() -> Finding:
    found = [relation(qnn_alpha(rows=rows, mid_activation=None), "T9") for rows in (2, 4)]
    evidence = f"with 4 rows {found[1].certificate.forward.lines[0]}: the rows add up to one map; the same with 2 rows"
    return all(r.kind == "equivalent" for r in found), evidence


@CLAIMS.claim(
    "heads-cut-cost",
    "H heads cut the parameters and operations of a QNN-alpha layer by the factor H",
    source="li2025qnn, section on multi-head",
    computed_by=f"qnn_theory.cost; {RUNS} (num_heads, params_minus_formula)",
)
def _heads_and_cost() -> Finding:
    heads = (1, 2, 4)
    costs = [cost(qnn_alpha(rows=4, heads=h, head_layout="released", embedding_dim=16)) for h in heads]
    aligned = [cost(qnn_alpha(rows=4, heads=h)) for h in heads]
    falls = any(c.parameters != costs[0].parameters or c.flops != costs[0].flops for c in (*costs, *aligned))
    runs = [run for run in logged_runs() if run["num_heads"] not in ("", "None", "1")]
    exact = sum(run["params_minus_formula"] == "0" for run in runs)
    evidence = (
        f"with 4 rows a layer has {sympy.factor(costs[0].parameters)} parameters and {costs[0].flops} operations for "
        f"H = {', '.join(map(str, heads))}, aligned or as released; {exact} of {len(runs)} logged runs with H > 1 have the "
        "count of H = 1"
    )
    return falls, evidence


@CLAIMS.claim(
    "aligned-heads",
    "Heads as printed (each with its own gate and residual) change what a layer can express",
    source="li2025qnn, eq. 10",
    computed_by=_RELATION,
)
def _aligned_heads() -> Finding:
    found = relation(qnn_alpha(rows=2, heads=2), qnn_alpha(rows=2, heads=1))
    evidence = f"H = 2 and H = 1 are {found.kind}: {found.certificate.forward.lines[0]}"
    return found.kind != "equivalent", evidence


@CLAIMS.claim(
    "released-heads",
    "The released multi-head layer is the printed one",
    source="li2025qnn-code, against li2025qnn, eq. 10",
    computed_by="qnn_theory.grammar.widths.head_major_order; qnn_theory.relation",
)
def _released_heads() -> Finding:
    moved = []
    for run in logged_runs():
        if run["num_heads"] in ("", "None", "1"):
            continue
        width = int(run["embedding_dim"])
        dim = fields_of(run["dataset"]) * width
        order = head_major_order(dim, heads=int(run["num_heads"]), embedding_dim=width)
        moved.append(
            f"{run['dataset']}, H = {run['num_heads']}: {sum(i != k for i, k in enumerate(order))} of {dim} coordinates"
        )
    found = relation("QNN-alpha-released", "QNN-alpha")
    evidence = (
        "it computes x_i + x_p(i) g_i(x), where the permutation p moves coordinates ("
        + "; ".join(dict.fromkeys(moved))
        + f"); at embedding width 2, H = 2 it and QNN-alpha are {found.kind}: {' '.join(found.certificate.forward.lines)}"
    )
    return found.kind == "equivalent", evidence
