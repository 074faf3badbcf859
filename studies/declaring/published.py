"""The published numbers that belong beside a study's own, in columns of their own (li2025qnn)."""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources

from studies.declaring.config import StudyConfig
from studies.tasks.protocol import protocol_name
from studies.tasks.spec import RunSpec

DATASETS = {
    "criteo": "Criteo",
    "tenrec": "Tenrec",
    "ml-1m": "ML-1M",
    "frappe": "Frappe",
    "ipinyou": "iPinYou",
    "kkbox": "KKBox",
    "moons": "moon",
    "circles": "circle",
}
"""Our names of data sets -> the paper's."""


def published_dataset(dataset: str) -> str:
    """The paper's name of a data set of ours, however it is encoded; empty for one that it has not."""
    return DATASETS.get(protocol_name(dataset), "")


def published_columns(config: StudyConfig, spec: RunSpec) -> dict[str, str | float]:
    """Keys and values of the published numbers of a run's arm.

    Returns:
        ``published_source``, ``published_model``, ``published_setting``; and where the paper has the numbers
        ``published_dataset`` and one ``published_METRIC`` each, AUC as a fraction. Empty for a study without any.
    """
    published = config.published
    if published is None:
        return {}
    values = {key: "none" if value is None else value for key, value in (*spec.options, *spec.training)}
    named = {key: published.values.get(str(value), value) for key, value in values.items()}
    model = published.names.get(spec.label, spec.label)
    try:
        setting = published.setting.format(**named)
    except KeyError:  # a baseline has no ``post_activation``
        setting = ""
    keys: dict[str, str | float] = {
        "published_source": published.source,
        "published_model": model,
        "published_setting": setting,
    }
    for dataset in (published_dataset(spec.dataset), published.reference):
        found = _numbers().get((published.source, dataset, model, setting))
        if found:
            return {
                **keys,
                "published_dataset": dataset,
                **{f"published_{name}": value for name, value in found.items()},
            }
    return keys


def published_sources() -> dict[str, set[str]]:
    """Tables and figures with published numbers -> the paper's names of the data sets in them."""
    found: dict[str, set[str]] = {}
    for source, dataset, _, _ in _numbers():
        found.setdefault(source, set()).add(dataset)
    return found


def published_metrics(source: str) -> tuple[str, ...]:
    """Names of the metrics that a table or figure has numbers of, as in the columns ``published_METRIC``."""
    return tuple(dict.fromkeys(name for key, values in _numbers().items() if key[0] == source for name in values))


@cache
def _numbers() -> dict[tuple[str, str, str, str], dict[str, float]]:
    """(source, dataset, model, setting) -> metric -> value."""
    found: dict[tuple[str, str, str, str], dict[str, float]] = {}
    text = (resources.files("qnn_theory") / "published" / "paper_results.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        key = (row["source"], row["dataset"], row["model"], row["setting"])
        if row["metric"] == "auc_percent":
            found.setdefault(key, {})["auc"] = float(row["value"]) / 100
        else:
            found.setdefault(key, {})[row["metric"]] = float(row["value"])
    return found
