"""The settings that a function or a dataclass takes, with their types: study files are checked against real signatures."""

from __future__ import annotations

import difflib
import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any, Literal, TypeAlias

from studies.tasks.spec import Scalar

Choice: TypeAlias = Scalar | tuple[Scalar, ...]
"""A setting of an arm: one value, or the values of a grid."""


def function_parameters(
    function: Callable[..., Any], *, without: Collection[str] = ()
) -> Mapping[str, inspect.Parameter]:
    """Parameters of a function or of a class's constructor by name, annotations resolved.

    Args:
        function: the function or the class.
        without: names that are no settings, as ``layout`` and ``seed``.

    Raises:
        TypeError: it takes ``*args`` or ``**kwargs``, which cannot be checked.
    """
    target = function.__init__ if inspect.isclass(function) else function
    hints = typing.get_type_hints(target)
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"Settings are named parameters, however {function.__qualname__} takes *{name}.")
        if name not in without:
            found[name] = parameter.replace(annotation=hints.get(name, inspect.Parameter.empty))
    return found


def dataclass_parameters(kind: type, *, without: Collection[str] = ()) -> Mapping[str, inspect.Parameter]:
    """Fields of a dataclass by name as parameters, with those defaults that are values."""
    hints = typing.get_type_hints(kind)
    return {
        item.name: inspect.Parameter(
            item.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if item.default is MISSING else item.default,
            annotation=hints[item.name],
        )
        for item in fields(kind)
        if item.name not in without
    }


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
