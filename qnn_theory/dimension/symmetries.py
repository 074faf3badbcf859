"""Where redundant parameters come from: directions of a stack's parameters that leave its function alone, by name.

Two sources are computed, neither is guessed:

* *Within a layer*: the kernel of the layer's own Jacobian, its input free. A direction is booked to the smallest set of
  parameters that carries it (``b_a`` and ``W_b`` of T10: moving one is undone by the other), and is named by what it does there:
  the antisymmetric part of a bilinear map, a factor that moves between two maps, or parameters that make up for each other.
* *Between layers l and l + 1*: affine vector fields ``δy = M y + c`` of the hidden width that layer l can produce by changing its
  own parameters and layer l + 1 can undo by changing its own. Diagonal M rescales coordinates, c shifts them, any other M mixes.

All of these directions are independent, so their number is a lower bound on the redundancy of the stack.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

import numpy as np

from qnn_theory.algebra.linear_algebra import Array, PrimeField, Scalars
from qnn_theory.dimension.jacobian import Differentiated, StackJacobian
from qnn_theory.grammar.expr import FirstInput, bias_name, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.stacking import layer_widths
from qnn_theory.registry import get_format

SymmetryKind: TypeAlias = Literal[
    "antisymmetric part",
    "scaling",
    "merge",
    "inert",
    "rescaling between layers",
    "shift between layers",
    "mixing between layers",
]

_Booking: TypeAlias = tuple[SymmetryKind, tuple[str, ...]]

_CHECK_POINTS = 4
_SPARE_POINTS = 8
_RETRIES = 6


@dataclass(frozen=True, slots=True)
class Symmetry:
    """Directions of the parameters that leave the function alone.

    Attributes:
        kind: what they do.
        layers: the layer, or the two adjacent layers, that they act in.
        parameters: the parameters that move; empty for directions between layers, which may move all of both.
        directions: how many independent ones there are.
    """

    kind: SymmetryKind
    layers: tuple[int, ...]
    parameters: tuple[str, ...]
    directions: int

    @property
    def statement(self) -> str:
        """The symmetry in words."""
        names = ", ".join(self.parameters)
        match self.kind:
            case "antisymmetric part":
                return f"{names}: only the symmetric part of each output's matrix acts"
            case "scaling":
                return f"{names}: a factor moves from one map to the other"
            case "merge":
                return f"{names}: a change of one is undone by the others"
            case "inert":
                return f"{names}: a change never reaches the output"
            case "rescaling between layers":
                return f"a coordinate scaled in layer {self.layers[0]} is scaled back in layer {self.layers[1]}"
            case "shift between layers":
                return f"a constant added in layer {self.layers[0]} is taken off in layer {self.layers[1]}"
            case "mixing between layers":
                return f"coordinates mixed in layer {self.layers[0]} are unmixed in layer {self.layers[1]}"
            case _:
                assert_never(self.kind)


def symmetries(
    format: str | Format, *, dim: int, depth: int = 1, seed: int = 0, scalars: Scalars | None = None
) -> tuple[Symmetry, ...]:
    """The redundant directions of the two kinds above, layer by layer, for generic parameters.

    Args:
        format: an id or a `Format`.
        dim: the input width d.
        depth: the number of layers.
        seed: seed of the random parameters and points.
        scalars: the arithmetic; GF(2^31 - 1) when left out, which a format with an activation does not fit.

    Raises:
        KeyError: unknown id.
        ValueError: a width or depth the format cannot have.
        ArithmeticError: the directions did not settle as points were added.
    """
    chosen = get_format(format)
    widths = layer_widths(chosen, dim=dim, depth=depth)
    arithmetic = PrimeField() if scalars is None else scalars
    reads_first = any(isinstance(node, FirstInput) for node in walk(chosen.expr))
    found: list[Symmetry] = []
    known: dict[tuple[object, ...], tuple[Symmetry, ...]] = {}

    def jacobian(layer: int) -> StackJacobian:
        return StackJacobian(
            chosen.expr,
            widths[layer - 1 : layer + 1],
            scalars=arithmetic,
            seed=1 + layer + 1000 * seed,
            free_first=reads_first and layer > 1,
        )

    for layer in range(1, depth + 1):
        same = ("within", widths[layer - 1], reads_first and layer > 1)
        if same not in known:
            known[same] = _within(jacobian(layer))
        found += _in_layers(known[same], layer)
    for layer in range(1, depth):
        same = ("between", widths[layer - 1], reads_first and layer > 1)
        if same not in known:
            known[same] = _between(jacobian(layer), jacobian(layer + 1))
        found += _in_layers(known[same], layer, layer + 1)
    return tuple(found)


def _in_layers(templates: Sequence[Symmetry], *layers: int) -> list[Symmetry]:
    return [Symmetry(kind=s.kind, layers=layers, parameters=s.parameters, directions=s.directions) for s in templates]


@dataclass(frozen=True, slots=True)
class _Component:
    """Outputs and columns of a Jacobian that have nothing to do with the rest of it."""

    outputs: tuple[int, ...]
    columns: Array


def _components(jacobian: StackJacobian) -> tuple[_Component, ...]:
    """The connected components of the graph that joins an output with the parameters it depends on."""
    outputs = jacobian.outputs(jacobian.scalars.enough(4), batch=1)
    touched = np.stack([(output.by_parameters != 0).any(axis=0) for output in outputs])
    label = np.arange(len(touched))
    for k in range(len(touched)):
        met = np.unique(label[touched[:, touched[k]].any(axis=1)])
        label[np.isin(label, met)] = min(met, default=k)
    return tuple(
        _Component(
            outputs=tuple(np.flatnonzero(label == own)),
            columns=np.flatnonzero(touched[label == own].any(axis=0)),
        )
        for own in np.unique(label)
    )


def _points_for(components: Sequence[_Component], scalars: Scalars, *, spare: int) -> int:
    return scalars.enough(max(math.ceil(len(c.columns) / len(c.outputs)) for c in components) + spare)


def _within(jacobian: StackJacobian) -> tuple[Symmetry, ...]:
    components = _components(jacobian)
    spare = _SPARE_POINTS
    for _ in range(_RETRIES):
        counted = _kernel_directions(jacobian, components, spare=spare)
        if counted is not None:
            return tuple(
                Symmetry(kind=k, layers=(), parameters=p, directions=n) for (k, p), n in sorted(counted.items())
            )
        spare *= 2
    raise ArithmeticError(f"A layer's kernel must settle, however: it still shrinks at {spare} spare points.")


def _kernel_directions(
    jacobian: StackJacobian, components: Sequence[_Component], *, spare: int
) -> Counter[_Booking] | None:
    """All kernel directions of a layer, booked; None where a kernel does not hold at further points."""
    scalars = jacobian.scalars
    counted: Counter[_Booking] = Counter()
    names = _column_names(jacobian)
    touched = np.concatenate([c.columns for c in components])
    for name in names[np.setdiff1d(np.arange(jacobian.size), touched)]:
        counted["inert", (str(name),)] += 1
    points = _points_for(components, scalars, spare=spare)
    outputs = [scalars.balanced(o.by_parameters) for o in jacobian.outputs(points + _CHECK_POINTS)]
    scalings = _scalings(jacobian)
    alike: dict[tuple[bytes, bytes], Counter[_Booking]] = {}
    for component in components:
        blocks = [outputs[k][:, component.columns] for k in component.outputs]
        matrix = np.concatenate([block[:points] for block in blocks])
        key = (matrix.tobytes(), names[component.columns].tobytes())
        if key not in alike:
            kernel = scalars.kernel(matrix)
            fresh = scalars.matmul(np.concatenate([block[points:] for block in blocks]), kernel.T)
            if not scalars.vanishes(fresh):
                return None
            alike[key] = _booked(jacobian, component, kernel, names[component.columns], scalings)
        counted += alike[key]
    return counted


def _booked(
    jacobian: StackJacobian, component: _Component, kernel: Array, names: Array, scalings: Sequence[_Scaling]
) -> Counter[_Booking]:
    """Kernel directions by kind and by the smallest set of parameters that carries them."""
    scalars = jacobian.scalars
    counted: Counter[_Booking] = Counter()
    booked, rank = kernel[:0], 0
    inside = [s for s in scalings if s.lies_in(component)]
    subsets = list(_subsets(tuple(dict.fromkeys(names.tolist()))))
    for scalings_only, own in itertools.product((True, False), subsets):
        if rank == len(kernel):
            break
        carried = scalars.matmul(scalars.annihilator(kernel[:, ~np.isin(names, own)]), kernel)
        if scalings_only:
            moved = [s.direction for s in inside if s.parameters <= set(own)]
            generators = np.array(moved, dtype=kernel.dtype).reshape(len(moved), jacobian.size)[:, component.columns]
            combined = scalars.annihilator(np.concatenate([generators, carried]))[:, : len(generators)]
            carried = scalars.matmul(combined, generators)
        new = scalars.rank(np.concatenate([booked, carried])) - rank
        if new:
            kind = "scaling" if scalings_only else _kind_of(jacobian, component, carried, own)
            counted[kind, own] += new
            booked, rank = np.concatenate([booked, carried]), rank + new
    return counted


def _kind_of(jacobian: StackJacobian, component: _Component, carried: Array, own: tuple[str, ...]) -> SymmetryKind:
    if len(own) > 1:
        return "merge"
    (column,) = (c for c in jacobian.columns if c.parameter.name == own[0])
    whole = np.zeros((len(carried), jacobian.size), dtype=carried.dtype)
    whole[:, component.columns] = carried
    matrices = whole[:, column.start : column.stop].reshape(len(carried), *column.shape)
    square = column.parameter.role == "bilinear" and column.shape[-1] == column.shape[-2]
    if square and jacobian.scalars.vanishes(jacobian.scalars.reduce(matrices + np.swapaxes(matrices, -1, -2))):
        return "antisymmetric part"
    return "inert"


@dataclass(frozen=True, slots=True)
class _Scaling:
    """A direction that scales a whole row of a map (with its bias) or a whole column."""

    parameters: frozenset[str]
    direction: Array

    def lies_in(self, component: _Component) -> bool:
        return bool(np.isin(np.flatnonzero(self.direction), component.columns).all())


def _scalings(jacobian: StackJacobian) -> list[_Scaling]:
    by_name = {column.parameter.name: column for column in jacobian.columns}
    directions: list[_Scaling] = []

    def direction(parts: Sequence[tuple[str, tuple[int | slice, ...]]]) -> None:
        whole = np.zeros(jacobian.size, dtype=jacobian.value_of(jacobian.columns[0]).dtype)
        for name, index in parts:
            column, kept = by_name[name], np.zeros_like(jacobian.value_of(by_name[name]))
            kept[index] = jacobian.value_of(column)[index]
            whole[column.start : column.stop] = kept.ravel()
        directions.append(_Scaling(parameters=frozenset(name for name, _ in parts), direction=whole))

    for name, column in by_name.items():
        copies = 0 if column.parameter.rows is None else 1
        if column.parameter.role == "scale":
            for index in np.ndindex(*column.shape):
                direction([(name, index)])
        elif column.parameter.role in ("affine", "bilinear"):
            biases = [bias_name(name)] if bias_name(name) in by_name else []
            for index in np.ndindex(*column.shape[: copies + 1]):
                direction([(name, index), *((bias, index) for bias in biases)])
            for axis in range(copies + 1, len(column.shape)):
                for copy in np.ndindex(*column.shape[:copies]):
                    for j in range(column.shape[axis]):
                        before = [slice(None)] * (axis - copies)
                        direction([(name, (*copy, *before, j))])
    return directions


def _between(lower: StackJacobian, upper: StackJacobian) -> tuple[Symmetry, ...]:
    """The affine vector fields of the hidden width that the lower layer can produce and the upper layer can undo.

    A field is a row of coefficients of the basis fields ``y_j e_i`` and ``e_i``, i-major, the constant one last.
    """
    scalars, hidden = lower.scalars, lower.widths[1]
    diagonal = np.arange(hidden) * (hidden + 1) + np.arange(hidden)
    constant = np.arange(hidden) * (hidden + 1) + hidden
    everything = np.arange(hidden * (hidden + 1))
    before, spare = (-1, -1, -1), hidden + _SPARE_POINTS
    for _ in range(_RETRIES):
        fields = _undone(upper, _produced(lower, spare=spare), spare=spare)
        rescaling, shift, total = (
            len(fields) - scalars.rank(fields[:, np.setdiff1d(everything, own)])
            for own in (diagonal, constant, everything)
        )
        if (rescaling, shift, total) == before:
            kinds: dict[SymmetryKind, int] = {
                "rescaling between layers": rescaling,
                "shift between layers": shift,
                "mixing between layers": total - rescaling - shift,
            }
            return tuple(Symmetry(kind=k, layers=(), parameters=(), directions=n) for k, n in kinds.items() if n)
        before, spare = (rescaling, shift, total), spare + spare // 2
    raise ArithmeticError(f"Directions between layers must settle, however: they still shrink at {spare} spare points.")


def _produced(lower: StackJacobian, *, spare: int) -> Array:
    """The fields of its outputs that a layer can produce by changing its parameters."""
    scalars, hidden = lower.scalars, lower.widths[1]
    components = _components(lower)
    outputs = list(lower.outputs(_points_for(components, scalars, spare=spare)))
    y = np.stack([*(output.value for output in outputs), np.ones_like(outputs[0].value)], axis=1)
    bases = []
    for component, annihilator in zip(components, _annihilators(scalars, components, outputs), strict=True):
        size = len(component.outputs)
        own = np.zeros((size, len(y), size, hidden + 1), dtype=y.dtype)
        own[range(size), :, range(size)] = y
        kernel = scalars.kernel(scalars.matmul(annihilator, own.reshape(size * len(y), -1)))
        basis = np.zeros((len(kernel), hidden, hidden + 1), dtype=y.dtype)
        basis[:, component.outputs] = kernel.reshape(-1, size, hidden + 1)
        bases.append(basis.reshape(len(kernel), hidden * (hidden + 1)))
    return np.concatenate(bases)


def _undone(upper: StackJacobian, fields: Array, *, spare: int) -> Array:
    """Those combinations of fields of its input whose effect on a layer is a change of the layer's parameters."""
    scalars = upper.scalars
    components = _components(upper)
    outputs = list(upper.outputs(_points_for(components, scalars, spare=spare)))
    constraints = []
    for component, annihilator in zip(components, _annihilators(scalars, components, outputs), strict=True):
        effects = []
        for k in component.outputs:
            y = np.concatenate([outputs[k].point, np.ones_like(outputs[k].point[:, :1])], axis=1)
            basic = scalars.reduce(outputs[k].by_input[:, :, None] * y[:, None, :]).reshape(len(y), -1)
            effects.append(scalars.matmul(basic, fields.T))
        constraints.append(scalars.matmul(annihilator, np.concatenate(effects)))
    return scalars.matmul(scalars.kernel(np.concatenate(constraints)), fields)


def _annihilators(
    scalars: Scalars, components: Sequence[_Component], outputs: Sequence[Differentiated]
) -> Iterator[Array]:
    """Per component, what vanishes on all changes of its parameters; equal components are computed once."""
    known: dict[bytes, Array] = {}
    for component in components:
        matrix = np.concatenate([outputs[k].by_parameters[:, component.columns] for k in component.outputs])
        key = matrix.tobytes()
        if key not in known:
            known[key] = scalars.annihilator(matrix)
        yield known[key]


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return itertools.chain.from_iterable(itertools.combinations(names, n) for n in range(1, len(names) + 1))


def _column_names(jacobian: StackJacobian) -> Array:
    """The parameter that each column belongs to."""
    return np.repeat([c.parameter.name for c in jacobian.columns], [c.stop - c.start for c in jacobian.columns])
