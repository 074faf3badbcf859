"""A certificate as a whole: its keys, its formulas, its two directions, and whether they give the verdict that it states."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from qnn_theory.checking.directions import check_direction, verdict_of
from qnn_theory.checking.evaluation import within
from qnn_theory.checking.reading import NotCheckedError, RejectedError, exact_keys, read_formula
from qnn_theory.grammar.expr import Expr

Status: TypeAlias = Literal["accepted", "rejected", "not checked"]

_MAX_BYTES = 5_000_000
SECONDS = 60.0
"""CPU time for one direction."""

_KEYS = {"certificate", "version", "first", "second", "kind", "forward", "backward", "seal"}
_KINDS = {
    ("contained", "contained"): "equivalent",
    ("contained", "not contained"): "contained",
    ("not contained", "contained"): "contains",
    ("not contained", "not contained"): "incomparable",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What the checker says of a certificate.

    Attributes:
        status: ``not checked`` when nothing is wrong and something could not be decided.
        lines: what was accepted, direction by direction, or the reason.
    """

    status: Status
    lines: tuple[str, ...]


def seal(document: Mapping[str, Any]) -> str:
    """A fingerprint of all other keys: SHA-256 of their JSON, with sorted keys, ASCII only and without spaces."""
    rest = {key: value for key, value in document.items() if key != "seal"}
    text = json.dumps(rest, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check_text(
    text: str | bytes, *, formula_of: Callable[[str], str | None] | None = None, seconds: float = SECONDS
) -> Finding:
    """Check a certificate that is given as JSON.

    Args:
        text: the file's content.
        formula_of: the formula of a name, or None; a format's name in the certificate must be one of these, or its formula.
        seconds: CPU time for each direction, after which it is not checked.
    """
    try:
        if len(text) > _MAX_BYTES:
            raise RejectedError(f"a certificate has at most {_MAX_BYTES} bytes, however: {len(text)}")
        read = text if isinstance(text, str) else text.decode()
        document = json.loads(read, object_pairs_hook=_distinct, parse_constant=_no_number, parse_float=_no_number)
    except RejectedError as error:
        return Finding("rejected", (f"rejected: {error}",))
    except (ValueError, RecursionError) as error:
        return Finding("rejected", (f"rejected: the file is no JSON text: {str(error)[:120]}",))
    return check(document, formula_of=formula_of, seconds=seconds)


def check(document: Any, *, formula_of: Callable[[str], str | None] | None = None, seconds: float = SECONDS) -> Finding:
    """Check a certificate that was read; the arguments are those of `check_text`."""
    lines: list[str] = []
    open_lines: list[str] = []
    try:
        names, exprs = _header(document, formula_of or (lambda name: None))
        for key, order in (("forward", (0, 1)), ("backward", (1, 0))):
            source, target = (names[i] for i in order)
            contained = document[key]["verdict"] == "contained"
            what = f"{source} {'⊆' if contained else '⊄'} {target}"
            try:
                with within(seconds):
                    how = check_direction(document[key], *(exprs[i] for i in order))
                lines.append(f"accepted: {what} ({how})")
            except NotCheckedError as reason:
                if document[key]["verdict"] == "open":
                    what = f"{source} ⊆ {target}?"
                open_lines.append(f"not checked: {what}: {reason}")
            except RejectedError as error:
                raise RejectedError(f"{what}: {error}") from None
    except RejectedError as error:
        return Finding("rejected", (f"rejected: {error}",))
    except RecursionError:
        return Finding("rejected", ("rejected: the file is nested too deeply",))
    return Finding("not checked" if open_lines else "accepted", (*lines, *open_lines))


def _header(document: Any, formula_of: Callable[[str], str | None]) -> tuple[list[str], list[Expr]]:
    exact_keys(document, _KEYS, "a certificate has exactly its keys")
    if document["certificate"] != "relation of two formats" or type(document["version"]) is not int:
        raise RejectedError("this is no certificate of a relation of two formats")
    if document["version"] != 2:
        raise RejectedError(f"certificates of version 2 are read, however: {str(document['version'])[:20]}")
    names, exprs = [], []
    for key in ("first", "second"):
        entry = exact_keys(document[key], {"name", "formula"}, f"the {key} format has a name and a formula")
        name, formula = entry["name"], entry["formula"]
        if not isinstance(name, str) or not isinstance(formula, str):
            raise RejectedError(f"the name and the formula of the {key} format are texts")
        if name != formula and (known := formula_of(name)) != formula:
            meant = known or "no format that is known here; give it with --formats"
            raise RejectedError(f"{name[:60]!r} is not {formula[:200]}: it is {meant[:200]}")
        expr = read_formula(formula, f"the {key} formula")
        names.append(name)
        exprs.append(expr)
    verdicts = [verdict_of(document[key]) for key in ("forward", "backward")]
    kind = _KINDS.get((verdicts[0], verdicts[1]), "open")
    if document["kind"] != kind:
        raise RejectedError(
            f"the two directions give {kind!r}, however: the certificate says {str(document['kind'])[:40]!r}"
        )
    if document["seal"] != seal(document):
        raise RejectedError("the file was changed after it was sealed: its seal is of another content")
    return names, exprs


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise RejectedError("a key stands twice in one mapping")
    return result


def _no_number(text: str) -> Any:
    raise RejectedError(f"numbers are whole, or fractions as text, however: {text[:40]}")
