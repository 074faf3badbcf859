"""Declared studies: one TOML file each, read strictly.

An unknown key, a wrong type, a model or an option that does not exist, a width that a format cannot have: each is an error that
names the file and the key, before anything runs. A list under ``options`` or ``training`` of an arm is a grid: the arm is run
for every combination. Patterns (``"T*"``, ``"!T18*"`` to leave out) under ``format`` stand for registered formats, so that a
format which a user adds takes part in every study.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path

from qnn_models.runtime.toml import read_toml
from studies.declaring.checks import validated
from studies.declaring.config import Splits, StudyConfig, checked_seeds
from studies.declaring.parsing import parse
from studies.tasks.signatures import nearest
from studies.tasks.spec import Scalar

_TAKEN = ("arms", "training", "overrides", "quick", "choose", "published")
"""What a study may take from another one that it is like."""


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
    content = read_toml(path)
    try:
        config = parse(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}.") from None
    return validated(_like(replace(config, source=str(path))))


def _like(config: StudyConfig) -> StudyConfig:
    """The study with what it does not say itself taken from another one.

    Raises:
        ValueError: there is no such study.
    """
    if not config.like:
        return config
    others = tuple(name for name in study_names() if name != config.name)
    if config.like not in others:
        raise ValueError(
            f"{config.source}: like: must be one of {', '.join(others)}, however: {config.like!r}"
            f"{nearest(config.like, others)}."
        )
    other = load_config(config.like)
    bare = StudyConfig(name=config.name, title=config.title, task=config.task, datasets=config.datasets)
    unsaid = [key for key in _TAKEN if getattr(config, key) == getattr(bare, key)]
    return replace(config, **{key: getattr(other, key) for key in unsaid})


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
        first = config.seeds[0]
        config = replace(config, seeds=tuple(range(first, first + checked_seeds(seeds))))
    if splits is not None:
        config = replace(config, splits=splits)
    if dataset is not None:
        config = replace(config, datasets=(dataset,), arms=tuple(replace(arm, datasets=()) for arm in config.arms))
    if training:
        config = replace(config, training={**config.training, **training})
    return validated(config)
