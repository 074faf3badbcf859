"""How two formats relate when limits count: whether each is contained in the closure of the other.

The closure of a format at d: all limits, uniform on every compact set of inputs, of functions of one layer. ``F_a ⊆ cl F_b`` says
that what separates the two, if anything, can be trained away as far as one likes, with parameters that may grow without bound.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from qnn_theory.algebra.deadline import BudgetSpentError, check
from qnn_theory.algebra.deadline import budget as within
from qnn_theory.grammar.format import Format
from qnn_theory.relations.certificates import Containment, Direction, Undecided, direction_to_dict
from qnn_theory.relations.containment.proof import MapProof
from qnn_theory.relations.invariants.pair import Pair, Separation
from qnn_theory.relations.limits.family import Family
from qnn_theory.relations.limits.proof import prove_family
from qnn_theory.relations.limits.search import find_family
from qnn_theory.relations.limits.survival import CANDIDATES, why_it_survives
from qnn_theory.relations.uniform import is_uniform

LimitKind: TypeAlias = Literal["equivalent", "contained", "contains", "incomparable", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """Every function of `source` is a limit of functions of `target`, and no map is known that makes it one.

    Attributes:
        source: id of the format whose functions are limits.
        target: id of the format that approaches them.
        family: the target's parameters as Laurent polynomials in t → 0+ over the source's.
        proof: how the limit was proved.
        layers: the number of layers; the family is that of every layer.
    """

    source: str
    target: str
    family: Family
    proof: MapProof
    layers: int = 1

    @property
    def lines(self) -> tuple[str, ...]:
        """The family, and its proof."""
        symbolic, modular = (", ".join(map(str, dims)) for dims in (self.proof.symbolic_dims, self.proof.modular_dims))
        composed = f"; limits that are uniform on compact sets compose, so all {self.layers} layers tend to theirs"
        return (
            f"put into {'every layer of ' * (self.layers > 1)}{self.target}, with t > 0: {'; '.join(self.family.lines)}",
            f"then {self.target} is {self.source} + O(t), uniformly on compact sets, for all parameters: expanded in t with all "
            f"of them as indeterminates at d = {symbolic} (negative powers cancel, the coefficient of t^0 is {self.source}), and "
            f"at random points at d = {modular}; every formula reads the same at every d{composed if self.layers > 1 else ''}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Barrier:
    """A function of `source` that `target` does not even approach.

    Attributes:
        separation: the function, and the rule that it breaks.
        why: why limits obey the rule too.
    """

    separation: Separation
    why: str

    @property
    def source(self) -> str:
        """Id of the format that has the function."""
        return self.separation.source

    @property
    def target(self) -> str:
        """Id of the format that does not approach it."""
        return self.separation.target

    @property
    def lines(self) -> tuple[str, ...]:
        """The separation, and why it survives."""
        kept = [line.removesuffix("; limits of functions are not excluded") for line in self.separation.lines]
        return (*kept, f"this holds for limits too: {self.why}")


LimitDirection: TypeAlias = Containment | Approach | Barrier | Undecided


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How the closures of two formats relate.

    Attributes:
        first: id of the first format, a.
        second: id of the second format, b.
        kind: ``equivalent`` (equal closures), ``contained`` (that of a in that of b, properly), ``contains``, ``incomparable``,
            or ``open`` where a direction is undecided.
        forward: whether a is contained in the closure of b.
        backward: whether b is contained in the closure of a.
    """

    first: str
    second: str
    kind: LimitKind
    forward: LimitDirection
    backward: LimitDirection

    @property
    def text(self) -> str:
        """The verdict as a sentence."""
        sentences: dict[LimitKind, str] = {
            "equivalent": "with limits they are equivalent: each approaches every function of the other",
            "contained": f"with limits {self.first} is contained in {self.second}, properly",
            "contains": f"with limits {self.first} contains {self.second}, properly",
            "incomparable": "with limits they are incomparable: each has a function that the other does not approach",
            "open": "how they relate with limits is open",
        }
        return sentences[self.kind]

    @property
    def lines(self) -> tuple[str, ...]:
        """Both directions, each under a heading."""
        directions = (self.forward, self.backward)
        return tuple(line for d in directions for line in (limit_heading(d), *(f"  {text}" for text in d.lines)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            "statement": self.text,
            "forward": limit_to_dict(self.forward),
            "backward": limit_to_dict(self.backward),
        }


def limit_of(a: Format, b: Format, forward: Direction, backward: Direction, *, budget: float | None) -> Limit:
    """How the closures of two formats relate, from what is known without limits.

    Args:
        a: the first format.
        b: the second one.
        forward: whether a is contained in b.
        backward: whether b is contained in a.
        budget: seconds for both; a direction that is not decided by then is open and says so. None is as many as it takes.
    """
    started = time.monotonic()
    there = limit_direction(a, b, forward, budget)
    left = None if budget is None else max(budget - (time.monotonic() - started), 0.0)
    back = limit_direction(b, a, backward, left)
    if isinstance(back, Undecided) and back.budget is not None:
        back = replace(back, budget=budget)
    directions = there, back
    return Limit(first=a.id, second=b.id, kind=kind_of(*directions), forward=directions[0], backward=directions[1])


_known: dict[tuple[Format, Format], LimitDirection] = {}
"""What is decided, whatever the budget was."""


def limit_direction(source: Format, target: Format, exact: Direction, budget: float | None) -> LimitDirection:
    """Whether F_source ⊆ cl F_target, from what is known of F_source ⊆ F_target."""
    if isinstance(exact, Containment):
        return exact
    found = _known.get((source, target))
    if found is not None:
        return found
    try:
        with within(budget):
            found = _decided(source, target, exact)
    except BudgetSpentError:
        return Undecided(source=source.id, target=target.id, budget=budget)
    if not isinstance(found, Undecided):
        _known[source, target] = found
    return found


def _decided(source: Format, target: Format, exact: Direction) -> LimitDirection:
    if not (is_uniform(source.expr) and is_uniform(target.expr)):
        return Undecided(source=source.id, target=target.id)
    if isinstance(exact, Separation):
        why = why_it_survives(exact, target)
        if why is not None:
            return Barrier(separation=exact, why=why)
    pair = Pair(source, target, True)
    for invariant in CANDIDATES:
        check()
        found = invariant(pair)
        why = None if found is None else why_it_survives(found, target)
        if found is not None and why is not None:
            return Barrier(separation=found, why=why)
    family = find_family(source, target)
    if family is not None:
        try:
            proof = prove_family(source, target, family)
        except ValueError:
            return Undecided(source=source.id, target=target.id)
        return Approach(source=source.id, target=target.id, family=family, proof=proof)
    return Undecided(source=source.id, target=target.id)


def kind_of(forward: LimitDirection, backward: LimitDirection) -> LimitKind:
    """The verdict of two directions."""
    if isinstance(forward, Undecided) or isinstance(backward, Undecided):
        return "open"
    inside = not isinstance(forward, Barrier), not isinstance(backward, Barrier)
    kinds: dict[tuple[bool, bool], LimitKind] = {
        (True, True): "equivalent",
        (True, False): "contained",
        (False, True): "contains",
        (False, False): "incomparable",
    }
    return kinds[inside]


def limit_verdict(direction: LimitDirection) -> str:
    """``contained`` (in the closure), ``not contained`` or ``open``."""
    match direction:
        case Containment() | Approach():
            return "contained"
        case Barrier():
            return "not contained"
        case Undecided():
            return "open"


def limit_heading(direction: LimitDirection) -> str:
    """``T10 ⊆ cl T7 (family)``, ``T5 ⊄ cl T9 (rank)`` or ``T7 ⊆ cl T8? (open)``."""
    match direction:
        case Containment(source=source, target=target):
            return f"{source} ⊆ cl {target} (map)"
        case Approach(source=source, target=target):
            return f"{source} ⊆ cl {target} (family)"
        case Barrier(separation=separation):
            return f"{separation.source} ⊄ cl {separation.target} ({separation.invariant})"
        case Undecided(source=source, target=target, budget=budget):
            return f"{source} ⊆ cl {target}? ({'open' if budget is None else 'open: budget'})"


def limit_to_dict(direction: LimitDirection) -> dict[str, Any]:
    """Plain values for JSON."""
    match direction:
        case Approach(source=source, target=target, family=family, proof=proof):
            return {
                "source": source,
                "target": target,
                "lines": list(direction.lines),
                "verdict": "contained in the closure",
                "family": list(family.lines),
                "symbolic_dims": list(proof.symbolic_dims),
                "modular_dims": list(proof.modular_dims),
                "error_bound": proof.error_bound,
            }
        case Barrier(separation=separation, why=why):
            return direction_to_dict(separation) | {
                "lines": list(direction.lines),
                "verdict": "not contained in the closure",
                "closed": True,
                "why": why,
            }
        case Containment() | Undecided():
            return direction_to_dict(direction)
