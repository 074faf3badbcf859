"""The released logs as claims ask them: pairs of runs, sizes of data sets, and the parameters that a run should have."""

from __future__ import annotations

from typing import Any

from qnn_theory.costs import network_cost
from qnn_theory.published.numbers import logged_runs, vocabulary_sizes
from qnn_theory.registry import qnn_alpha

RUNS = "published_runs.csv"
PAPER = "paper_results.csv"
_POST, _NONE = "post_act_ReLU", "without_post_act"


def paired_runs() -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """The 25 formats' runs with and without post-activation."""
    by_arm = {(run["arm"], run["neuron_type"]): run for run in logged_runs()}
    kinds = [kind for arm, kind in by_arm if arm == _POST]
    return {kind: (by_arm[_POST, kind], by_arm[_NONE, kind]) for kind in kinds}


def expected_parameters(run: dict[str, str]) -> int | None:
    """All parameters of a run of a QNN alone; None for a QNN inside another network."""
    fields, width = fields_of(run["dataset"]), int(run["embedding_dim"])
    normed = run["batch_norm_present_in_params"] == "True"
    common: dict[str, Any] = {
        "layers": int(run["num_layers"]),
        "fields": fields,
        "embedding_dim": width,
        "vocabulary": features_of(run["dataset"]),
    }
    if run["arm"] in (_POST, _NONE):
        bilinear = run["neuron_type"] in ("T1", "T2", "T6")
        found = network_cost(
            run["neuron_type"], **common, batch_norm="outputs" if normed else None, projection=100 if bilinear else None
        )
    elif run["arm"] == "QNN_alpha":
        heads = int(run["num_heads"])
        layer = qnn_alpha(rows=int(run["num_rows"]), heads=heads, head_layout="released", embedding_dim=width)
        found = network_cost(layer, **common, batch_norm="gates" if normed else None)
    else:
        return None
    return int(found.parameters + found.embedding_parameters)


def fields_of(dataset: str) -> int:
    """The number of fields of a logged data set."""
    return sum(row["dataset"] == dataset for row in vocabulary_sizes())


def features_of(dataset: str) -> int:
    """The number of ids of a logged data set, over all fields."""
    return sum(int(row["vocabulary_size"]) for row in vocabulary_sizes() if row["dataset"] == dataset)
