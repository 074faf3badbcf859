"""One claim of the paper, its verdict and its evidence."""

from __future__ import annotations

from dataclasses import dataclass
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


def verdict(holds: bool) -> Verdict:
    """The verdict on a statement that was decided."""
    return "holds" if holds else "fails"
