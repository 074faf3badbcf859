"""What a study refers to by name: whether the arms it compares, the columns it correlates and the numbers beside it exist."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence

from studies.declaring.config import Comparison, Correlate, Published, StudyConfig
from studies.declaring.kernel_columns import ORDER_PREDICTORS, TRAIN_PREDICTORS
from studies.declaring.published import published_metrics, published_sources
from studies.declaring.theory_columns import PREDICTORS
from studies.tasks.metrics import METRICS, compared_metrics, is_time
from studies.tasks.signatures import known
from studies.tasks.spec import RunSpec, as_text

TUNING_GAIN = "tuning_gain"
"""Of the summary where arms choose settings: what an arm's test AUC gained by it."""

STATISTICS = ("mean", "std", "low", "high")
"""What a summary tells of each metric."""


def check_references(config: StudyConfig, specs: Sequence[RunSpec]) -> None:
    """Reject a reference to what the study does not have; it would leave a table empty, after all runs were done.

    Args:
        config: the study.
        specs: its runs.

    Raises:
        ValueError: a name does not exist; names the key.
    """
    settings = _settings(specs)
    for number, comparison in enumerate(config.compare):
        _check_comparison(config, comparison, specs, settings, f"compare[{number}]")
    if config.correlate is not None:
        _check_correlate(config, config.correlate, settings)
    if config.published is not None:
        _check_published(config.published, specs, settings)


def _settings(specs: Sequence[RunSpec]) -> Mapping[str, set[str]]:
    """Setting -> its values as a collected file shows them; those of the training as ``training_…``."""
    found: dict[str, set[str]] = {}
    for spec in specs:
        for name, value in (*spec.options, *((f"training_{name}", value) for name, value in spec.training)):
            found.setdefault(name, set()).add(as_text(value))
    return found


def _check_comparison(
    config: StudyConfig,
    comparison: Comparison,
    specs: Sequence[RunSpec],
    settings: Mapping[str, set[str]],
    key: str,
) -> None:
    if comparison.option:
        known(comparison.option, settings, f"{key}.option")
        known(comparison.against, sorted(settings[comparison.option]), f"{key}.against")
    else:
        known(comparison.against, dict.fromkeys(spec.label for spec in specs), f"{key}.against")
        arms = {spec.arm for spec in specs if (spec.label, spec.dataset) == (comparison.against, specs[0].dataset)}
        if len(arms) > 1:
            raise ValueError(
                f"{key}.against: must be the label of one arm, however: {comparison.against!r} is that of {len(arms)}; "
                f"name the option in which they differ"
            )
    for name in comparison.apart_from:
        known(name, settings, f"{key}.apart_from")
    for metric in comparison.metrics:
        known(metric, compared_metrics(config.task), f"{key}.metrics")
        if is_time(metric) and not config.one_at_a_time:
            raise ValueError(
                f"{key}.metrics: times are compared where runs do not share the machine, however: {metric!r} without "
                f"one_at_a_time = true"
            )


def _check_correlate(config: StudyConfig, correlate: Correlate, settings: Mapping[str, set[str]]) -> None:
    outcomes = [f"{metric}_{statistic}" for metric in METRICS[config.task] for statistic in STATISTICS] + ["failed"]
    if config.published is not None:
        outcomes += [f"published_{metric}" for metric in published_metrics(config.published.source)]
    if config.choose is not None:
        outcomes.append(TUNING_GAIN)
    of_kernels = ORDER_PREDICTORS if config.task == "interaction" else TRAIN_PREDICTORS
    for name in correlate.predictors:
        known(name, (*PREDICTORS, *of_kernels), "correlate.predictors")
    for name in correlate.outcomes:
        known(name, outcomes, "correlate.outcomes")
    columns = {"model", "label", *settings}
    for name, value in correlate.where.items():
        known(name, columns, "correlate.where")
        if name in settings:
            known(as_text(value), sorted(settings[name]), f"correlate.where.{name}")
    for key in ("by", "best_of"):
        for name in getattr(correlate, key):
            known(name, settings, f"correlate.{key}")
    with_side = [f"{metric}_mean" for metric in compared_metrics(config.task)]
    for name in correlate.outcomes if correlate.best_of else ():
        if name not in with_side:
            raise ValueError(
                f"correlate.best_of: the best is the mean of a metric with a better side, however: {name!r} is an outcome"
            )


def _check_published(published: Published, specs: Sequence[RunSpec], settings: Mapping[str, set[str]]) -> None:
    sources = published_sources()
    known(published.source, sources, "published.source")
    if published.reference:
        known(published.reference, sorted(sources[published.source]), "published.reference")
    for name in placeholders(published.setting, "published.setting"):
        known(name, {setting.removeprefix("training_"): None for setting in settings}, "published.setting")
    for label in published.names:
        known(label, dict.fromkeys(spec.label for spec in specs), "published.names")


def placeholders(template: str, key: str) -> tuple[str, ...]:
    """The names in braces of a template.

    Raises:
        ValueError: the braces are no pairs.
    """
    try:
        return tuple(name for _, name, _, _ in string.Formatter().parse(template) if name is not None)
    except ValueError as error:
        raise ValueError(f"{key}: names settings in braces, as {{rows}}, however: {template!r} ({error})") from None
