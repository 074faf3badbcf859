"""Certificates of relations between formats: what a reviewer who doubts a verdict follows with pen and paper.

A relation has two directions, F_a ⊆ F_b and F_b ⊆ F_a. Each is proved by a parameter map, disproved by a separation, or open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from qnn_theory.relations.constant_gates import ConstantGate
from qnn_theory.relations.containment.parameter_map import AnyMap
from qnn_theory.relations.containment.proof import MapProof
from qnn_theory.relations.invariants.pair import Separation


@dataclass(frozen=True, slots=True, kw_only=True)
class Containment:
    """Every function of `source` is one of `target`: at the mapped parameters, `target` is `source`.

    Attributes:
        source: id of the format that is contained.
        target: id of the format that contains it.
        map: the target's parameters as formulas in the source's.
        proof: how the identity was proved; with constant gates, for the target with the constants in their place.
        gates: smooth gates of the target that the map makes constants.
        links: where the map is one map after another, the containments source ⊆ ... ⊆ target that it is composed of.
    """

    source: str
    target: str
    map: AnyMap
    proof: MapProof
    gates: tuple[ConstantGate, ...] = ()
    links: tuple[Containment, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The map, one line a parameter, and its proof; step by step where it is composed."""
        if self.links:
            return tuple(line for link in self.links for line in (f"{link.source} ⊆ {link.target}:", *link.lines))
        symbolic = ", ".join(map(str, self.proof.symbolic_dims))
        modular = ", ".join(map(str, self.proof.modular_dims))
        return (
            f"put into {self.target}: {'; '.join(self.map.lines)}",
            *dict.fromkeys(gate.text for gate in self.gates),
            f"then {self.target} is {self.source} for all parameters and inputs: multiplied out with all of them as "
            f"indeterminates at d = {symbolic}, and evaluated at random points at d = {modular} (chance of an error below "
            f"{max(self.proof.error_bound, 1e-99):.0e}); every formula reads the same at every d",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedSeparation(Separation):
    """A separation of two other formats that holds for these: s ⊆ source, s ⊄ t and target ⊆ t give source ⊄ target.

    Attributes:
        carried: s ⊄ t, whose function is written in the source's parameters.
        below: s ⊆ source, or None where s is the source.
        above: target ⊆ t, or None where t is the target.
    """

    carried: Separation
    below: Containment | None = None
    above: Containment | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """The argument, step by step."""
        result: list[str] = []
        if self.witness is not None:
            shown = self.witness
            result.append(f"{self.source} has {shown.function_text}, at {shown.parameters_text} (d = {shown.dim})")
        for link, why in ((self.below, "so it has every function of"), (self.above, "so it lacks what is lacking in")):
            if link is not None:
                named, other = (link.target, link.source) if link is self.below else (link.source, link.target)
                result += [f"{link.source} ⊆ {link.target}, {named} {why} {other}:", *link.lines]
        result += [f"{self.carried.source} ⊄ {self.carried.target} ({self.carried.invariant}):", *self.carried.lines]
        return tuple(result)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """Neither a map nor a separation was found.

    Attributes:
        source: id of the format that may be contained.
        target: id of the format that may contain it.
        budget: the time budget, in seconds, that ended the search; None where the search ended by itself.
    """

    source: str
    target: str
    budget: float | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """What was tried."""
        if self.budget is not None:
            return (f"the budget of {self.budget:g} s was spent before a map or a separation was found",)
        return (f"no parameter map from {self.source} to {self.target} and no invariant that separates them was found",)


Direction: TypeAlias = Containment | Separation | Undecided


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The proof of a relation between two formats.

    Attributes:
        forward: whether the first format is contained in the second.
        backward: whether the second is contained in the first.
    """

    forward: Direction
    backward: Direction

    @property
    def lines(self) -> tuple[str, ...]:
        """Both directions, each under a heading."""
        result: list[str] = []
        for direction in (self.forward, self.backward):
            result.append(heading(direction))
            result += [f"  {line}" for line in direction.lines]
        return tuple(result)

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"forward": direction_to_dict(self.forward), "backward": direction_to_dict(self.backward)}


def heading(direction: Direction) -> str:
    """``T9 ⊆ T5 (map)``, ``T5 ⊄ T9 (rank)`` or ``T5 ⊆ T9? (open)``."""
    match direction:
        case Containment(source=source, target=target):
            return f"{source} ⊆ {target} (map)"
        case Separation(source=source, target=target, invariant=invariant):
            return f"{source} ⊄ {target} ({invariant})"
        case Undecided(source=source, target=target):
            return f"{source} ⊆ {target}? ({'open' if direction.budget is None else 'open: budget'})"


def direction_to_dict(direction: Direction) -> dict[str, Any]:
    """Plain values for JSON."""
    plain: dict[str, Any] = {"source": direction.source, "target": direction.target, "lines": list(direction.lines)}
    match direction:
        case Containment(map=map, proof=proof):
            steps = [f"{link.source} ⊆ {link.target}" for link in direction.links]
            return plain | {
                "verdict": "contained",
                "steps": steps,
                "map": list(map.lines),
                "symbolic_dims": list(proof.symbolic_dims),
                "modular_dims": list(proof.modular_dims),
                "error_bound": proof.error_bound,
            }
        case Separation(
            invariant=invariant, rule=rule, finding=finding, witness=witness, dims=dims, closed=closed, grows=grows
        ):
            carried = (
                {"carried": direction_to_dict(direction.carried)} if isinstance(direction, CarriedSeparation) else {}
            )
            return (
                plain
                | carried
                | {
                    "verdict": "not contained",
                    "invariant": invariant,
                    "rule": rule,
                    "finding": finding,
                    "function": None if witness is None else witness.function_text,
                    "parameters": None if witness is None else witness.parameters_text,
                    "dims": list(dims),
                    "closed": closed,
                    "grows": grows,
                }
            )
        case Undecided(budget=budget):
            return plain | {"verdict": "open", "budget": budget}
