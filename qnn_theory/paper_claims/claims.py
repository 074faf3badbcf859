"""The paper's computable claims, each with a verdict, the evidence, and where the evidence was computed.

A statement is what the paper (li2025qnn) says or presupposes, or what its released code and logs (li2025qnn-code) suggest. The
verdict is computed when `claims` is called; no number below is typed in.
"""

from __future__ import annotations

from functools import cache

from qnn_theory.paper_claims.about_formats import format_claims
from qnn_theory.paper_claims.about_numbers import number_claims
from qnn_theory.paper_claims.claim import Claim


@cache
def claims() -> tuple[Claim, ...]:
    """All claims: about formats first, then about the published numbers."""
    return (*format_claims(), *number_claims())
