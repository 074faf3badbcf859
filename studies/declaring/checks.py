"""Whether what a study names exists and fits: data sets, models, settings, widths, references; before anything runs."""

from __future__ import annotations

from dataclasses import replace

from qnn_models.runtime.names import check_name
from studies.declaring.choosing import trials
from studies.declaring.config import Choose, StudyConfig
from studies.declaring.plan import plan
from studies.declaring.references import check_references
from studies.tasks.metrics import VALIDATION_METRICS
from studies.tasks.signatures import check_settings, known
from studies.tasks.task import task_module


def validated(config: StudyConfig) -> StudyConfig:
    """The study itself, after every name and every value in it was checked against what exists.

    Raises:
        ValueError: something does not exist or does not fit; names file and key.
    """
    planned: dict[tuple[str, str], str] = {}
    where = f"{config.source}: " if config.source else ""
    module = task_module(config.task)
    try:
        for dataset in config.datasets:
            if not (config.task in ("train", "data") and dataset.endswith(".toml")):  # a schema of the user's own files
                known(dataset, module.dataset_names(), "datasets")
        for key in ("datasets", "arms", "seeds"):
            if not getattr(config, key):
                raise ValueError(f"{key}: there must be at least one, however: none")
        if config.task == "scaling" and not config.one_at_a_time:
            raise ValueError("one_at_a_time: a scaling study measures time, so it must be true, however: false")
        check_name(config.name, what="name: it")
        if len(set(config.datasets)) != len(config.datasets):
            raise ValueError(f"datasets: each is named once, however: {list(config.datasets)}")
        if config.quick.train_rows is not None and config.quick.train_rows < 1:
            raise ValueError(f"quick.train_rows: must be at least 1, however: {config.quick.train_rows}")
        if len(set(config.seeds)) != len(config.seeds):
            raise ValueError(f"seeds: each is a repetition of its own, however: {list(config.seeds)}")
        training = module.training_parameters()
        check_settings(config.training, training, "training")
        check_settings(config.quick.training, training, "quick.training")
        datasets = tuple(dict.fromkeys((*module.dataset_names(), *config.datasets)))
        for dataset, override in config.overrides.items():
            known(dataset, datasets, "overrides")
            check_settings(override.training, training, f"overrides.{dataset}.training")
            options = {key: value for arm in config.arms for key, value in module.option_parameters(arm.model).items()}
            check_settings(override.options, options, f"overrides.{dataset}.options")
        for number, arm in enumerate(config.arms):
            key = f"arms[{number}]"
            known(arm.model, module.model_names(), f"{key}.model")
            for dataset in arm.datasets:
                known(dataset, config.datasets, f"{key}.datasets")
            check_settings(arm.options, module.option_parameters(arm.model), f"{key}.options")
            for dataset, there in arm.options_on.items():
                known(dataset, datasets, f"{key}.options_on")
                check_settings(there, module.option_parameters(arm.model), f"{key}.options_on.{dataset}")
            check_settings(arm.training, training, f"{key}.training")
            alone = replace(config, arms=(arm,))
            try:
                runs = plan(alone)
                for spec in (*runs, *plan(alone, quick=True)):
                    module.check(spec)
            except (ValueError, KeyError) as error:
                raise ValueError(f"{key}: {error.args[0]}") from None
            if not runs:
                raise ValueError(f"{key}: an arm has at least one run, however: a list of its settings is empty")
            for spec in runs:
                if planned.setdefault((spec.id, spec.label), key) != key:
                    raise ValueError(
                        f"{key}: each arm has runs of its own, however: {spec.label!r} is in {planned[spec.id, spec.label]} too"
                    )
            if len(runs) > len({spec.id for spec in runs}):
                raise ValueError(f"{key}: each value of a list is another arm, however: one is there twice")
        if config.choose is not None:
            _check_choose(config, config.choose, datasets)
        check_references(config, plan(config))
    except (ValueError, KeyError) as error:
        raise ValueError(f"{where}{str(error.args[0]).rstrip('.')}.") from None
    return config


def _check_choose(config: StudyConfig, choose: Choose, datasets: tuple[str, ...]) -> None:
    """Check the grid as the arms' own settings are, and that it is one.

    Raises:
        ValueError: something does not exist or does not fit; names the key.
    """
    module = task_module(config.task)
    if config.task != "train":
        raise ValueError(
            f"choose: settings are chosen on validation rows, that is for task = 'train', however: task = {config.task!r}"
        )
    known(choose.metric, VALIDATION_METRICS, "choose.metric")
    for dataset in choose.datasets:
        known(dataset, datasets, "choose.datasets")
    if not 1 <= choose.seeds <= len(config.seeds):
        raise ValueError(f"choose.seeds: 1 to the study's {len(config.seeds)}, however: {choose.seeds}")
    options = {key: value for arm in config.arms for key, value in module.option_parameters(arm.model).items()}
    check_settings(choose.training, module.training_parameters(), "choose.training")
    check_settings(choose.options, options, "choose.options")
    if not choose.training and not choose.options:
        raise ValueError("choose: arms choose settings of the training or of the model, however: none is named")
    for key, choices in (("training", choose.training), ("options", choose.options)):
        for name, choice in choices.items():
            if not isinstance(choice, tuple) or len(set(choice)) != len(choice) or len(choice) < 2:
                raise ValueError(f"choose.{key}.{name}: a choice is a list of two or more values, however: {choice!r}")
    for quick in (False, True):
        for spec in trials(config, quick=quick):
            try:
                module.check(spec)
            except (ValueError, KeyError) as error:
                raise ValueError(f"choose: {spec.label}: {error.args[0]}") from None
