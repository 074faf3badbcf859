"""Assertions that run relations between formats on the real torch modules, for your own tests and formats.

* `assert_contained(a, b)`: at the mapped parameters, the module of b computes what the module of a does.
* `assert_equivalent(a, b)`: both ways.
* `assert_separated(a, b)`: the module of a computes the witness of the separation, and no training of b reproduces it.

All work in float64 on small integers, where sums and products are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from qnn_models.layers.layer import QuadraticLayer
from qnn_theory.grammar.evaluate import evaluate, relu_of_numbers
from qnn_theory.grammar.expr import Activation, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import rolled_values, unrolled_values
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import get_format
from qnn_theory.relations.certificates import Containment, Undecided
from qnn_theory.relations.containment.parameter_map import AnyMap
from qnn_theory.relations.invariants.pair import Separation
from qnn_theory.relations.relation import decide

Values: TypeAlias = Mapping[str, Any]
UserMap: TypeAlias = Callable[[dict[str, np.ndarray]], Mapping[str, Any]]
"""Your own parameter map: the source's parameters as arrays -> the target's."""

_POINTS = 64
_TOLERANCE = 1e-9


def module(format: str | Format, *, dim: int, values: Values) -> QuadraticLayer:
    """A float64 layer with the given parameters.

    Args:
        format: an id or a `Format`.
        dim: the input width d.
        values: name -> array or nested lists in the parameter's shape.
    """
    layer = QuadraticLayer(format, dim=dim, dtype=torch.float64, seed=0)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.copy_(
                torch.as_tensor(np.asarray(_floats(values[name]), dtype=np.float64)).reshape(parameter.shape)
            )
    return layer


def assert_contained(
    source: str | Format,
    target: str | Format,
    *,
    map: AnyMap | UserMap | None = None,
    dim: int | None = None,
    draws: int = 5,
    seed: int = 0,
) -> None:
    """Assert that the functions of `source` are functions of `target`, by evaluating both modules.

    Args:
        source: the format that is contained.
        target: the format that contains it.
        map: the target's parameters from the source's; the certificate's own map when left out.
        dim: the input width d; the smallest from 4 up that both accept when left out.
        draws: how many random integer parameters are tried, each at 64 integer points.
        seed: seed of the random numbers.

    Raises:
        AssertionError: no map is known, or the modules differ under it; the message says where.
    """
    a, b = get_format(source), get_format(target)
    if map is None:
        found = decide(a, b)
        if not isinstance(found, Containment):
            raise AssertionError(f"{a.id} is not known to be contained in {b.id}: {' '.join(found.lines)}")
        map = found.map
    width = _width(a, b) if dim is None else dim
    generator = np.random.default_rng(seed)
    for _ in range(draws):
        values = fill_parameters(a.expr, dim=width, entry=lambda name, index: int(generator.integers(-3, 4)))
        mapped = _mapped(a, b, map, values, width)
        x = torch.as_tensor(generator.integers(-4, 5, size=(_POINTS, width)), dtype=torch.float64)
        ours, theirs = _output(module(a, dim=width, values=values), x), _output(module(b, dim=width, values=mapped), x)
        if ours.shape != theirs.shape or not torch.allclose(ours, theirs, rtol=_TOLERANCE, atol=_TOLERANCE):
            row = 0 if ours.shape != theirs.shape else int((ours - theirs).abs().amax(dim=1).argmax())
            raise AssertionError(
                f"{b.id} at the mapped parameters is not {a.id}: at x = {x[row].tolist()} they give {theirs[row].tolist()} and "
                f"{ours[row].tolist()}, with {values}"
            )


def assert_equivalent(
    first: str | Format,
    second: str | Format,
    *,
    map: AnyMap | UserMap | None = None,
    inverse: AnyMap | UserMap | None = None,
    dim: int | None = None,
    draws: int = 5,
    seed: int = 0,
) -> None:
    """Assert that two formats have the same functions, by evaluating both modules in both directions.

    Args:
        first: a format.
        second: another one.
        map: the second's parameters from the first's; the certificate's own map when left out.
        inverse: the first's parameters from the second's; the certificate's own map when left out.
        dim: as in `assert_contained`.
        draws: as in `assert_contained`.
        seed: as in `assert_contained`.

    Raises:
        AssertionError: as in `assert_contained`.
    """
    assert_contained(first, second, map=map, dim=dim, draws=draws, seed=seed)
    assert_contained(second, first, map=inverse, dim=dim, draws=draws, seed=seed)


def assert_separated(
    source: str | Format,
    target: str | Format,
    *,
    restarts: int = 3,
    steps: int = 600,
    tolerance: float = 1e-7,
    seed: int = 0,
) -> None:
    """Assert that some function of `source` is none of `target`: it has a certificate, and training finds no counter-example.

    The module of `source` at the witness is compared with the exact value of the witness; then a module of `target` is fitted to
    it from several starts. Where the separation does not survive limits (`Separation.closed` is False) a fit may come as close as
    it likes, so it is left out.

    A function that is not there can still be approximated: T29 comes as close to the witness of T28 as a millionth of its
    variance and stays there, however long it is trained. One that is there is reached below 1e-8 in 600 steps. The tolerance
    lies between the two.

    Args:
        source: the format that has the function.
        target: the format that has not.
        restarts: how many random starts the fit gets.
        steps: L-BFGS steps of each.
        tolerance: a fit whose error is below this share of the function's variance counts as a counter-example.
        seed: seed of points and starts.

    Raises:
        AssertionError: no separation is known, the module is not the witness, or a fit reproduces it.
    """
    a, b = get_format(source), get_format(target)
    found = decide(a, b)
    if not isinstance(found, Separation):
        known = "it is open" if isinstance(found, Undecided) else "it is contained"
        raise AssertionError(f"{a.id} is not known to be separated from {b.id}: {known}. {' '.join(found.lines)}")
    width = found.dims[0]
    generator = np.random.default_rng(seed)
    x = generator.integers(-4, 5, size=(_POINTS, width))
    if found.witness is None:
        values = fill_parameters(a.expr, dim=width, entry=lambda name, index: int(generator.integers(-3, 4)))
    else:
        width = found.witness.dim
        x = generator.integers(-4, 5, size=(_POINTS, width))
        values = found.witness.values(a.expr)
    layer = module(a, dim=width, values=values)
    if all(node.kind in ("relu", "relu6", "prelu") for node in walk(a.expr) if isinstance(node, Activation)):
        _assert_is(layer, a, values, x)
    points = torch.as_tensor(generator.normal(0, 2, size=(8 * _POINTS, width)))
    goal = _output(layer, points)
    other = QuadraticLayer(b, dim=width, dtype=torch.float64, seed=seed)
    if _output(other, points).shape != goal.shape or not found.closed:
        return
    best = min(fit(other, points, goal, seed=seed + k, steps=steps) for k in range(restarts))
    if best < tolerance:
        raise AssertionError(
            f"A fit of {b.id} reproduces the witness of {a.id} up to {best:.1e} of its variance, however: {' '.join(found.lines)}"
        )


def fit(layer: QuadraticLayer, points: Tensor, goal: Tensor, *, seed: int = 0, steps: int = 600) -> float:
    """Fit a layer to given outputs by L-BFGS from a random start.

    Args:
        layer: the layer; its parameters are overwritten.
        points: shape (batch, d).
        goal: shape (batch, outputs).
        seed: seed of the start.
        steps: L-BFGS steps.

    Returns:
        The mean squared error as a share of the variance of the goal.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) * 0.5)
    scale = goal.var().clamp_min(1e-12)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=steps, line_search_fn="strong_wolfe", tolerance_change=0)

    def loss() -> Tensor:
        return ((layer(points) - goal) ** 2).mean() / scale

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)
    with torch.no_grad():
        final = float(loss())
    return final if np.isfinite(final) else float("inf")


def _mapped(a: Format, b: Format, map: AnyMap | UserMap, values: Values, dim: int) -> Mapping[str, Any]:
    if callable(map):
        return map({name: np.asarray(value, dtype=np.float64) for name, value in values.items()})
    return rolled_values(b.expr, map.apply(unrolled_values(a.expr, values), dim=dim))


def _assert_is(layer: QuadraticLayer, format: Format, values: Values, x: np.ndarray) -> None:
    outputs = _output(layer, torch.as_tensor(x, dtype=torch.float64))
    for point, row in zip(x[:8], outputs, strict=False):
        exact = evaluate(format.expr, [Fraction(int(c)) for c in point], values, activation=relu_of_numbers)
        if not np.allclose([float(v) for v in exact], row.numpy(), rtol=_TOLERANCE, atol=_TOLERANCE):
            raise AssertionError(f"The module of {format.id} is not its expression at x = {point.tolist()}.")


def _output(layer: QuadraticLayer, x: Tensor) -> Tensor:
    with torch.no_grad():
        result: Tensor = layer(x)
    return result


def _width(a: Format, b: Format) -> int:
    step = int(np.lcm(divisor(a.expr), divisor(b.expr)))
    return step * -(-4 // step)


def _floats(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_floats(part) for part in value]
    return np.asarray(value, dtype=np.float64) if isinstance(value, np.ndarray) else float(value)
