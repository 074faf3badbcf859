"""A first schema for files of one's own: guessed from a sample, with the reason of each guess, to be read and changed."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import takewhile
from pathlib import Path

import polars as pl

from qnn_models.data.proposing.guess import (
    MISSING_TEXTS,
    ColumnGuess,
    guess_column,
    guess_label,
    has_header,
)
from qnn_models.data.reading.compressed import SUFFIXES
from qnn_models.data.reading.formats import READERS
from qnn_models.data.reading.headers import FORMATS, column_names, first_lines, format_of, separator_of
from qnn_models.data.reading.source_files import check_readable
from qnn_models.data.schema import Field, Label, Schema, Source

SAMPLE_ROWS = 200_000
_ROLES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A schema guessed from a sample.

    Attributes:
        schema: takes `qnn_models.data.prepare` as it is.
        reasons: for each field, what was seen and why it is what it is.
        left_out: columns that are no fields -> why.
        remarks: on the label, the split and the file.
        rows: rows of the sample.
    """

    schema: Schema
    reasons: dict[str, str]
    left_out: dict[str, str]
    remarks: dict[str, str] = field(default_factory=dict)
    rows: int = 0


def propose(files: Sequence[Path], *, label: str | None = None, folder: Path | None = None, name: str = "") -> Proposal:
    """Guess the schema of some files from their first rows.

    Args:
        files: one file; several alike (`day-01.csv`, `day-02.csv`); files named train, valid and test; or a folder of one of
            these. CSV, TSV, JSON lines or Parquet, as the suffix says; text may be compressed.
        label: the column that is predicted; guessed when left out.
        folder: where the schema will be, to which file names are relative; that of the first file when left out.
        name: of the data set; that of the first file when left out.

    Raises:
        ValueError: files missing or not alike, a corrupt row, or no column that can be the label; lists those that might.
    """
    found = _files(files)
    base = (folder or found[0].parent).resolve()
    kind = format_of(found[0])
    source, columns = _source(found, kind, base)
    read = READERS[kind](source, found[0].parent, found[0].name, [(column,) for column in columns])
    parts, rows = [], 0
    for chunk in read:
        parts.append(chunk.frame())
        rows += parts[-1].height
        if rows >= SAMPLE_ROWS:
            break
    if not rows:
        raise ValueError(f"a schema is guessed from rows, however: {found[0]} has none; give a file that has some")
    sample = pl.concat(parts).head(SAMPLE_ROWS)
    missing = sorted({text for column in sample for text in column.unique() if text in MISSING_TEXTS} - {""})
    sample = sample.with_columns(
        pl.when(pl.all().is_in([*missing, ""]).fill_null(False)).then(None).otherwise(pl.all()).name.keep()
    )
    rule, why_label, labels = guess_label(sample, label)
    guesses = [guess_column(sample[column], labels, rows=sample.height) for column in columns if column != rule.column]
    fields = tuple(guess.field for guess in guesses if guess.field is not None)
    if not fields:
        raise ValueError(
            f"a schema has fields, however: no column of {found[0]} but the label can be one: "
            + "; ".join(f"{guess.name}: {guess.reason}" for guess in guesses)
        )
    split_by, why_split = _split(guesses, source)
    schema = Schema(
        name=name or _stem(found[0]),
        label=rule,
        fields=fields,
        sources=(source if kind != "csv" else _with_missing(source, missing),),
        split_by=split_by,
        description=f"{source.table or source.train}, as first seen",
    )
    return Proposal(
        schema=schema,
        reasons={guess.name: guess.reason for guess in guesses if guess.field is not None},
        left_out={guess.name: guess.reason for guess in guesses if guess.field is None},
        remarks={"label": why_label, "split": why_split},
        rows=sample.height,
    )


def _stem(file: Path) -> str:
    letters = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in file.name.split(".")[0])
    return letters.strip("-_") or "data"


def _files(given: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith((".", "_")))
            known = [p for p in inside if p.suffix.lower() in (*FORMATS, *SUFFIXES)]
            if not known:
                raise ValueError(f"a folder holds files of rows ({', '.join(FORMATS)}), however: {path} holds none")
            found += known
        else:
            check_readable(path)
            found.append(path)
    if not found:
        raise ValueError("a schema is guessed from a file, however: none is named")
    kinds = {format_of(path) for path in found}
    folders = {path.parent.resolve() for path in found}
    if len(kinds) > 1 or len(folders) > 1:
        raise ValueError(
            "files of one data set are of one format, in one folder, however: "
            f"{', '.join(str(path) for path in found[:4])}; name them apart"
        )
    return found


def _source(found: list[Path], kind: str, base: Path) -> tuple[Source, list[str]]:
    """How the files are read, and the names of their columns."""
    details: dict[str, object] = {}
    first = found[0]
    if kind == "csv":
        lines = first_lines(first)
        details["separator"] = separator_of(first, lines)
        columns = column_names(first, separator=separator_of(first, lines))
        if not has_header(columns, lines):
            columns = [f"c{number}" for number in range(len(columns))]
            details["columns"] = tuple(columns)
    else:
        columns = column_names(first)

    def relative(name: str) -> str:
        return os.path.relpath(first.parent.resolve() / name, base).replace(os.sep, "/")

    roles = {_ROLES[role]: path for path in found if (role := _stem(path).lower()) in _ROLES}
    if {"train", "test"} <= set(roles) and len(roles) == len(found):
        parts = {role: relative(path.name) for role, path in roles.items()}
    elif len(found) == 1:
        parts = {"table": relative(first.name)}
    else:
        parts = {"table": relative(_pattern([path.name for path in found], first.parent))}
    return Source(format=kind, **parts, **details), columns  # type: ignore[arg-type]


def _pattern(names: list[str], folder: Path) -> str:
    """A pattern of these files and no others of their folder."""
    start, end = _common_start(names), _common_start([name[::-1] for name in names])[::-1]
    for pattern in (f"{start}*{end}" if len(start) + len(end) < min(map(len, names)) else f"{start}*", f"*{end}"):
        if sorted(path.name for path in folder.glob(pattern)) == sorted(names):
            return pattern
    raise ValueError(
        f"several files are named by a pattern, however: none fits {', '.join(names[:4])} and no other file of {folder}; put "
        "them into a folder of their own"
    )


def _common_start(names: list[str]) -> str:
    return "".join(
        letters[0] for letters in takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    )


def _with_missing(source: Source, missing: list[str]) -> Source:
    return replace(source, missing=tuple(missing)) if missing else source


def _split(guesses: list[ColumnGuess], source: Source) -> tuple[str, str]:
    if source.train:
        return "", "as the files say" + ("" if source.valid else "; validation rows are taken from the training rows")
    times = [guess.name for guess in guesses if guess.kind == "time"]
    users = [guess.name for guess in guesses if guess.kind == "user"]
    hint = f'; to keep each {users[0]} in one split: split_by = "{users[0]}", split_as = "group"' if users else ""
    if times:
        return times[0], f"by {times[0]}: the model is tested on rows later than those it has learned from{hint}"
    return "", f"at random{hint}"


def schema_text(proposal: Proposal) -> str:
    """A proposal as a commented TOML file, which `qnn_models.data.schema_toml.load_schema` reads."""
    schema, source = proposal.schema, proposal.schema.sources[0]
    lines = [
        f"# Guessed from {proposal.rows:,} rows; read it, change it, then: qnn data prepare THIS_FILE",
        "# The keys: qnn data prepare --help",
        f"name = {_toml(schema.name)}",
        f"description = {_toml(schema.description)}",
        "",
        f"# The split: {proposal.remarks['split']}.",
        "ratios = [8, 1, 1]",
    ]
    lines += [f"split_by = {_toml(schema.split_by)}"] if schema.split_by else []
    lines += ["", f"# {proposal.remarks['label']}", "[label]", *_keys(schema.label, Label(column=""))]
    for one in schema.fields:
        default = Field(name="", separator="|", kind="sequence") if one.kind == "sequence" else Field(name="")
        keys = _keys(one, default)
        if one.kind == "sequence":
            keys = [*keys[:1], 'kind = "sequence"', f"separator = {_toml(one.separator)}", *keys[1:]]
        if one.kind == "numeric":
            keys.append('bucket = "quantile"')
        keys = list(dict.fromkeys(keys))
        lines += ["", f"# {proposal.reasons[one.name]}", "[[field]]", *keys]
    if proposal.left_out:
        lines += ["", "# Left out:", *(f"#   {name}: {why}" for name, why in proposal.left_out.items())]
    lines += ["", "[[source]]", *_keys(source, Source(format="", table="-")), ""]
    return "\n".join(lines)


def _keys(value: object, default: object) -> list[str]:
    """The keys of a dataclass that differ from another's."""
    return [
        f"{item.name} = {_toml(mine)}"
        for item in fields(value)  # type: ignore[arg-type]
        if (mine := getattr(value, item.name)) != getattr(default, item.name)
    ]


def _toml(value: object) -> str:
    # A JSON text is a TOML text, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
