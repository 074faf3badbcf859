"""The task ``interaction``: how many updates, and rows, a network needs to find a pure interaction of a known order.

The data sets are laws that rows are drawn from afresh (`qnn_models.data.pure_interactions`): ``order-K`` has one interaction of K
fields, ``mixture`` one of each order from 1 to 4. Which fields interact and the tokens' signs depend on the split's seed, so that
all formats of a repetition see the same rows in the same order. The network is that of the task ``train``, without dropout, its
embeddings started at a standard deviation of the study's choice.

Its metrics:

=====================================  ========================================================================================
``updates_to_half rows_to_half``       updates, and fresh rows, until half of the attainable gain in AUC over one half was there;
                                       where it never was, the study's ``max_updates``: read them with ``reached``
``reached``                            1 where half of the gain was reached, else 0 (the time is censored)
``diverged``                           1 where the outputs ceased to be finite, else 0
``test_auc``                           at the end, to be expected of fresh labels; training ends at ``stop_at`` of the gain
``gain_share``                         (test_auc - 1/2) / (bayes_auc - 1/2)
``bayes_auc``                          the best that there is, exact
``updates_to_half_order_K``            of the mixture: until the logit has half of the term of order K; censored likewise
``parameters embedding_parameters``    learned numbers, and how many of them are embeddings
=====================================  ========================================================================================
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import cast

import torch

from qnn_models.data.pure_interactions import PureInteractions, pure_interactions, random_term
from qnn_models.layers.embedding import EMBEDDING_STD
from qnn_models.models.network import QuadraticNetwork
from qnn_models.runtime.seeds import derive
from qnn_theory.costs import D, cost
from qnn_theory.grammar.expr import ActivationKind
from studies.tasks.arm_format import arm_format
from studies.tasks.ctr_model import check_model, model_parameters, parameter_metrics, stack_width
from studies.tasks.interaction_training import HALF, Curve, InteractionTraining, crossing, train_side_by_side
from studies.tasks.plain_task import prepare, protocol_options, protocol_training
from studies.tasks.signatures import dataclass_parameters, function_parameters
from studies.tasks.spec import RunSpec, Settings, digest, settings
from studies.tasks.task import Measured

__all__ = ["prepare", "protocol_options", "protocol_training"]

ORDERS = (1, 2, 3, 4)
MIXTURE = "mixture"
_OVERHEAD_FLOPS = 2e5
"""What a row costs besides the layers' matrix products, as the operations that take as long."""


def quadratic(
    format: str,
    *,
    post_activation: ActivationKind | None = None,
    layers: int = 2,
    fields: int = 6,
    vocabulary: int = 16,
    embedding_dim: int = 8,
    embedding_std: float = 0.3,
    strength: float = 2.0,
) -> dict[str, object]:
    """The settings of network and data; this signature is what a study file may say.

    Args:
        format: id of the layers' format.
        post_activation: activation after each layer, or none.
        layers: number of layers.
        fields: number of fields.
        vocabulary: tokens of each field, an even number.
        embedding_dim: width of each embedding.
        embedding_std: standard deviation of their start values.
        strength: standard deviation of the true logit.
    """
    return dict(locals())


def dataset_names() -> tuple[str, ...]:
    """Names of the laws."""
    return (*(f"order-{order}" for order in ORDERS), MIXTURE)


def model_names() -> tuple[str, ...]:
    """Names of the models."""
    return ("quadratic",)


def option_parameters(model: str) -> Mapping[str, inspect.Parameter]:
    """The settings of network and data."""
    return function_parameters(quadratic)


def training_parameters() -> Mapping[str, inspect.Parameter]:
    """The settings of `InteractionTraining`."""
    return dataclass_parameters(InteractionTraining)


def layer_width(spec: RunSpec) -> int:
    """Fields × embedding_dim."""
    return stack_width(spec, fields=int(spec.option("fields") or 0))


def order_of(dataset: str) -> int | None:
    """The order of the one interaction of a law; None for the mixture.

    Raises:
        ValueError: no such law.
    """
    found = re.fullmatch(r"order-(\d+)", dataset)
    if dataset != MIXTURE and (found is None or int(found[1]) not in ORDERS):
        raise ValueError(f"A law is one of {', '.join(dataset_names())}, however: {dataset!r}.")
    return None if found is None else int(found[1])


def law(spec: RunSpec) -> PureInteractions:
    """What the run's rows are drawn from; depends on its data set, the split's seed and the settings of the data."""
    options = dict(spec.options)
    return _law(
        spec.dataset,
        derive(spec.split_seed, "law", spec.dataset),
        fields=cast(int, options["fields"]),
        vocabulary=cast(int, options["vocabulary"]),
        strength=cast(float, options["strength"]),
    )


@lru_cache(maxsize=64)
def _law(dataset: str, seed: int, *, fields: int, vocabulary: int, strength: float) -> PureInteractions:
    order = order_of(dataset)
    orders = ORDERS if order is None else (order,)
    terms = [random_term(k, fields=fields, strength=strength / len(orders) ** 0.5, seed=seed) for k in orders]
    return pure_interactions(terms, fields=fields, vocabulary=vocabulary, seed=seed)


def check(spec: RunSpec) -> None:
    """Reject an unknown format, a width that it cannot have, and settings out of range.

    Raises:
        ValueError: something does not fit.
        KeyError: there is no such format.
    """
    InteractionTraining(**dict(spec.training))  # type: ignore[arg-type]
    for key in ("embedding_std", "strength"):
        value = spec.option(key)
        if not isinstance(value, float) or not value > 0:
            raise ValueError(f"{key} is positive, however: {value}.")
    for key in ("fields", "vocabulary", "embedding_dim", "layers"):
        number = spec.option(key)
        if not isinstance(number, int) or number < 1:
            raise ValueError(f"There must be at least 1 of {key}, however: {number}.")
    law(spec)
    check_model(spec, _network(spec), width=layer_width(spec))


def relative_cost(spec: RunSpec) -> float:
    """Operations of all updates, were none ended early."""
    format = arm_format(spec)
    per_layer = float(cost(format).training_flops.subs(D, layer_width(spec))) if format is not None else 0.0
    training = InteractionTraining(**dict(spec.training))  # type: ignore[arg-type]
    rows = training.max_updates * training.batch_size
    return rows * (_OVERHEAD_FLOPS + per_layer * cast(int, spec.option("layers")))


def together_key(spec: RunSpec) -> str | None:
    """Networks of one architecture with one optimizer go together, whatever their data and their start values."""
    options = {key: value for key, value in spec.options if key not in ("embedding_std", "strength")}
    return digest({"options": options, "training": dict(spec.training)})


def default_together(*, on_gpu: bool) -> int:
    """How many fill the cache of a processor, or a GPU."""
    return 64 if on_gpu else 16


def run(spec: RunSpec) -> Measured:
    """Train one network."""
    return run_together([spec])[0]


def run_together(specs: Sequence[RunSpec]) -> list[Measured]:
    """Train networks of one `together_key` side by side; each as alone, within rounding."""
    laws = [law(spec) for spec in specs]
    config = InteractionTraining(**dict(specs[0].training))  # type: ignore[arg-type]
    models = [_build(spec, there) for spec, there in zip(specs, laws, strict=True)]
    seeds = [derive(spec.split_seed, "stream", spec.dataset) for spec in specs]
    curves = train_side_by_side(models, laws, config, stream_seeds=seeds)
    return [_measured(model, there, curve, config) for model, there, curve in zip(models, laws, curves, strict=True)]


def _network(spec: RunSpec) -> Settings:
    """The settings of the network as the task ``train`` knows them; its embeddings start at the models' own deviation."""
    own = model_parameters("quadratic").keys() - {"embedding_std"}
    known = {key: value for key, value in spec.options if key in own}
    return settings(known | {"dropout": 0.0})


def _build(spec: RunSpec, there: PureInteractions) -> QuadraticNetwork:
    model = QuadraticNetwork(there.layout, **dict(_network(spec)), seed=derive(spec.root_seed, "start"))  # type: ignore[arg-type]
    with torch.no_grad():
        model.embedding.weight.mul_(cast(float, spec.option("embedding_std")) / EMBEDDING_STD)
    return model


def _measured(model: QuadraticNetwork, there: PureInteractions, curve: Curve, config: InteractionTraining) -> Measured:
    attainable = there.bayes_auc - 0.5
    half = crossing(curve.updates, curve.auc, 0.5 + HALF * attainable)
    updates = config.max_updates if half is None else half
    orders: dict[str, float] = {}
    if len(there.terms) > 1:
        for place, term in enumerate(there.terms):
            found = crossing(curve.updates, [parts[place] for parts in curve.parts], HALF)
            orders[f"updates_to_half_order_{len(term.fields)}"] = config.max_updates if found is None else found
    return Measured(
        metrics={
            "updates_to_half": updates,
            "rows_to_half": updates * config.batch_size,
            "reached": float(half is not None),
            "diverged": float(curve.diverged),
            "test_auc": curve.auc[-1],
            "gain_share": (curve.auc[-1] - 0.5) / attainable,
            "bayes_auc": there.bayes_auc,
            **orders,
            **parameter_metrics(model),
        },
        series={"history": {"updates": curve.updates, "test_auc": curve.auc}},
    )
