"""Guesses on columns of text: separator, header, label, and what kind of field a column is; each with its reason."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from qnn_models.data.reading.columns import LIST_SEPARATOR
from qnn_models.data.reading.numbers import with_decimal_point
from qnn_models.data.schema import BUCKETS, Field, Label

MISSING_TEXTS = frozenset(
    ["", "NA", "N/A", "n/a", "NULL", "null", "None", "none", "NaN", "nan", "NAN", "\\N", "-", "?", "#N/A"]
)
"""Texts that mostly stand for a missing value."""

_LABEL_NAMES: tuple[str, ...] = ("label", "click", "clicked", "is_click", "is_clicked", "clk", "y", "target")
_LABEL_NAMES += (
    "conversion",
    "converted",
    "is_conversion",
    "is_attributed",
    "purchase",
    "purchased",
    "like",
    "liked",
    "response",
)
_USER = re.compile(r"^(user|uid|member|customer|visitor|session|device|viewer)(_?id)?$", re.IGNORECASE)
_ID = re.compile(r"(^|_)(id|code|zip|zipcode|postcode|key|hash|no|nr|number|ip|isbn|sku|asin)$|Id$|ID$")
_TIME = re.compile(r"(^|_)(time|timestamp|ts|date|datetime|created|created_at|day_id|event_time)($|_)", re.IGNORECASE)
_ISO = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$"
_COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+$"
_SEPARATORS = (LIST_SEPARATOR, "|", ";", "^", ",", " ")
_FEW = 20
_LEAK = 0.985
_LONGEST = 50

Kind = Literal["categorical", "numeric", "sequence", "time", "user", "id", "constant", "leak"]


@dataclass(frozen=True, slots=True)
class ColumnGuess:
    """What a column is taken for.

    Attributes:
        name: the column's.
        kind: what it looks like.
        reason: what was seen.
        field: the field that it becomes, or None.
    """

    name: str
    kind: Kind
    reason: str
    field: Field | None


def has_header(names: Sequence[str], lines: Sequence[str]) -> bool:
    """Whether the first line names columns: distinct, not empty, and no numbers where the rows below hold some."""
    return (len(set(names)) == len(names) and all(names) and not any(_is_number(name) for name in names)) or len(
        lines
    ) < 2


def guess_label(sample: pl.DataFrame, name: str | None) -> tuple[Label, str, np.ndarray]:
    """The label's rule, the reason, and the labels of the sample (float, NaN where missing).

    Raises:
        ValueError: no such column, none that can be it, or several that can.
    """
    if name is not None and name not in sample.columns:
        raise ValueError(
            f"the label is a column of the file, however: {name!r} is none; it has {', '.join(sample.columns)}"
        )
    two = [column for column in sample.columns if _is_two_valued(sample[column])]
    if name is None:
        named = [column for wanted in _LABEL_NAMES for column in two if column.lower() == wanted]
        if not named and len(two) == 1:
            named = two
        if not named:
            many = f"{', '.join(two)} all hold two values" if two else "no column holds two values"
            raise ValueError(f"one column is what is predicted, however: {many}; name it with --label")
        name = named[0]
    values = sample[name].drop_nulls()
    texts = sorted(values.unique().to_list())
    drop = bool(sample[name].null_count())
    missing = f"; {sample[name].null_count():,} rows without one are left out" if drop else ""
    folded = {text.lower().removesuffix(".0") for text in texts}
    if folded <= {"0", "1", "true", "false"}:
        rule = Label(column=name, drop_missing=drop)
        labels = sample[name].str.to_lowercase().is_in(["1", "1.0", "true"]).cast(pl.Float64)
        reason = "0 and 1" if folded <= {"0", "1"} else "true and false"
    elif len(texts) == 2 and not all(_is_number(text) for text in texts):
        positive = [
            text for text in texts if text.lower() in ("yes", "y", "t", "click", "clicked", "positive", "pos", "p")
        ]
        positive = positive or [texts[1]]
        rule = Label(column=name, positive=tuple(positive[:1]), drop_missing=drop)
        labels = (sample[name] == positive[0]).cast(pl.Float64)
        reason = f"{texts[0]!r} and {texts[1]!r}, of which {positive[0]!r} is taken for a click"
    elif all(_is_number(text) for text in texts) and len(texts) > 1:
        numbers = values.cast(pl.Float64)
        middle = float(np.median(numbers.to_numpy()))
        above = middle if (numbers > middle).any() else float(np.unique(numbers.to_numpy())[-2])
        rule = Label(column=name, positive_above=above, drop_missing=drop)
        labels = (sample[name].cast(pl.Float64) > above).cast(pl.Float64)
        reason = f"{len(texts)} numbers, of which those above {above:g} are taken for a click; change positive_above"
    else:
        raise ValueError(
            f"a label holds two values or numbers, however: {name} holds {len(texts)}, such as {', '.join(map(repr, texts[:3]))}"
        )
    share = _mean(labels.drop_nulls())
    return rule, f"{reason}; {share:.2%} clicks{missing}", labels.set(sample[name].is_null(), None).to_numpy()


def guess_column(column: pl.Series, labels: np.ndarray, *, rows: int) -> ColumnGuess:
    """What kind of field a column is; `labels` as of `guess_label`."""
    name = column.name
    values = column.drop_nulls()
    distinct = values.n_unique()
    absent = column.null_count() / rows
    seen = f"{distinct:,} distinct" + (f", {_percent(absent)} missing" if absent else "")
    missing: Literal["own", "oov"] = "own" if absent >= 0.002 else "oov"
    if distinct <= 1:
        return ColumnGuess(name, "constant", f"constant{', where it is there' if absent else ''}", None)
    alone = _auc_alone(column, labels)
    if alone > _LEAK:
        return ColumnGuess(name, "leak", f"{seen}; alone it has AUC {alone:.3f}: is it known before the label?", None)
    numbers = values.cast(pl.Float64, strict=False)
    comma = values.str.contains(_COMMA)
    with_comma = bool(comma.any()) and _mean(comma | numbers.is_not_null()) > 0.999
    if with_comma:
        pointed = pl.select(with_decimal_point(pl.lit(values), ",")).to_series()
        numbers = pointed.set(~comma, None).cast(pl.Float64, strict=False).fill_null(numbers)
    is_number = numbers.is_finite().fill_null(False)
    numeric = bool(is_number.all())
    whole = numeric and bool((numbers == numbers.round()).all())
    unique = distinct > 0.95 * len(values) and rows > _FEW
    if _is_time(name, values, numbers if numeric else None, distinct):
        return ColumnGuess(
            name, "time", f"{seen}; a time, such as {values[0]!r}: it orders the rows and is no field", None
        )
    if unique and (not numeric or whole) and (not numeric or _ID.search(name) or _is_counter(numbers)):
        return ColumnGuess(
            name, "id", f"{seen}: nearly every row has its own; to carry it along: qnn predict --keep {name}", None
        )
    common = {"name": name, "missing": missing}
    if numeric and not are_ids(name, numbers):
        few = "; decimal comma" if with_comma else ""
        low, high = _range(numbers)
        reason = f"{seen}, {low:g} to {high:g}{few}"
        return ColumnGuess(name, "numeric", reason, Field(**common, kind="numeric", decimal="," if with_comma else "."))  # type: ignore[arg-type]
    separator = None if numeric else _sequence_separator(values, distinct)
    if separator is not None:
        lengths = values.str.split(separator).list.len()
        length = int(min(max(2, math.ceil(lengths.quantile(0.98) or 2)), _LONGEST))
        reason = f"{seen}; lists such as {_shown(values)}, {_mean(lengths):.1f} tokens on average"
        made = Field(name=name, kind="sequence", separator=separator, max_length=length, min_count=min_count(rows))
        return ColumnGuess(name, "sequence", reason, made)
    kind: Kind = "user" if _USER.match(name) else "categorical"
    return ColumnGuess(name, kind, f"{seen}, such as {_shown(values)}", Field(**common, min_count=min_count(rows)))  # type: ignore[arg-type]


def are_ids(name: str, numbers: pl.Series) -> bool:
    """Whether numbers name things rather than measure them: whole, and few, or under the name of an id, or given out in turn.

    Args:
        name: the column's.
        numbers: those that are there.
    """
    if not (numbers == numbers.round()).all():
        return False
    distinct = numbers.n_unique()
    return distinct <= _FEW or bool(_ID.search(name) or _USER.match(name)) or _is_numbered(numbers, distinct)


def min_count(rows: int) -> int:
    """How often a token must be seen among so many rows to get an id of its own."""
    return 1 if rows < 20_000 else 2 if rows < 200_000 else 10


def _mean(values: pl.Series) -> float:
    return float(values.to_numpy().mean()) if len(values) else 0.0


def _percent(share: float) -> str:
    return "under 0.01%" if share < 1e-4 else f"{share:.2%}"


def _shown(values: pl.Series) -> str:
    top = values.value_counts(sort=True)[values.name].head(3).to_list()
    return ", ".join(repr(text.replace(LIST_SEPARATOR, "|") if len(text) <= 30 else f"{text[:27]}...") for text in top)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _is_two_valued(column: pl.Series) -> bool:
    return column.drop_nulls().str.to_lowercase().str.replace(r"\.0$", "").n_unique() == 2


def _is_time(name: str, values: pl.Series, numbers: pl.Series | None, distinct: int) -> bool:
    """Dates and times that sort as they are written, or seconds or milliseconds since 1970 under a name of time."""
    if bool(values.str.contains(_ISO).all()):
        return distinct > 2
    if numbers is None or not _TIME.search(name) or distinct <= _FEW:
        return False
    low, high = _range(numbers)
    return any(0.3e9 * unit < low and high < 4e9 * unit for unit in (1, 1e3, 1e6, 1e9))


def _is_counter(numbers: pl.Series) -> bool:
    """Whole numbers without gaps to speak of: a row number."""
    low, high = _range(numbers)
    return high - low < 1.2 * len(numbers)


def _is_numbered(numbers: pl.Series, distinct: int) -> bool:
    """Whole numbers, more than there are buckets, that fill their range as ids do that were given out one after the other."""
    low, high = _range(numbers)
    return distinct > BUCKETS and distinct > 0.7 * (high - low + 1)


def _range(numbers: pl.Series) -> tuple[float, float]:
    values = numbers.to_numpy()
    return float(values.min()), float(values.max())


def _sequence_separator(values: pl.Series, distinct: int) -> str | None:
    """A separator that cuts texts into tokens that come again; a text with blanks is prose or a name rather."""
    for separator in _SEPARATORS:
        share = _mean(values.str.contains(separator, literal=True))
        if share < 0.2 or (separator == " " and share < 0.5):
            continue
        tokens = values.unique().str.split(separator).explode()
        if tokens.n_unique() < 0.5 * len(tokens) and tokens.n_unique() < distinct:
            return separator
    return None


def _auc_alone(column: pl.Series, labels: np.ndarray) -> float:
    """AUC of the best single score that the column gives: the label's rate by value, or the number itself."""
    frame = pl.DataFrame({"value": column, "label": labels}).filter(pl.col("label").is_not_nan())
    if frame["label"].n_unique() < 2:
        return 0.5
    # A value seen a few times has a rate of chance, so it scores as the mean.
    by_value = pl.when(pl.len().over("value") >= _FEW).then(pl.col("label").mean().over("value"))
    scores = [frame.select(by_value.fill_null(frame["label"].mean()))]
    numbers = frame["value"].cast(pl.Float64, strict=False)
    if numbers.is_finite().all(ignore_nulls=False):
        scores += [numbers.to_frame(), (-numbers).to_frame()]
    return max(_auc(frame["label"].to_numpy(), score.to_series()) for score in scores)


def _auc(labels: np.ndarray, scores: pl.Series) -> float:
    """Mann-Whitney, by ranks; `evaluation.metrics` has the exact one, which stands on data."""
    ranks, positive = scores.rank("average").to_numpy(), labels == 1
    wins = float(ranks[positive].sum()) - positive.sum() * (positive.sum() + 1) / 2
    return wins / float(positive.sum() * (~positive).sum())
