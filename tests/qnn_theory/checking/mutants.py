"""Single changes of a JSON value: every number, every text, every list and every mapping in it."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from fractions import Fraction
from typing import Any

Path = tuple[str | int, ...]
HUGE = 10**40


def mutants(value: Any, path: Path = ()) -> Iterator[tuple[Path, str, Any]]:
    """Where, what was done, and the changed value."""
    for what, changed in _changes(value):
        yield path, what, changed
    if isinstance(value, dict):
        for key in value:
            for where, what, changed in mutants(value[key], (*path, key)):
                yield where, what, value | {key: changed}
            yield (*path, key), "dropped", {k: v for k, v in value.items() if k != key}
    if isinstance(value, list):
        for k, part in enumerate(value):
            for where, what, changed in mutants(part, (*path, k)):
                yield where, what, [*value[:k], changed, *value[k + 1 :]]
            yield (*path, k), "dropped", value[:k] + value[k + 1 :]


def _changes(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, bool):
        yield "negated", not value
    elif isinstance(value, int):
        yield from (("plus one", value + 1), ("minus one", value - 1), ("huge", HUGE), ("as a text", str(value)))
        yield from (("a fraction", value + 0.5), ("true", True))
    elif isinstance(value, str):
        yield "longer", value + "x"
        yield "empty", ""
        try:
            number = Fraction(value)
        except ValueError:
            pass
        else:
            yield from (
                ("plus one", str(number + 1)),
                ("negative", str(-number - Fraction(1, 3))),
                ("huge", str(HUGE) * 5),
            )
            yield from (("zero", "0"), ("no fraction", "1e9"), ("not in lowest terms", "6/4")) if value != "0" else ()
    elif isinstance(value, list):
        yield "a mapping", {}
        if value:
            yield from (("emptied", []), ("first twice", [deepcopy(value[0]), *value]))
    elif isinstance(value, dict):
        yield from (("a list", [value]), ("another key", value | {"also": 1}))
    if value is not None:
        yield "null", None
