"""Where a format stands: the registered formats and references with the same functions, the smallest above, the largest below.

One layer, exact functions, as in `relations.relation`. A registered format is placed among the registered ones by the stored
order, and beside the references that express the same functions as one of them; any other format is compared with all.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from qnn_theory.grammar.format import Format
from qnn_theory.named_references import references
from qnn_theory.registry import formats, is_registered
from qnn_theory.relations.certificates import Containment, Undecided
from qnn_theory.relations.registered_order.stored import stored_verdict
from qnn_theory.relations.relation import check_size, decide

SECONDS = 20.0
"""For one format; what is not decided by then is not placed."""

_PAIR_SECONDS = 0.5  # what takes longer is hardly ever decided


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A registered format, or a reference with its citation key."""

    id: str
    source: str = ""

    @property
    def text(self) -> str:
        """The name, with the citation key of a reference."""
        return f"{self.id} ({self.source})" if self.source else self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The neighbours of a format in the order by containment.

    Attributes:
        equivalent: those that express the same functions.
        above: the smallest of those that properly contain it; equivalent ones are all named.
        below: the largest of those that it properly contains.
        open: those for which a direction is undecided within the time.
    """

    equivalent: tuple[Neighbour, ...]
    above: tuple[Neighbour, ...]
    below: tuple[Neighbour, ...]
    open: tuple[Neighbour, ...]


def nearest(format: Format, *, among: Sequence[Format] | None = None, seconds: float = SECONDS) -> Nearest:
    """The neighbours of a format among the registered ones and the references.

    Args:
        format: any format; registered ones are read from the stored order.
        among: the formats to compare with; the registered ones and, for a format that is not, the references when left out.
        seconds: the time in which all comparisons must be done.

    Raises:
        ValueError: a format beyond the limits of relations.
    """
    check_size(format)
    clock = _Clock(time.monotonic() + seconds)
    others = [other for other in (_all(format) if among is None else among) if other.id != format.id]
    inside: list[Format] = []
    outside: list[Format] = []
    open: list[Format] = []
    for other in others:
        up, down = (clock.contained(a, b) for a, b in ((format, other), (other, format)))
        if up:
            inside.append(other)
        if down:
            outside.append(other)
        if up is None or down is None:
            open.append(other)
    equivalent = [other for other in inside if other in outside]
    above = [other for other in inside if other not in equivalent and other not in open]
    below = [other for other in outside if other not in equivalent and other not in open]
    return Nearest(
        equivalent=_named([format, *equivalent], without=format),
        above=_named([a for a in above if not any(clock.properly(b, a) for b in above)], without=format),
        below=_named([a for a in below if not any(clock.properly(a, b) for b in below)], without=format),
        open=tuple(Neighbour(other.id, _key(other)) for other in open),
    )


def _all(format: Format) -> list[Format]:
    own = () if is_registered(format) else references()
    return [*formats(), *(reference.format for reference in own if not reference.same_as)]


@dataclass(frozen=True, slots=True)
class _Clock:
    """Answers until a moment; None is no answer."""

    until: float

    def contained(self, source: Format, target: Format) -> bool | None:
        known = stored_verdict(source, target)
        if known is not None:
            return known == "contained"
        left = self.until - time.monotonic()
        if left <= 0:
            return None
        found = decide(source, target, minimal=False, budget=min(left, _PAIR_SECONDS))
        return None if isinstance(found, Undecided) else isinstance(found, Containment)

    def properly(self, source: Format, target: Format) -> bool:
        """Whether the first is known to be a proper part of the second."""
        return (
            source is not target and self.contained(source, target) is True and self.contained(target, source) is False
        )


def _named(chosen: Sequence[Format], *, without: Format) -> tuple[Neighbour, ...]:
    """The formats and, after each, the references that express the same functions."""
    named = {}
    for format in chosen:
        named[format.id] = _key(format)
        named |= {r.format.id: r.format.source for r in references() if format.id in r.same_as}
    return tuple(Neighbour(id, key) for id, key in named.items() if id != without.id)


def _key(format: Format) -> str:
    """The citation key of a reference; registered formats go by their id alone."""
    return format.source if any(reference.format == format for reference in references()) else ""
