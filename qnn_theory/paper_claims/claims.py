"""The paper's computable claims, each with a verdict, the evidence, and where the evidence was computed.

A statement is what the paper (li2025qnn) says or presupposes, or what its released code and logs (li2025qnn-code) suggest. The
verdict is computed when `claims` is called; no number below is typed in.
"""

from __future__ import annotations

from functools import cache

from qnn_theory.paper_claims import (
    about_data_sets,
    about_format_study,
    about_formats,
    about_loss,
    about_printed_numbers,
    about_qnn_alpha,
)
from qnn_theory.paper_claims.claim import Claim

_GROUPS = (
    about_qnn_alpha.CLAIMS,
    about_formats.CLAIMS,
    about_loss.CLAIMS,
    about_format_study.CLAIMS,
    about_printed_numbers.CLAIMS,
    about_data_sets.CLAIMS,
)


@cache
def claims() -> tuple[Claim, ...]:
    """All claims: those that expressions decide first, then those about the published numbers."""
    return tuple(claim for group in _GROUPS for claim in group.decided())
