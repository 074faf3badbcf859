"""Claims about which formats are the same and which are smooth, decided from the expressions."""

from __future__ import annotations

from qnn_theory.grammar.expr import uses_activation
from qnn_theory.grammar.format import Format, with_post_activation
from qnn_theory.paper_claims.claim import ClaimGroup, Finding
from qnn_theory.registry import formats, get_format, qnn_alpha
from qnn_theory.relations.relation import relation
from qnn_theory.smoothness_classes.smoothness import ANALYTIC, smoothness

CLAIMS = ClaimGroup()
_RELATION = "qnn_theory.relation"


def _differs(first: str | Format, second: str, statement: str, source: str) -> None:
    """Declare that two formats are not the same."""
    first = get_format(first)

    @CLAIMS.claim(f"{first.id}-differs-from-{second}", statement, source=source, computed_by=_RELATION)
    def decide() -> Finding:
        found = relation(first, second)
        return found.kind != "equivalent", f"{found.text}; {found.certificate.forward.lines[0]}"


_differs("T17-paper", "T9", "T17 as printed is another format than T9", "li2025qnn, table 1")
_differs("T22", "T9", "The learned residual of T22 lets it express more than T9", "li2025qnn, table 1")
_differs("T6", "T2", "T6 is another format than T2", "li2025qnn, table 1")
_differs("T17", "T10", "T17 as released is another format than T10", "li2025qnn-code, table 1")
_differs(
    with_post_activation(get_format("T4"), "relu"),
    "T4",
    "T4 with a ReLU after it is another network than T4 without",
    "li2025qnn, table 1 (post-activation of T4)",
)


@CLAIMS.claim(
    "T26-averages",
    "Averaging two rows (T26) and summing them (QNN-alpha) express the same functions",
    source="li2025qnn-code, T26",
    computed_by=_RELATION,
)
def _t26_rows() -> Finding:
    found = relation("T26", qnn_alpha(rows=2))
    evidence = f"relu is positively homogeneous: {found.certificate.forward.lines[0]}"
    return found.kind == "equivalent", evidence


@CLAIMS.claim(
    "first-cross-layer",
    "The first layer of CrossNetV2 is T9",
    source="li2025qnn, table 1",
    computed_by=_RELATION,
)
def _cross_layer() -> Finding:
    found = relation("CrossNetV2", "T9")
    evidence = f"there X_1 = X: {found.certificate.forward.lines[0]}; in deeper layers the two differ"
    return found.kind == "equivalent", evidence


@CLAIMS.claim(
    "smooth",
    "Quadratic neurons are smooth, those with a ReLU inside included",
    source="li2025qnn, smoothness argument (not defined there)",
    computed_by="qnn_theory.smoothness",
)
def _smooth() -> Finding:
    of_paper = [format for format in formats() if format.id in {f"T{k}" for k in range(1, 26)}] + [
        get_format("QNN-alpha")
    ]
    rough = {f.id: smoothness(f).order for f in of_paper if smoothness(f).order != ANALYTIC}
    smooth = sum(not uses_activation(f.expr) for f in of_paper)
    evidence = f"{smooth} of {len(of_paper)} formats are polynomials; with a ReLU inside they are only " + ", ".join(
        f"C^{order} ({name})" for name, order in rough.items()
    )
    return not rough, evidence
