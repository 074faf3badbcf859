"""The settings that a function or a dataclass takes, with their types: study files are checked against real signatures."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, fields
from typing import Any


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
