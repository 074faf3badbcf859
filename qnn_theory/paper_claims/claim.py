"""One claim of the paper, its verdict and its evidence; declared as a statement and a function that decides it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["holds", "fails", "not decidable here"]

Finding: TypeAlias = tuple[bool | None, str]
"""Whether a statement holds, None where neither formulas nor published numbers can tell, and the evidence."""


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


class ClaimGroup:
    """The claims of one file, in the order in which they are declared; each is decided when it is asked for."""

    def __init__(self) -> None:
        self._decisions: list[Callable[[], Claim]] = []

    def claim(
        self, id: str, statement: str, *, source: str, computed_by: str
    ) -> Callable[[Callable[[], Finding]], Callable[[], Finding]]:
        """Declare a claim; the decorated function decides it. For the arguments see `Claim`."""

        def declare(decide: Callable[[], Finding]) -> Callable[[], Finding]:
            def decided() -> Claim:
                holds, evidence = decide()
                verdict: Verdict = "not decidable here" if holds is None else "holds" if holds else "fails"
                return Claim(
                    id=id,
                    statement=statement,
                    source=source,
                    verdict=verdict,
                    evidence=evidence,
                    computed_by=computed_by,
                )

            self._decisions.append(decided)
            return decide

        return declare

    def decided(self) -> tuple[Claim, ...]:
        """Every claim of the group with its verdict."""
        return tuple(decide() for decide in self._decisions)
