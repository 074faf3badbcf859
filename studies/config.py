"""Declared studies: one TOML file each, read strictly.

An unknown key, a wrong type, a model or an option that does not exist, a width that a format cannot have: each is an error that
names the file and the key, before anything runs. A list under ``options`` or ``training`` of an arm is a grid: the arm is run
for every combination. Patterns (``"T*"``, ``"!T18*"`` to leave out) under ``format`` stand for registered formats, so that a
format which a user adds takes part in every study.
"""

from __future__ import annotations

import difflib
import inspect
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeAlias

import cattrs
from cattrs.errors import (
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)

from studies.spec import TASKS, Scalar, Task

Choice: TypeAlias = Scalar | tuple[Scalar, ...]
"""A setting of an arm: one value, or the values of a grid."""

Splits: TypeAlias = Literal["one", "per-seed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A model and its settings, or a grid of them.

    Attributes:
        model: name of the model.
        label: how tables and figures call it; may name settings in braces, as ``{format}``.
        options: settings of the model; a list is a grid.
        options_on: data set -> settings of the model that take the place of ``options`` there.
        training: settings of the training that differ from the study's; a list is a grid.
        datasets: the data sets this arm is run on; empty is all of the study's.
    """

    model: str
    label: str = "{model}"
    options: Mapping[str, Choice] = field(default_factory=dict)
    options_on: Mapping[str, Mapping[str, Choice]] = field(default_factory=dict)
    training: Mapping[str, Choice] = field(default_factory=dict)
    datasets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Settings that one data set needs, as in the paper's protocol.

    Attributes:
        options: model settings, given to the models that have them.
        training: training settings.
    """

    options: Mapping[str, Scalar] = field(default_factory=dict)
    training: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quick:
    """How ``--quick`` shortens the study. Its runs have other ids and never mix with full ones.

    Attributes:
        train_rows: rows of the training split; None keeps all.
        training: training settings that replace the study's.
    """

    train_rows: int | None = None
    training: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Which published numbers stand beside the study's own (`qnn_theory/published/paper_results.csv`).

    Attributes:
        source: the paper's table or figure, as ``table1``.
        reference: the published data set shown where the study's own has none, as ``Criteo``.
        setting: the published setting; may name settings in braces. Empty matches rows without one.
        names: our label -> the paper's, where they differ.
        values: setting value -> the paper's spelling, as ``relu -> ReLU``.
    """

    source: str
    reference: str = ""
    setting: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Which arms are compared, pair by pair on the same seeds and splits.

    Attributes:
        against: value of ``option`` (or the label, when ``option`` is empty) that every other arm is compared with.
        option: the setting in which the two arms of a pair differ, all others being equal.
        apart_from: settings that may differ with it, because the option asks for another value of them.
        metrics: what is compared.
    """

    against: str
    option: str = ""
    apart_from: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("test_auc", "test_logloss")


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlate:
    """Which columns of the summary are set against each other over the arms of a data set; see `studies.correlations`.

    Attributes:
        predictors: columns that the theory computes.
        outcomes: columns that were measured or published.
    """

    predictors: tuple[str, ...]
    outcomes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyConfig:
    """One study.

    Attributes:
        name: names its results.
        title: what it asks, in one line.
        task: ``train``, ``boundary`` or ``scaling``.
        datasets: data sets by name.
        arms: the models that take part.
        seeds: the repetitions.
        split_seed: seed of the split of the data.
        splits: ``one`` split for all seeds, or another one ``per-seed``; either way all models see the same.
        one_at_a_time: whether runs must not share the machine, because the study measures time.
        training: settings of the training common to all arms.
        overrides: data set -> settings that it needs.
        quick: the shortened form of the study.
        published: the published numbers beside it.
        compare: the comparisons that are tested.
        correlate: the rank correlations that are computed.
        source: the file it was read from.
    """

    name: str
    title: str
    task: Task
    datasets: tuple[str, ...]
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...] = (0,)
    split_seed: int = 0
    splits: Splits = "one"
    one_at_a_time: bool = False
    training: Mapping[str, Scalar] = field(default_factory=dict)
    overrides: Mapping[str, Override] = field(default_factory=dict)
    quick: Quick = Quick()
    published: Published | None = None
    compare: tuple[Comparison, ...] = ()
    correlate: Correlate | None = None
    source: str = ""


def study_names() -> tuple[str, ...]:
    """Names of the studies that come with the package."""
    folder = resources.files("studies") / "configs"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def find_config(name: str) -> Path:
    """The file of a study, given as a path or as the name of one that comes with the package.

    Raises:
        ValueError: there is no such file or study.
    """
    path = Path(name)
    if path.suffix == ".toml":
        if path.is_file():
            return path
        raise ValueError(
            f"A study is a TOML file, however there is no file {name}; `qnn study list` names the studies."
        )
    if name in study_names():
        return Path(str(resources.files("studies") / "configs" / f"{name}.toml"))
    raise ValueError(
        f"A study is one of {', '.join(study_names())} or the path of a .toml file, however: {name!r}"
        f"{nearest(name, study_names())}."
    )


def load_config(path: Path | str) -> StudyConfig:
    """Read a study.

    Args:
        path: its file, or the name of a study that comes with the package.

    Raises:
        ValueError: the file is missing, no TOML, or something in it is wrong; names file and key.
    """
    path = find_config(str(path))
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not TOML: {error}.") from None
    if "datasets" in content and isinstance(content["datasets"], str):
        content["datasets"] = [content["datasets"]]
    try:
        config = _converter().structure(content, StudyConfig)
    except ClassValidationError as error:
        raise ValueError(f"{path}: " + "; ".join(_complaints(error, "")) + ".") from None
    return validated(replace(config, source=str(path)))


def with_changes(
    config: StudyConfig,
    *,
    seeds: int | None = None,
    splits: Splits | None = None,
    dataset: str | None = None,
    training: Mapping[str, Scalar] | None = None,
) -> StudyConfig:
    """The study with other seeds or splits, on another data set, or with other settings of the training.

    Args:
        config: the study.
        seeds: number of repetitions; they are numbered from the study's first seed on, so more seeds reuse the runs of fewer.
        splits: whether all seeds share one split of the data.
        dataset: name of the data set that replaces the study's.
        training: settings that replace the study's.

    Raises:
        ValueError: as `load_config`.
    """
    if seeds is not None:
        if seeds < 1:
            raise ValueError(f"A study has at least 1 seed, however: seeds={seeds}.")
        config = replace(config, seeds=tuple(range(config.seeds[0], config.seeds[0] + seeds)))
    if splits is not None:
        config = replace(config, splits=splits)
    if dataset is not None:
        config = replace(config, datasets=(dataset,), arms=tuple(replace(arm, datasets=()) for arm in config.arms))
    if training:
        config = replace(config, training={**config.training, **training})
    return validated(config)


def validated(config: StudyConfig) -> StudyConfig:
    """The study itself, after every name and every value in it was checked against what exists.

    Raises:
        ValueError: something does not exist or does not fit; names file and key.
    """
    from studies.plan import plan
    from studies.references import check_references
    from studies.tasks import task_module

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
        if not re.fullmatch(r"[\w-]+", config.name):
            raise ValueError(f"name: names files, so it has letters, digits, _ and - only, however: {config.name!r}")
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
        check_references(config, plan(config))
    except (ValueError, KeyError) as error:
        raise ValueError(f"{where}{str(error.args[0]).rstrip('.')}.") from None
    return config


def check_settings(given: Mapping[str, Choice], parameters: Mapping[str, inspect.Parameter], key: str) -> None:
    """Check settings against the parameters of the function that takes them.

    Raises:
        ValueError: an unknown name or a value of another type; names the key.
    """
    for name, choice in given.items():
        known(name, tuple(parameters), key)
        for value in choice if isinstance(choice, tuple) else (choice,):
            if not _fits(value, parameters[name].annotation):
                wanted = inspect.formatannotation(parameters[name].annotation).replace("typing.", "")
                raise ValueError(f"{key}.{name}: must be {wanted}, however: {value!r}")


def as_value(value: Scalar, annotation: Any) -> Scalar:
    """A setting as its function takes it: TOML has no null, so ``"none"`` stands for None where None is allowed."""
    if value == "none" and _fits(None, annotation):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and not _fits_exactly(value, annotation):
        return float(value)
    return value


def _fits(value: Scalar, annotation: Any) -> bool:
    if value == "none" and _fits_exactly(None, annotation):
        return True
    return _fits_exactly(value, annotation) or (
        isinstance(value, int) and not isinstance(value, bool) and _fits_exactly(float(value), annotation)
    )


def _fits_exactly(value: Scalar, annotation: Any) -> bool:
    if annotation is inspect.Parameter.empty or annotation is Any:
        return True
    if annotation is None or annotation is type(None):
        return value is None
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(_fits_exactly(value, part) for part in typing.get_args(annotation))
    if origin is Literal:
        return value in typing.get_args(annotation)
    if annotation in (bool, int, float, str):
        return type(value) is annotation
    return False


def known(name: str, names: Iterable[str], key: str) -> None:
    """Check that a name is one of those that there are.

    Raises:
        ValueError: it is not; names the key, and the nearest name that there is.
    """
    names = tuple(names)
    if name not in names:
        shown = f"one of {', '.join(names)}" if len(names) <= 40 else "a registered name"
        raise ValueError(f"{key}: must be {shown}, however: {name!r}{nearest(name, names)}")


def nearest(name: str, names: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for a mistyped name; empty where nothing is near."""
    near = difflib.get_close_matches(name, tuple(names), n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _converter() -> cattrs.Converter:
    """Reads exactly the types that are declared; cattrs would turn ``"3"`` into 3."""
    converter = cattrs.Converter(forbid_extra_keys=True)

    def exactly(kind: type) -> None:
        def hook(value: Any, _: type) -> Any:
            if type(value) is not kind:
                raise ValueError(f"must be {kind.__name__}, however: {value!r}")
            return value

        converter.register_structure_hook(kind, hook)

    for kind in (bool, int, float, str):
        exactly(kind)

    def scalar(value: Any) -> Scalar:
        if not isinstance(value, bool | int | float | str):
            raise ValueError(f"must be a number, a text or a truth value, however: {value!r}")
        return value

    def settings(value: Any, _: Any) -> Mapping[str, Scalar]:
        return {key: scalar(item) for key, item in _table(value).items()}

    def choices(value: Any, _: Any) -> Mapping[str, Choice]:
        def choice(item: Any) -> Choice:
            return tuple(scalar(part) for part in item) if isinstance(item, list) else scalar(item)

        return {key: choice(item) for key, item in _table(value).items()}

    def seeds(value: Any) -> tuple[int, ...]:
        if type(value) is int:
            if value < 1:
                raise ValueError(f"must be at least 1, however: {value}")
            return tuple(range(value))
        if isinstance(value, list) and all(type(item) is int for item in value):
            return tuple(value)
        raise ValueError(f"must be a number of seeds or a list of seeds, however: {value!r}")

    def task(value: Any, _: Any) -> Task:
        for known in TASKS:
            if value == known:
                return known
        raise ValueError(f"must be one of {', '.join(TASKS)}, however: {value!r}")

    def splits(value: Any, _: Any) -> Splits:
        if value not in ("one", "per-seed"):
            raise ValueError(f"must be 'one' or 'per-seed', however: {value!r}")
        return typing.cast(Splits, value)

    def sequence(value: Any, kind: Any) -> Any:
        element = typing.get_args(kind)[0]
        if element is int:
            return seeds(value)
        if not isinstance(value, list):
            raise ValueError(f"must be a list, however: {value!r}")
        items, faults = [], []
        for index, item in enumerate(value):
            try:
                items.append(converter.structure(item, element))
            except Exception as error:
                error.__notes__ = [IterableValidationNote("", index, element)]
                faults.append(error)
        if faults:
            raise IterableValidationError("items", faults, kind)
        return tuple(items)

    converter.register_structure_hook_func(lambda kind: kind == Mapping[str, Scalar], settings)
    converter.register_structure_hook_func(lambda kind: kind == Mapping[str, Choice], choices)
    converter.register_structure_hook_func(lambda kind: kind == Task, task)
    converter.register_structure_hook_func(lambda kind: kind == Splits, splits)
    converter.register_structure_hook_func(lambda kind: typing.get_origin(kind) is tuple, sequence)
    return converter


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"must be a table, however: {value!r}")
    return value


def _complaints(error: BaseException, key: str) -> list[str]:
    """What was wrong, one line per fault, each beginning with the key."""
    if isinstance(error, ForbiddenExtraKeysError):
        known = [item.name for item in fields(error.cl) if item.name != "source"]
        prefix = f"{key}." if key else ""
        return [
            f"{prefix}{name}: no such key{nearest(name, known)}; there are {', '.join(known)}"
            for name in sorted(error.extra_fields)
        ]
    if isinstance(error, KeyError):
        missing = str(error.args[0])
        return [f"{f'{key}.' if key else ''}{missing}: this key is needed, however it is missing"]
    if isinstance(error, ClassValidationError | IterableValidationError):
        lines: list[str] = []
        for inner in error.exceptions:
            lines += _complaints(inner, _inner_key(inner, key))
        return lines
    return [f"{key}: {error}"]


def _inner_key(error: BaseException, key: str) -> str:
    for note in getattr(error, "__notes__", ()):
        name = getattr(note, "name", None)
        if name is not None:
            return f"{key}.{name}" if key else str(name)
        index = getattr(note, "index", None)
        if index is not None:
            return f"{key}[{index}]"
    return key
