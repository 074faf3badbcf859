"""Schemas read from strict TOML: only known keys, each of its type, errors with file and key; and kept as JSON."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from qnn_models.data.schema import Field, Label, Schema, Source

_MOST = 2**31
_MOST_BYTES = 2**20
_TOO_DEEP = "a schema must be TOML of a few levels, however: it is nested too deeply; write it flat"

_T = TypeVar("_T")


def load_schema(path: Path) -> Schema:
    """Read a schema from TOML.

    Tables: top level `name`, `description`, `origin`, `ratios`; `[label]`; `[[field]]`, one for each field, or one for
    several alike with `names` in place of `name`; `[[source]]`. Keys are those of the classes of `qnn_models.data.schema`.

    Args:
        path: the TOML file.

    Raises:
        ValueError: bad TOML, an unknown, missing or ill-typed key, or values that do not fit, with file and key.
    """
    try:
        with path.open("rb") as stream:
            text = stream.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise ValueError(
                f"a schema is a file of at most {_MOST_BYTES} bytes, however: {path} is larger; is it the data?"
            )
        raw = tomllib.loads(text.decode())
    except FileNotFoundError as error:
        raise ValueError(f"a schema must be there to be read, however: {path} is not a file") from error
    except OSError as error:
        raise ValueError(
            f"a schema must be a file that can be read, however: {path}: {error.strerror or error}"
        ) from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: a schema must be TOML in UTF-8, however: byte {error.start} is none of it"
        ) from error
    except RecursionError as error:
        raise ValueError(f"{path}: {_TOO_DEEP}") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: a schema must be TOML, however: {error}") from error
    if not raw.get("source"):
        raise ValueError(f"{path}: a schema names the files it is read from, however: no [[source]]; add one")
    try:
        return _schema(raw, where=str(path))
    except RecursionError as error:  # of showing the value that does not fit
        raise ValueError(f"{path}: {_TOO_DEEP}") from error


def dump_schema(schema: Schema) -> str:
    """A schema as JSON, for `parse_schema`."""
    return json.dumps(asdict(schema))


def parse_schema(text: str) -> Schema:
    """Read what `dump_schema` wrote.

    Raises:
        ValueError: the text is not a schema.
    """
    raw = json.loads(text)
    raw["field"], raw["source"] = raw.pop("fields"), raw.pop("sources")
    return _schema(_without_none(raw), where="stored schema")


def _without_none(value: Any) -> Any:
    """Leave out keys that are null: absent, as in TOML."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


def _schema(raw: dict[str, Any], *, where: str) -> Schema:
    raw = dict(raw)
    for plural, key in (("fields", "field"), ("sources", "source")):
        if plural in raw and key not in raw:
            raise ValueError(
                f"{where}: each {key} is a table of its own, however: [[{plural}]] is there; write [[{key}]]"
            )
    if isinstance(raw.get("label"), str):
        raise ValueError(
            f"{where}: the label is a table, however: label = {raw['label']!r}; write [label] and below it column = "
            f"{raw['label']!r}"
        )
    own = [field.name for field in fields(Schema) if field.name not in ("fields", "sources")]
    _check_keys(raw, [*own, "field", "source"], where=where)
    label = _build(Label, raw.pop("label", {}), where=f"{where}: label")
    made: list[Field] = []
    for position, entry in enumerate(_tables(raw.pop("field", []), where=f"{where}: field")):
        place = f"{where}: field[{position}]"
        names = entry.pop("names", None)
        if names is not None and "name" in entry:
            raise ValueError(f"{place}: give name or names, not both")
        if names is not None and not isinstance(names, list):
            raise ValueError(f"{place}: names must be an array of texts, however: names={names!r}")
        same = [entry] if names is None else [{**entry, "name": name} for name in names]
        made += [_build(Field, one, where=place) for one in same]
    sources: list[Source] = []
    for position, entry in enumerate(_tables(raw.pop("source", []), where=f"{where}: source")):
        place = f"{where}: source[{position}]"
        if "label" in entry:
            entry["label"] = _build(Label, entry["label"], where=f"{place}: label")
        sources.append(_build(Source, entry, where=place))
    return _build(Schema, {**raw, "label": label, "fields": tuple(made), "sources": tuple(sources)}, where=where)


def _tables(value: object, *, where: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise ValueError(f"{where} must be an array of tables, however: {value!r}; write [[...]]")
    return [dict(entry) for entry in value]


def _build(cls: type[_T], raw: Mapping[str, Any], *, where: str) -> _T:
    """Make a frozen dataclass of a TOML table: only known keys, all that have no default, each of its type."""
    if not isinstance(raw, Mapping):
        raise ValueError(f"{where} must be a table, however: {raw!r}")
    hints = get_type_hints(cls)
    _check_keys(raw, list(hints), where=where)
    absent = [f.name for f in fields(cls) if f.default is MISSING and f.name not in raw]  # type: ignore[arg-type]
    if absent:
        raise ValueError(f"{where}: a required key is missing, however: {absent[0]!r} must be given")
    try:
        return cls(**{key: _typed(value, hints[key], key) for key, value in raw.items()})
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _check_keys(raw: Mapping[str, Any], known: Sequence[str], *, where: str) -> None:
    unknown = [key for key in raw if key not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
        raise ValueError(f"{where}: keys must be known, however: {unknown[0]!r}; {remedy}")


def _typed(value: object, hint: Any, key: str) -> Any:
    """Check a TOML value against a dataclass field's type; arrays become tuples, integers floats where asked."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple and isinstance(value, list | tuple):
        inner = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(inner) == len(value):
            return tuple(_typed(item, kind, key) for item, kind in zip(value, inner, strict=True))
    elif origin is UnionType:
        return _typed(value, arguments[0], key)  # float | None: TOML has no null
    elif origin is Literal:
        if value in arguments:
            return value
        raise ValueError(f"{key} must be one of {', '.join(arguments)}, however: {key}={value!r}")
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif hint is int and isinstance(value, int) and not -_MOST < value < _MOST:
        raise ValueError(f"{key} must be within ±{_MOST}, however: {key}={value}")
    elif isinstance(hint, type) and isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
        return value
    raise ValueError(f"{key} must be of type {getattr(hint, '__name__', hint)}, however: {key}={value!r}")
