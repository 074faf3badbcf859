"""What the theory expects of a trained model's variance by interaction order: the spectrum of its format at its own scales.

`qnn_theory.kernels` knows random networks. A trained one enters by its scales alone: the mean square of its embeddings, how alike
independent values of a field are, and how large each map's weights are beside those of a start. Directions that training found,
biases and differences between layers are left out, so where the measured shares depart from the expected ones, that is what was
learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt

import torch
from torch import Tensor, nn

from qnn_models.layers.initialization import start_std
from qnn_models.layers.layer import QuadraticLayer
from qnn_models.models.network import CTRModel, QNNAlphaNetwork, QuadraticNetwork
from qnn_models.serving.independent_fields import IndependentFields
from qnn_theory.grammar.expr import Activation, Affine, Bilinear, Expr, Scale, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.rewrite import replace as rewritten
from qnn_theory.grammar.rewrite import scale_maps
from qnn_theory.kernels.covariance import interaction_spectrum

__all__ = ["OperatingPoint", "expected_shares", "operating_point"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """The scales of a trained model on some rows.

    Attributes:
        embedding_std: root mean square of the entries of the fields' embeddings.
        collision: mean product of two independent values of a field, as a share of the mean square: how far values are alike, by
            being the same one or by what the field's embeddings have in common.
        map_scales: root mean square of each map's weights over all layers, as a multiple of the start's.
        scales: root mean square of each learned vector that multiplies coordinates.
    """

    embedding_std: float
    collision: float
    map_scales: Mapping[str, float]
    scales: Mapping[str, float]


def expected_shares(model: CTRModel, ids: Tensor, *, order: int) -> tuple[tuple[float, ...], float, OperatingPoint]:
    """Shares of order 1 to `order`, that of all larger sets, and the scales that they are expected at.

    Args:
        model: a trained model.
        ids: rows whose fields have the marginals that are meant.
        order: the largest order with a share of its own.

    Raises:
        ValueError: the theory has no rule for this model; says why.
    """
    point = operating_point(model, ids)
    layers = _layers(model)
    format = layers[0].format
    found = interaction_spectrum(
        Format(format.id, scale_maps(_with_scales(format.expr, point), point.map_scales)),
        fields=model.embedding.num_fields,
        embedding_dim=model.embedding.dim,
        depth=len(layers),
        embedding_std=point.embedding_std,
        collision=point.collision,
    )
    shares = found.shares[1 : order + 1]
    return shares, max(0.0, sum(found.shares[order + 1 :])), point


def operating_point(model: CTRModel, ids: Tensor) -> OperatingPoint:
    """The scales of a trained model on these rows.

    Raises:
        ValueError: the theory has no rule for this model; says why.
    """
    layers = _layers(model)
    rows = IndependentFields(model, ids, None)
    square = alike = 0.0
    for field, frequencies in enumerate(rows.frequencies):
        vectors = rows.vectors[rows.starts[field] : rows.starts[field] + len(frequencies)]
        square += float(frequencies @ vectors.square().sum(1))
        alike += float((frequencies @ vectors).square().sum())
    if not square > 0:
        raise ValueError("A spectrum is of embeddings that are not all zero, however: these are.")
    maps: dict[str, list[float]] = {}
    scales: dict[str, list[float]] = {}
    for layer in layers:
        for node in dict.fromkeys(walk(layer.format.expr)):
            if not isinstance(node, Affine | Bilinear | Scale):
                continue
            weight = _folded(layer, node).detach()
            size = float(weight.double().square().mean().sqrt())
            if isinstance(node, Scale):
                scales.setdefault(node.name, []).append(size)
            else:
                start = start_std("affine" if isinstance(node, Affine) else "bilinear", weight.shape)
                maps.setdefault(node.name, []).append(size / start)
    return OperatingPoint(
        embedding_std=sqrt(square / (rows.fields * model.embedding.dim)),
        collision=alike / square,
        map_scales={name: _root_mean_square(sizes) for name, sizes in maps.items()},
        scales={name: _root_mean_square(sizes) for name, sizes in scales.items()},
    )


def _layers(model: CTRModel) -> list[QuadraticLayer]:
    if not isinstance(model, QuadraticNetwork | QNNAlphaNetwork):
        raise ValueError(
            f"The theory has the spectra of quadratic networks, however: this is a {type(model).__name__}."
        )
    if isinstance(model, QuadraticNetwork) and not isinstance(model.projection, nn.Identity):
        raise ValueError("The theory has the spectra of networks without a projection, however: this has one.")
    layers = [module for module in model.modules() if isinstance(module, QuadraticLayer)]
    for layer in layers:
        if _norms(layer) and _gates(layer.format.expr) is None:
            raise ValueError(
                f"BatchNorm joins the theory where it stands before one kind of gate, however: {layer.format.id} has others."
            )
    return layers


def _norms(layer: QuadraticLayer) -> list[nn.BatchNorm1d]:
    return [module for module in layer.modules() if isinstance(module, nn.BatchNorm1d)]


def _gates(expr: Expr) -> list[Affine] | None:
    """The maps before the activations inside a format, in order, if no other map is there and no activation is on the result."""
    maps = {node for node in walk(expr) if isinstance(node, Affine | Bilinear)}
    gates = [node.of for node in walk(expr) if isinstance(node, Activation) and node is not expr]
    found = [gate for gate in gates if isinstance(gate, Affine)]
    return found if len(found) == len(gates) and set(found) == maps and not isinstance(expr, Activation) else None


def _folded(layer: QuadraticLayer, node: Affine | Bilinear | Scale) -> Tensor:
    """A parameter; where BatchNorm follows, as large as what multiplies the layer's input in evaluation."""
    weight = layer.get_parameter(node.name)
    norms, gates = _norms(layer), _gates(layer.format.expr)
    if not norms or gates is None or not isinstance(node, Affine):
        return weight
    factors = [norm.weight * torch.rsqrt(norm.running_var + norm.eps) for norm in norms if norm.running_var is not None]
    if len(factors) == 1:  # of the maps of all heads, side by side within each row
        names = list(dict.fromkeys(gate.name for gate in gates))
        sizes = [layer.get_parameter(name).shape[-2] for name in names]
        rows = weight.shape[0] if weight.dim() == 3 else 1
        factor = factors[0].view(rows, sum(sizes)).split(sizes, 1)[names.index(node.name)]
    else:
        factor = factors[[gate.name for gate in gates].index(node.name)].view(-1, weight.shape[-2])
    return weight * factor.reshape(weight.shape[:-1]).unsqueeze(-1)


def _with_scales(expr: Expr, point: OperatingPoint) -> Expr:
    """The expression whose learned vectors start at their present size."""
    return rewritten(
        expr, lambda node: replace(node, initial=point.scales[node.name]) if isinstance(node, Scale) else node
    )


def _root_mean_square(sizes: list[float]) -> float:
    return sqrt(sum(size**2 for size in sizes) / len(sizes))
