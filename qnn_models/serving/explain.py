"""What each set of fields adds to a model's logit: exact, by inclusion and exclusion of fields.

Let ``F(v)`` be the logit as a function of the embedded fields ``v = (v_1, ..., v_f)``, and ``v_T`` the same with the fields
outside T at zero. The contribution of a set S of fields is

    c_S(v) = Σ_{T ⊆ S} (-1)^(|S| - |T|) F(v_T),      so that      F(v_S) = Σ_{T ⊆ S} c_T(v),      F(v) = Σ_S c_S(v).

*For a polynomial F, c_S is the sum of the monomials that touch exactly the fields of S.* Proof: write F as a sum of groups
``g_M`` of the monomials that touch exactly the fields of M. At ``v_T`` a group vanishes unless M ⊆ T and is unchanged if it
is, so ``F(v_T) = Σ_{M ⊆ T} g_M(v)`` for every T, and Möbius inversion over the subsets gives ``g_S = c_S``.  ∎

A network without activation, in evaluation mode, is a polynomial. With piecewise linear activations it is one near almost
every sample: the activations keep the piece that they are on at the sample, and what remains is that polynomial
(`Reading` "local"). For all other models the same sum is the decomposition of F anchored at zero, the only one whose terms
c_S depend on the fields of S alone and vanish where one of these is zero; it has no monomials to speak of.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from qnn_models.layers.layer import QuadraticLayer
from qnn_models.models.network import CTRModel, QNNAlphaNetwork, QuadraticNetwork
from qnn_theory.grammar.expr import Activation, walk

__all__ = ["Contributions", "Interaction", "Reading", "contributions", "field_sets", "interactions", "reading_of"]

Reading: TypeAlias = Literal["polynomial", "local", "anchored"]
"""Of which function the contributions are: of the model, a polynomial; of its polynomial at each sample; of any model."""

FieldSet: TypeAlias = tuple[int, ...]

_PIECEWISE = frozenset({"relu", "relu6", "prelu"})
_CHUNK_ROWS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributions:
    """Contributions of all sets of up to `order` fields on some rows.

    Attributes:
        names: names of the fields, by position.
        order: the largest number of fields in a set.
        reading: of which function they are.
        logits: the model's logits, float64, shape (rows,).
        by_set: contributions by the positions of the fields, ascending; float64, shape (rows,). The empty set is ``F(0)``.
    """

    names: tuple[str, ...]
    order: int
    reading: Reading
    logits: Tensor
    by_set: Mapping[FieldSet, Tensor]

    @property
    def rest(self) -> Tensor:
        """The sum of all contributions of more than `order` fields, shape (rows,)."""
        return self.logits - torch.stack(list(self.by_set.values())).sum(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """A set of fields over the rows it was computed on.

    Attributes:
        fields: positions, ascending.
        names: names of the same fields.
        strength: ``sqrt(mean(c_S²))``, in units of the logit.
        mean: ``mean(c_S)``, signed, in units of the logit.
    """

    fields: FieldSet
    names: tuple[str, ...]
    strength: float
    mean: float


def contributions(
    model: CTRModel,
    ids: Tensor,
    *,
    order: int = 2,
    reading: Reading | None = None,
    progress: Callable[[Iterable[FieldSet]], Iterable[FieldSet]] = iter,
) -> Contributions:
    """Exact contributions of all sets of up to `order` fields, in double precision.

    Cost: ``Σ_{j ≤ order} C(f, j)`` forward passes over the rows.

    Args:
        model: a trained model; it is read in evaluation mode and left as it is.
        ids: rows to explain, shape (rows, columns), at least one.
        order: largest set; all sets together (order = f) sum to the logit.
        reading: see `Reading`; `reading_of` the model when left out.
        progress: wraps the iteration over the sets, for a progress bar.

    Raises:
        ValueError: an order outside 1..f, no rows, or a reading that the model does not have.
    """
    fields = model.embedding.num_fields
    if not 1 <= order <= fields:
        raise ValueError(f"Sets have 1 to {fields} fields, as many as the data, however: order={order}.")
    if not len(ids):
        raise ValueError("Contributions are of rows, however: there are none; give at least one.")
    own = reading_of(model)
    chosen = own if reading is None else reading
    if chosen not in (own, "anchored"):
        has = own if own == "anchored" else f"{own} and anchored"
        raise ValueError(
            f"The readings of this model are: {has}, however: {chosen} is asked for; a local polynomial exists for "
            f"quadratic networks whose activations are among {', '.join(sorted(_PIECEWISE))}."
        )
    # All arithmetic in double precision on a copy: contributions are differences of nearly equal numbers.
    twin = copy.deepcopy(model).eval().double()
    by_set: dict[FieldSet, Tensor] = {}
    with torch.no_grad():
        parts = [twin.embed(part) for part in ids.to(twin.embedding.weight.device).split(_CHUNK_ROWS)]
        patterns = [_Pattern() for _ in parts]
        logits = [_logits(twin, part, pattern, chosen) for part, pattern in zip(parts, patterns, strict=True)]
        for chosen_fields in progress(field_sets(fields, order=order)):
            keep = torch.zeros(fields, 1, dtype=torch.float64, device=parts[0].device)
            keep[list(chosen_fields)] = 1
            pairs = zip(parts, patterns, strict=True)
            value = torch.cat([_logits(twin, part * keep, pattern, chosen) for part, pattern in pairs]).cpu()
            for inner in _proper_subsets(chosen_fields):
                value -= by_set[inner]
            by_set[chosen_fields] = value
    return Contributions(
        names=tuple(model.embedding.names), order=order, reading=chosen, logits=torch.cat(logits).cpu(), by_set=by_set
    )


def interactions(found: Contributions) -> tuple[Interaction, ...]:
    """Strength and signed mean of every set but the empty one, the strongest first; ties in the order of the fields."""
    listed = [
        Interaction(
            fields=fields,
            names=tuple(found.names[field] for field in fields),
            strength=float(values.square().mean().sqrt()),
            mean=float(values.mean()),
        )
        for fields, values in found.by_set.items()
        if fields
    ]
    return tuple(sorted(listed, key=lambda interaction: (-interaction.strength, interaction.fields)))


def reading_of(model: CTRModel) -> Reading:
    """How a model can be read: as a polynomial, as one near each sample, or only anchored at zero."""
    if not isinstance(model, QuadraticNetwork | QNNAlphaNetwork):
        return "anchored"
    layers = [module for module in model.modules() if isinstance(module, QuadraticLayer)]
    kinds = {node.kind for layer in layers for node in walk(layer.format.expr) if isinstance(node, Activation)}
    if not kinds:
        return "polynomial"
    return "local" if kinds <= _PIECEWISE else "anchored"


def field_sets(fields: int, *, order: int) -> list[FieldSet]:
    """All sets of up to `order` of the fields 0..fields-1, smaller ones first, the empty set before all."""
    return list(chain.from_iterable(combinations(range(fields), size) for size in range(order + 1)))


def _proper_subsets(fields: FieldSet) -> Iterable[FieldSet]:
    return chain.from_iterable(combinations(fields, size) for size in range(len(fields)))


def _logits(model: CTRModel, embedded: Tensor, pattern: _Pattern, reading: Reading) -> Tensor:
    if reading != "local":
        return model.score(embedded)
    with pattern:
        return model.score(embedded)


class _Pattern(TorchFunctionMode):
    """The pieces that activations are on in the first pass under this mode; every later pass stays on them.

    An activation becomes ``slope ⊙ u + offset`` with what was recorded: 0 or 1 for a ReLU. Calls are told apart by their
    order, which the straight-line code of a model never changes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[tuple[Tensor, Tensor]] = []
        self._recorded = False
        self._next = 0

    def __enter__(self) -> _Pattern:
        self._next = 0
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._recorded = True
        super().__exit__(*error)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        piece = _PIECES.get(func)
        if piece is None:
            return func(*args, **(kwargs or {}))
        if not self._recorded:
            self._pieces.append(piece(*args))
        slope, offset = self._pieces[self._next]
        self._next += 1
        return slope * args[0] + offset


def _relu_piece(u: Tensor) -> tuple[Tensor, Tensor]:
    return (u > 0).to(u.dtype), u.new_zeros(())


def _relu6_piece(u: Tensor) -> tuple[Tensor, Tensor]:
    return ((u > 0) & (u < 6)).to(u.dtype), 6 * (u >= 6).to(u.dtype)


def _prelu_piece(u: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return torch.where(u > 0, u.new_ones(()), weight), u.new_zeros(())


# The functions by which lowered code (`qnn_models.layers.lower.ACTIVATIONS`) applies piecewise linear activations.
_PIECES: dict[Any, Callable[..., tuple[Tensor, Tensor]]] = {
    torch.relu: _relu_piece,
    F.relu6: _relu6_piece,
    F.prelu: _prelu_piece,
}
