"""From a declared study to its runs. Pure: the same study gives the same runs, and nothing is read or written."""

from __future__ import annotations

import fnmatch
import inspect
import itertools
from collections.abc import Iterator, Mapping

from qnn_models.runtime.seeds import derive
from qnn_theory.grammar.readings.formula import is_formula
from qnn_theory.registry import formats, stored_name
from studies.declaring.config import Arm, Override, StudyConfig
from studies.tasks.protocol import protocol_name
from studies.tasks.signatures import Choice, as_value
from studies.tasks.spec import RunSpec, Scalar, settings
from studies.tasks.task import task_module


def plan(config: StudyConfig, *, quick: bool = False) -> tuple[RunSpec, ...]:
    """The runs of a study: data sets × arms × grids × seeds.

    A setting comes from the first of these that has it: ``[quick]``, the arm, the study's override for the data set, the
    study, the published protocol of the data set (`studies.tasks.protocol`), the default of the function that takes it.

    A run's split seed depends on the repetition at most, never on the model, so that all models of one repetition see the
    same rows. Its own seeds (initialisation, dropout, order of the batches) derive from repetition and model together.

    Args:
        config: the study.
        quick: whether the runs are shortened as the study's ``[quick]`` says.

    Raises:
        ValueError: a format pattern that no registered format matches, or a label that names a setting the arm has not.
    """
    return tuple(
        spec
        for dataset in config.datasets
        for arm in config.arms
        if not arm.datasets or dataset in arm.datasets
        for spec in _arm_runs(config, arm, dataset, quick)
    )


def _arm_runs(config: StudyConfig, arm: Arm, dataset: str, quick: bool) -> Iterator[RunSpec]:
    module = task_module(config.task)
    option_parameters = module.option_parameters(arm.model)
    training_parameters = module.training_parameters()
    known = protocol_name(dataset)
    override = config.overrides.get(dataset, config.overrides.get(known, Override()))
    options_here = arm.options_on.get(dataset, arm.options_on.get(known, {}))
    asked = {**module.protocol_options(dataset), **override.options}
    common_options = {key: value for key, value in asked.items() if key in option_parameters}
    common_training = {**module.protocol_training(dataset, arm.model), **config.training, **override.training}
    shortened = dict(config.quick.training) if quick else {}
    for options in _grid({**common_options, **arm.options, **options_here}):
        for training in _grid({**common_training, **arm.training, **shortened}):
            resolved = _resolve(options, option_parameters)
            shown = {**resolved, **training}
            if isinstance(resolved.get("format"), str):
                resolved["format"] = stored_name(str(resolved["format"]))
            for seed in config.seeds:
                yield RunSpec(
                    task=config.task,
                    dataset=dataset,
                    model=arm.model,
                    options=settings(resolved),
                    training=settings(_resolve(training, training_parameters)),
                    seed=seed,
                    split_seed=config.split_seed
                    if config.splits == "one"
                    else derive(config.split_seed, "split", seed),
                    train_rows=config.quick.train_rows if quick else None,
                    quick=quick,
                    alone=config.one_at_a_time,
                    label=_label(arm, shown),
                )


def _grid(choices: Mapping[str, Choice]) -> Iterator[dict[str, Scalar]]:
    values = [
        _formats(choice) if key == "format" else choice if isinstance(choice, tuple) else (choice,)
        for key, choice in choices.items()
    ]
    for combination in itertools.product(*values):
        yield dict(zip(choices, combination, strict=True))


def _formats(choice: Choice) -> tuple[Scalar, ...]:
    """Format ids and formulas; ``*`` and ``?`` match registered ids, a leading ``!`` leaves out."""
    patterns = choice if isinstance(choice, tuple) else (choice,)
    if not any(isinstance(pattern, str) and set(pattern) & set("*?!") for pattern in patterns):
        return patterns
    chosen: dict[str, None] = {}
    for pattern in map(str, patterns):
        if is_formula(pattern) or set(pattern) & set("+~"):  # a formula, or an id with activations attached
            chosen[pattern] = None
            continue
        matched = [format.id for format in formats() if fnmatch.fnmatchcase(format.id, pattern.removeprefix("!"))]
        if not matched:
            raise ValueError(f"A format pattern matches a registered format, however: {pattern!r} matches none.")
        for id in matched:
            if pattern.startswith("!"):
                chosen.pop(id, None)
            else:
                chosen[id] = None
    return tuple(chosen)


def _resolve(given: Mapping[str, Scalar], parameters: Mapping[str, inspect.Parameter]) -> dict[str, Scalar]:
    """All settings: the given ones and the defaults of the rest."""
    return {
        name: as_value(given.get(name, parameter.default), parameter.annotation)
        for name, parameter in parameters.items()
        if name in given or parameter.default is not inspect.Parameter.empty
    }


def _label(arm: Arm, values: Mapping[str, Scalar]) -> str:
    try:
        return arm.label.format(**{**values, "model": arm.model})
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"A label names settings of its arm in braces, however: {arm.label!r} ({error}).") from None
