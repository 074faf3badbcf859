"""A row of Python values gets the ids that the encoder of columns gives it, whatever the values and the fields' rules."""

from __future__ import annotations

import datetime
import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn_models.data.encoding.encoder import Encoder, VocabularyCounter
from qnn_models.data.encoding.one_row import RowEncoder, text_of, texts_of
from qnn_models.data.encoding.tokens import one_spelling, one_spelling_of
from qnn_models.data.reading.columns import column_of_series
from qnn_models.data.schema import Field, Label, Schema

FIELDS = (
    Field(name="plain", aliases=("simple",)),
    Field(name="own", missing="own"),
    Field(name="prefix", prefix=2),
    Field(name="quantile", kind="numeric", buckets=4),
    Field(name="comma", kind="numeric", buckets=4, missing="own", decimal=","),
    Field(name="log", kind="numeric", bucket="log2square"),
    Field(name="whole", kind="numeric", bucket="integer", missing="own"),
    Field(name="edges", kind="numeric", bucket="edges", edges=(0.0, 1.0, 2.5, 10.0)),
    Field(name="list", kind="sequence", separator="|,", max_length=3),
)
NUMBERS = (0, 1, 2, 3, 7, -4, 0.5, 2.5, 1.0, 10.0, 1e16, 1e-5, 123456.75, 2**62, 2**63, -0.0, 1e300, math.e**3)
TEXTS = (
    "7",
    "7.0",
    "007",
    "+7.0",
    "7.0\n",
    "True",
    "TRUE",
    "false",
    "truE\n",
    "x",
    "",
    " ",
    "é.0",
    "٣.0",
    "falſe",
    ".0",
)
TEXTS += ("2013-01-01", "2013-01-01 00:00:00", "2013-01-01T00:00:00.000", "2013-01-01 00:00:00.5", "00:00:00", "-3.0")


def made_encoder() -> Encoder:
    """Vocabularies of values of every spelling and kind."""
    texts = pl.Series([*map(str, NUMBERS), *TEXTS, "7|x,TRUE||true", None, "2013-01-01", "prefix"], dtype=pl.String)
    numbers = pl.Series([*map(str, NUMBERS)] * 2 + ["", "true", None], dtype=pl.String).head(len(texts))
    numbers = numbers.extend_constant(None, len(texts) - len(numbers))
    counter = VocabularyCounter(Schema(name="rows", label=Label(column="y"), fields=FIELDS))
    columns = {f.name: column_of_series(numbers if f.kind == "numeric" else texts) for f in FIELDS}
    counter.add(columns, np.ones(len(texts), dtype=bool))
    return counter.encoder()


ENCODER = made_encoder()
ONE = RowEncoder(ENCODER)

texts = st.one_of(st.sampled_from(TEXTS), st.text(max_size=6), st.from_regex(r"\A[+-]?[0-9]{1,3}\.?0{0,3}\Z"))
floats = st.one_of(st.sampled_from([float(n) for n in NUMBERS]), st.floats(allow_infinity=False))
days = st.dates().map(lambda day: datetime.datetime(day.year, day.month, day.day))
tokens = st.one_of(
    st.none(), texts, floats, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.dates(), st.datetimes(), days
)
marks = st.sampled_from(["+3", "", "5.", ".5", "1E3", "nan", "-NaN", "tRue", "1e-400"])
numbers = st.one_of(
    st.none(),
    floats,
    st.sampled_from(NUMBERS[:6]),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    marks,
    floats.filter(math.isfinite).map(repr),
)
commas = st.sampled_from(["1.234,5", "1,5", "-,5", "2,50", "1.000.000,25"])
lists = st.one_of(
    tokens,
    st.sampled_from(["7|x,true", "|,|", "7.0,TRUE,x,x", "a\x1f7.0"]),
    *(st.lists(st.one_of(st.none(), kind), max_size=5) for kind in (texts, floats, st.integers(-9, 9), st.booleans())),
)
STRATEGIES = {"categorical": tokens, "numeric": numbers, "sequence": lists}


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
@given(data=st.data())
def test_ids_are_those_of_the_encoder_of_columns(field: Field, data: st.DataObject) -> None:
    """Each value is a column of its own, of the type that a frame gives it."""
    encoder = Encoder(replace(ENCODER.schema, fields=(field,)), [ENCODER.vocabulary(field.name)])
    one = RowEncoder(encoder)
    strategy = STRATEGIES[field.kind] if field.name != "comma" else st.one_of(numbers, commas)
    values = data.draw(st.lists(strategy, min_size=5, max_size=15))
    for value in values:
        assert one({field.name: value}) == encoder.encode_tensor(pl.DataFrame({field.name: [value]}))[0].tolist(), value
    if field.kind != "numeric":  # whose texts may be of no number
        column = column_of_series(texts_of(values).alias(field.name))
        assert one.encode_columns({field.name: column}).T.tolist() == [
            ids.tolist() for ids in encoder.encode_columns({field.name: column})
        ]


def test_every_value_that_was_trained_on_has_an_id() -> None:
    """So that the test above does not compare nothing but out of vocabulary."""
    starts = dict(zip(ENCODER.layout.names, np.cumsum([0, *ENCODER.layout.lengths]), strict=False))
    for field in FIELDS:
        values = [n for n in NUMBERS if 0 < n <= 10 or field.name != "edges"] if field.kind == "numeric" else TEXTS
        ids = [ONE({f.name: None for f in FIELDS} | {field.name: v})[starts[field.name]] for v in values]
        missing = [value for value, id in zip(values, ids, strict=True) if id < 2]
        assert all(value == "" or abs(value) > 2**62 for value in missing), (field.name, missing)
        assert len(set(ids)) > 2


@given(st.lists(texts, max_size=40))
def test_one_spelling_is_the_same_in_python(given: list[str]) -> None:
    frame = pl.DataFrame({"text": [*given, *TEXTS]}, schema={"text": pl.String})
    assert [one_spelling_of(text) for text in frame["text"]] == frame.select(one_spelling(pl.col("text")))[
        "text"
    ].to_list()


@given(st.one_of(tokens, st.floats()))
def test_texts_are_those_of_a_frame(value: object) -> None:
    series = pl.Series([value])
    assert text_of(value) == column_of_series(series).rows()[0]


class NAType:
    """As pandas' missing value: equal to nothing."""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(7.1), "7.1"),
        (np.float64(7.25), "7.25"),
        (np.int8(-3), "-3"),
        (np.bool_(True), "true"),
        (np.str_("x"), "x"),
        (np.datetime64("2013-01-01"), "2013-01-01"),
        (np.float32("nan"), None),
        (Decimal("1.50"), "1.50"),
        (datetime.date(2013, 1, 1), "2013-01-01"),
        (NAType(), None),
        (2**70, str(2**70)),
    ],
)
def test_values_of_other_libraries_have_texts(value: object, text: str | None) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize("value", [{"a": 1}, object(), [1], {1, 2}, 1j, b"\xff"])
def test_what_is_no_value_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="a text, a number, a truth value, a time, or a list of them, however"):
        text_of(value)


def test_mixed_values_are_texts() -> None:
    assert texts_of([7, "a", None, 1.5, True, ["x", 2, None]]).to_list() == ["7", "a", None, "1.5", "true", "x\x1f2"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quantile": "old"}, "finite number or nothing, however: quantile='old'"),
        ({"quantile": "1_000"}, "quantile='1_000'"),
        ({"quantile": " 7"}, "quantile=' 7'"),
        ({"quantile": "1,5"}, "quantile='1,5'"),
        ({"whole": math.inf}, "whole=inf"),
        ({"whole": 10**400}, "whole=1000"),
        ({"whole": "1e400"}, "whole='1e400'"),
        ({"quantile": [1]}, "quantile is numeric and holds"),
        ({"plain": ["x"]}, "plain is categorical and holds"),
        ({"plain": {"x": 1}}, "is of type dict"),
        ({"list": [["x"]]}, "is of type list"),
    ],
)
def test_what_a_field_cannot_hold_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("'", "'")):
        ONE({field.name: None for field in FIELDS} | change)


def test_absent_fields_are_named_and_aliases_serve() -> None:
    row = {field.name: None for field in FIELDS} | {"plain": "7"}
    renamed = {("simple" if name == "plain" else name): value for name, value in row.items()}
    assert ONE(renamed) == ONE(row | {"further": 1})
    del row["own"], row["list"]
    with pytest.raises(ValueError, match="however: own, list absent from plain, prefix"):
        ONE(row)
