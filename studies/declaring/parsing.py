"""A study's TOML as its declaration: exactly the types that are declared, and faults by file and key."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import cattrs
from cattrs.errors import (
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)

from studies.declaring.config import Family, Splits, StudyConfig, checked_seeds
from studies.tasks.signatures import Choice, nearest
from studies.tasks.spec import TASKS, Scalar, Task


def parse(content: Mapping[str, Any]) -> StudyConfig:
    """The study that a TOML document declares; whether what it names exists is another question (`declaring.checks`).

    Raises:
        ValueError: an unknown or missing key, or a value of another type; names each key.
    """
    content = dict(content)
    if isinstance(content.get("datasets"), str):
        content["datasets"] = [content["datasets"]]
    try:
        return _converter().structure(content, StudyConfig)
    except ClassValidationError as error:
        raise ValueError("; ".join(_complaints(error, ""))) from None


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
            return tuple(range(checked_seeds(value)))
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

    def family(value: Any, _: Any) -> Family:
        if value not in ("dataset", "study"):
            raise ValueError(f"must be 'dataset' or 'study', however: {value!r}")
        return typing.cast(Family, value)

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
    converter.register_structure_hook_func(lambda kind: kind == Family, family)
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
