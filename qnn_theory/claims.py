"""The paper's computable claims, each with a verdict, the evidence, and where the evidence was computed.

A statement is what the paper (li2025qnn) says or presupposes, or what its released code and logs (li2025qnn-code) suggest. The
verdict is computed when `claims` is called; no number below is typed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["holds", "fails", "not decidable here"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim and what became of it.

    Attributes:
        id: a short name.
        statement: what is claimed.
        source: where, as an author-year key with the place in it.
        verdict: ``holds``, ``fails``, or ``not decidable here`` where neither formulas nor published numbers can tell.
        evidence: what was found.
        computed_by: the functions and data that the evidence is from.
    """

    id: str
    statement: str
    source: str
    verdict: Verdict
    evidence: str
    computed_by: str


@cache
def claims() -> tuple[Claim, ...]:
    """All claims: about formats first, then about the published numbers."""
    from qnn_theory.claims_about_formats import format_claims
    from qnn_theory.claims_about_numbers import number_claims

    return (*format_claims(), *number_claims())


def verdict(holds: bool) -> Verdict:
    """The verdict on a statement that was decided."""
    return "holds" if holds else "fails"
