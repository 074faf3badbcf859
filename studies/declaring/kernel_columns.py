"""What the kernels of an arm's format predict of it, to stand beside what was measured. Only for studies that ask for it.

Of the task ``interaction``, for the order k of the run's data set, at its own size of embeddings, vocabulary and shape:

======================================  ==============================================================================
``theory_order_share_plain``            V_k / (V_1 + … + V_f) of the tangent kernel Θ at the start
``theory_order_share_mean_square``      the same of Σ_g Θ_g / m_g over groups g of parameters; m_g is the mean square of a
                                        number's gradient, Θ_g(f) / (numbers in g)
``theory_order_share_rms``              the same of Σ_g Θ_g / √m_g: Adam divides each step by the gradient's root mean square
``theory_order_share_covariance``       the same of the outputs' covariance
``theory_order_size``                   V_k of the tangent kernel
======================================  ==============================================================================

Of the task ``train``, at the shape of the data set, ``…_start`` with embeddings of the size at which they start, ``…_operating``
of `OPERATING_STD`:

======================================  ==============================================================================
``theory_gain_…``                       second moment after the stack over that of the embeddings
``theory_fluctuation_…``                standard deviation over starts of the logarithm of the gain
``theory_above_1_… theory_above_2_…``   share of the orders above 1, above 2, of Σ_g Θ_g / √m_g, of the embeddings only the
                                        numbers that a row reads
======================================  ==============================================================================

They are empty for a model that is no stack of one format on the embeddings themselves, and for a format without a rule.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from math import comb, prod
from typing import TypeAlias, cast

from qnn_theory import covariance, signal, tangent_kernel
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.widths import parameters, width
from qnn_theory.kernels.moments.layer_rules import NoRuleError
from qnn_theory.kernels.spectrum import with_collisions
from studies.tasks.arm_format import arm_format
from studies.tasks.spec import RunSpec
from studies.tasks.task import task_module

OPERATING_STD = 0.3
"""Where embeddings of trained models are: .1 to 1."""
START_STD = 1e-4
"""Where the released runs start them (`qnn_models.layers.embedding`)."""

_ROUNDING = 1e-13
"""Relative size of what differences of doubles leave of nothing."""

ORDER_PREDICTORS = (
    "theory_order_share_plain",
    "theory_order_share_mean_square",
    "theory_order_share_rms",
    "theory_order_share_covariance",
    "theory_order_size",
)
TRAIN_PREDICTORS = tuple(
    f"theory_{name}_{where}"
    for name in ("gain", "fluctuation", "above_1", "above_2")
    for where in ("start", "operating")
)
KERNEL_PREDICTORS = (*ORDER_PREDICTORS, *TRAIN_PREDICTORS)

Values: TypeAlias = tuple[float, ...]


def kernel_columns(spec: RunSpec, wanted: Collection[str]) -> dict[str, float | None]:
    """The columns of a run's arm that are wanted."""
    asked = [name for name in KERNEL_PREDICTORS if name in wanted]
    if not asked:
        return {}
    format, layers = arm_format(spec), spec.option("layers")
    if format is None or not isinstance(layers, int) or spec.option("projection") is not None:
        return dict.fromkeys(asked)
    embedding_dim = cast(int, spec.option("embedding_dim"))
    fields = task_module(spec.task).layer_width(spec) // embedding_dim
    try:
        found = (
            _of_order(spec, format, fields, embedding_dim, layers)
            if spec.task == "interaction"
            else _of_training(format, fields, embedding_dim, layers)
        )
    except NoRuleError:
        found = {}
    return {name: found.get(name) for name in asked}


def _of_order(spec: RunSpec, format: Format, fields: int, embedding_dim: int, layers: int) -> Mapping[str, float]:
    from studies.tasks.interaction_task import order_of

    order = order_of(spec.dataset)
    if order is None:
        return {}
    vocabulary, std = cast(int, spec.option("vocabulary")), cast(float, spec.option("embedding_std"))
    spectra = _spectra(format, fields, embedding_dim, layers, std, vocabulary)
    found = {f"theory_order_share_{name}": share_of(spectrum, order) for name, spectrum in spectra.items()}
    return {**found, "theory_order_size": spectra["plain"][order]}


@lru_cache(maxsize=256)
def _spectra(
    format: Format, fields: int, embedding_dim: int, layers: int, std: float, vocabulary: int
) -> Mapping[str, Values]:
    """V_0 .. V_f of the tangent kernel, of the normalised ones and of the covariance, for a vocabulary of this size."""
    setting = {"fields": fields, "embedding_dim": embedding_dim, "depth": layers, "width_correction": False}
    groups = tangent_kernel(format, embedding_std=std, **setting).groups  # type: ignore[arg-type]
    sizes = group_sizes(format, fields=fields, embedding_dim=embedding_dim, depth=layers, vocabulary=vocabulary)
    kernels = {
        "plain": joined(with_head_as_started(groups)),
        "mean_square": normalised(groups, sizes, power=1.0),
        "rms": normalised(groups, sizes, power=0.5),
        "covariance": covariance(format, embedding_std=std, **setting).values,  # type: ignore[arg-type]
    }
    return {name: with_collisions(variances(values), 1 / vocabulary) for name, values in kernels.items()}


@lru_cache(maxsize=256)
def _of_training(format: Format, fields: int, embedding_dim: int, layers: int) -> Mapping[str, float]:
    found: dict[str, float] = {}
    setting = {"fields": fields, "embedding_dim": embedding_dim, "depth": layers, "width_correction": False}
    sizes = group_sizes(format, fields=fields, embedding_dim=embedding_dim, depth=layers, vocabulary=1)
    for where, std in (("start", START_STD), ("operating", OPERATING_STD)):
        told = signal(format, embedding_std=std, **setting)  # type: ignore[arg-type]
        found[f"theory_gain_{where}"] = told.gain
        found[f"theory_fluctuation_{where}"] = told.log_gain_std
        groups = tangent_kernel(format, embedding_std=std, **setting).groups  # type: ignore[arg-type]
        values = normalised(groups, sizes, power=0.5)
        interactions = values[-1] - values[0]
        first = variances(values, highest=1)[1]
        second = variances(values, highest=2)[2] if fields > 1 else 0.0
        found[f"theory_above_1_{where}"] = 1 - first / interactions
        found[f"theory_above_2_{where}"] = 1 - (first + second) / interactions
    return found


def group_sizes(format: Format, *, fields: int, embedding_dim: int, depth: int, vocabulary: int) -> dict[str, int]:
    """How many numbers each group of a network's parameters has, by the names of `tangent_kernel`'s groups."""
    dim = fields * embedding_dim
    sizes = {"embedding": fields * embedding_dim * vocabulary}
    for layer in range(depth):
        for parameter in parameters(format.expr):
            sizes[f"layers.{layer}.{parameter.name}"] = prod(parameter.shape(dim))
        dim = int(dim * width(format.expr))
    return {**sizes, "head": dim}


def with_head_as_started(groups: Mapping[str, Values]) -> dict[str, Values]:
    """The groups for a head that starts Xavier-normal, as the networks' does: variance near 2/width, the kernels' is 1/width.

    All gradients but the head's own have a factor of the head, so their kernels double.
    """
    return {name: values if name == "head" else tuple(2 * value for value in values) for name, values in groups.items()}


def normalised(groups: Mapping[str, Values], sizes: Mapping[str, int], *, power: float) -> Values:
    """``Σ_g Θ_g / m_g^power``, m_g the mean square of the gradient by a number of group g: by 1/2 as Adam divides.

    The head's size of start cancels for 1 (each group is then divided by its own size); for 1/2 groups are weighed by it.
    """
    scaled = {}
    for name, values in with_head_as_started(groups).items():
        square = values[-1] / sizes[name]
        scaled[name] = tuple(value / square**power for value in values) if square > 0 else values
    return joined(scaled)


def joined(groups: Mapping[str, Values]) -> Values:
    """The sum over the groups."""
    return tuple(map(sum, zip(*groups.values(), strict=True)))


def variances(values: Sequence[float], *, highest: int | None = None) -> Values:
    """V_0 .. V_highest by forward differences of K(0) .. K(f); of many fields only the lowest orders keep their digits."""
    fields = len(values) - 1
    found, differences = [], list(values)
    for order in range((fields if highest is None else highest) + 1):
        found.append(comb(fields, order) * differences[0])
        differences = [after - before for before, after in pairwise(differences)]
    return tuple(found)


def share_of(spectrum: Values, order: int) -> float:
    """V_k among V_1 .. V_f; an order that a format does not have has none, whatever rounding left of it."""
    interactions = sum(spectrum[1:])
    share = spectrum[order] / interactions if interactions else 0.0
    return share if share > _ROUNDING else 0.0
